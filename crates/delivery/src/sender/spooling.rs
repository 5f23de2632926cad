// SPDX-License-Identifier: BSD-2-Clause
//! What the sender has to do with the spool: entries on their way there, and the one that came from there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::entry::Part;

use crate::queue::Queued;
use crate::spool::condition::Condition;
use crate::spool::entry::SpooledEntry;

/// Between two entries from the spool, while none is in the queue and while some are.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);
const BUSY_INTERVAL: Duration = Duration::from_secs(1);
/// After a refusal, before the spool is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Entries that are being put into the spool at a time.
const MOST: usize = 4;

/// An entry that is being put in, and those of its parts that have nothing to be put there.
type Keeping = (Queued, Vec<Part>);

/// One client's.
pub struct Spooling {
    is_usable: bool,
    is_failing: bool,
    /// Entries that may be taken out.
    ready_entries: usize,
    /// Entries that are being put in.
    keeping: HashMap<u64, Keeping>,
    next_ticket: u64,
    /// When one may be put in again, and taken out.
    keep_at: Instant,
    take_at: Instant,
    /// When the last one was asked for.
    asked_at: Option<Instant>,
    is_asked: bool,
    /// The one that came, and is to be sent.
    pub ready: Option<SpooledEntry>,
    /// The last entry that was sent came from the spool.
    pub had_turn: bool,
    /// The queue was three quarters full, and is to be half empty.
    pub is_relieving: bool,
}

impl Spooling {
    pub fn new(now: Instant) -> Spooling {
        Spooling {
            is_usable: false,
            is_failing: false,
            ready_entries: 0,
            keeping: HashMap::new(),
            next_ticket: 0,
            keep_at: now,
            take_at: now,
            asked_at: None,
            is_asked: false,
            ready: None,
            had_turn: false,
            is_relieving: false,
        }
    }

    pub fn see(&mut self, condition: &Condition) {
        self.is_usable = condition.usable;
        self.is_failing = condition.failing;
        self.ready_entries = condition.ready;
    }

    /// Whether entries may be put in now.
    pub fn takes(&self, now: Instant) -> bool {
        self.is_usable && now >= self.keep_at
    }

    /// Whether they may be any moment now, for all that is known.
    pub fn is_opening(&self) -> bool {
        !self.is_usable && !self.is_failing
    }

    /// Whether one more may be, as far as those go that are being put in.
    pub fn has_room(&self) -> bool {
        self.keeping.len() < MOST
    }

    /// None is put in for a while.
    pub fn pause(&mut self, now: Instant) {
        self.keep_at = now + PAUSE;
    }

    pub fn is_keeping(&self) -> bool {
        !self.keeping.is_empty()
    }

    /// The ticket of an entry that is to be put in.
    pub fn keep(&mut self, queued: Queued, silent: Vec<Part>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.keeping.insert(ticket, (queued, silent));
        ticket
    }

    /// Whether it was put in.
    pub fn kept(&mut self, ticket: u64, kept: bool, now: Instant) -> Option<Keeping> {
        if !kept {
            self.pause(now);
        }
        self.keeping.remove(&ticket)
    }

    /// Takes all that are being put in, whatever becomes of them.
    pub fn give_up(&mut self) -> Vec<Queued> {
        self.keeping.drain().map(|(_, (queued, _))| queued).collect()
    }

    /// When the next one may be asked for; `None` if there is none to ask for.
    pub fn due(&self, is_quiet: bool) -> Option<Instant> {
        if self.is_asked || self.ready.is_some() || self.ready_entries == 0 {
            return None;
        }
        let pause = if is_quiet { IDLE_INTERVAL } else { BUSY_INTERVAL };
        Some(self.asked_at.map_or(self.take_at, |asked_at| self.take_at.max(asked_at + pause)))
    }

    pub fn ask(&mut self, now: Instant) {
        self.is_asked = true;
        self.asked_at = Some(now);
    }

    /// What came; nothing if others send all there is, or the spool cannot be used.
    pub fn taken(&mut self, taken: Option<SpooledEntry>, now: Instant) {
        self.is_asked = false;
        if taken.is_none() {
            self.take_at = now + PAUSE;
        }
        self.ready = taken;
    }

    /// No other is asked for before that time.
    pub fn wait_until(&mut self, until: Instant) {
        self.take_at = self.take_at.max(until);
    }

    pub fn alarms(&self, is_quiet: bool) -> impl Iterator<Item = Instant> {
        self.due(is_quiet).into_iter().chain([self.keep_at, self.take_at])
    }
}
