// SPDX-License-Identifier: BSD-2-Clause
//! What is found is told to the consumer: groups that were not told before, copied, and what was lost of them counted.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use transaction::consumer::Consumer;
use transaction::group::{Group, Incomplete, Record};
use transaction::source::Lost;
use transaction::tags::{ALL, Wanted};
use vapi::place::{Place, Position};
use vapi::sink::{Flow, Found, Sink, with_notes};

use super::progress::{Progress, add};

/// What is kept from one time to the next.
#[derive(Debug, Default)]
pub struct Tally {
    group: Group,
    text: Vec<u8>,
    /// What was lost, until it is told.
    pub lost: Lost,
    /// Up to here everything was told before.
    pub told: Option<Position>,
    /// How many groups are still to be told.
    pub left: Option<u64>,
}

impl Tally {
    /// For so many groups, or for all that come.
    pub fn new(left: Option<u64>) -> Tally {
        Tally { left, ..Tally::default() }
    }
}

/// One time that a log is read.
pub struct Telling<'t> {
    consumer: &'t mut dyn Consumer,
    tally: &'t mut Tally,
    progress: &'t Progress,
    wanted: Wanted,
    /// Why what is under way is told; `None` while there is more to read.
    flushed: Option<Incomplete>,
}

impl<'t> Telling<'t> {
    pub fn new(consumer: &'t mut dyn Consumer, tally: &'t mut Tally, progress: &'t Progress) -> Telling<'t> {
        let wanted = with_notes(consumer.wanted());
        Telling { consumer, tally, progress, wanted, flushed: None }
    }

    /// The same for what is under way.
    pub fn flushing(mut self, why: Incomplete) -> Telling<'t> {
        self.flushed = Some(why);
        self
    }

    /// Whether an earlier process, or this one before an overrun, has told it: not of what is under way, which was told by nobody.
    fn was_told(&mut self, place: Place<'_>) -> bool {
        let Some(told) = self.tally.told.filter(|_| self.flushed.is_none()) else { return false };
        let is_new = place.position().is_none_or(|position| position.is_after(told));
        if is_new {
            self.tally.told = None;
        }
        !is_new
    }

    fn tell(&mut self, found: Found<'_>) {
        let group = &mut self.tally.group;
        // What the library says of a flush is there only if there was one.
        let flushed = self.flushed.unwrap_or(Incomplete::Flushed);
        found.copy(&self.wanted, flushed, group);
        let is_wanted = group.root().is_some() && self.consumer.wants(group);
        if is_wanted {
            found.copy(ALL, flushed, group);
        }
        // What was copied may be another record's: nothing of it may be told, whatever it seemed to be.
        if !found.place.is_intact() {
            self.tally.lost.overwritten += 1;
            return;
        }
        if group.incomplete().is_some() {
            count(group, &mut self.tally.lost);
        }
        if is_wanted {
            add(&self.progress.wanted, 1);
            self.consumer.group(group);
        }
    }
}

impl Sink for Telling<'_> {
    fn group(&mut self, found: Found<'_>) -> Flow {
        if self.was_told(found.place) {
            return Flow::Continue;
        }
        add(&self.progress.groups, 1);
        // Counted before the consumer is told: a call that panics counts, too.
        let left = self.tally.left.map(|left| left.saturating_sub(1));
        self.tally.left = left;
        self.tell(found);
        if left == Some(0) { Flow::Stop } else { Flow::Continue }
    }

    fn record(&mut self, record: Record<'_>, place: Place<'_>) -> Flow {
        if self.was_told(place) {
            return Flow::Continue;
        }
        let text = &mut self.tally.text;
        text.clear();
        text.extend_from_slice(record.text);
        if !place.is_intact() {
            self.tally.lost.overwritten += 1;
            return Flow::Continue;
        }
        add(&self.progress.records, 1);
        self.consumer.record(Record { text, ..record }, SystemTime::now());
        Flow::Continue
    }

    fn panicked(&mut self) {
        add(&self.progress.panics, 1);
    }
}

/// Counts the transactions that are told too early, by why.
fn count(group: &Group, lost: &mut Lost) {
    for transaction in group.transactions() {
        match transaction.head.incomplete {
            Some(Incomplete::Timeout) => lost.timeouts += 1,
            Some(Incomplete::StoreOverflow) => lost.store_overflows += 1,
            Some(Incomplete::OutOfMemory) => lost.out_of_memory += 1,
            // One for all of them was counted by who flushed.
            Some(Incomplete::Overrun | Incomplete::Abandoned | Incomplete::Flushed | Incomplete::EndOfLog) | None => {}
        }
    }
}

/// Notes that something was read.
pub fn note_reading(progress: &Progress) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    progress.last_read.store(now.as_millis() as u64, Ordering::Relaxed);
}
