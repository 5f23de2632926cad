// SPDX-License-Identifier: BSD-2-Clause
//! What the sender has to do with the spool of a project: entries on their way there, and the one that came from there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::dsn::Dsn;
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

/// One project's of a client.
pub struct Spooling {
    /// What leads to the project.
    pub dsn: Arc<Dsn>,
    /// The place of the route by which what comes out is sent.
    pub route: usize,
    /// The project is none that entries may name any more: what is in it stays there.
    pub is_unlisted: bool,
    /// It was let go of.
    pub is_left: bool,
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
    /// When a queue may be relieved of entries for it again: there were none.
    relieve_at: Instant,
    /// When the last one was asked for.
    asked_at: Option<Instant>,
    is_asked: bool,
    /// The one that came, and is to be sent.
    pub ready: Option<SpooledEntry>,
}

impl Spooling {
    pub fn new(dsn: Arc<Dsn>, route: usize, now: Instant) -> Spooling {
        Spooling {
            dsn,
            route,
            is_unlisted: false,
            is_left: false,
            is_usable: false,
            is_failing: false,
            ready_entries: 0,
            keeping: HashMap::new(),
            next_ticket: 0,
            keep_at: now,
            take_at: now,
            relieve_at: now,
            asked_at: None,
            is_asked: false,
            ready: None,
        }
    }

    pub fn see(&mut self, condition: &Condition) {
        self.is_usable = condition.usable;
        self.is_failing = condition.failing;
        self.ready_entries = condition.ready;
    }

    /// Whether one more entry may be put in now.
    pub fn takes(&self, now: Instant) -> bool {
        self.is_usable && !self.is_unlisted && now >= self.keep_at && self.keeping.len() < MOST
    }

    /// Whether the queue may be relieved of one more.
    pub fn relieves(&self, now: Instant) -> bool {
        self.takes(now) && now >= self.relieve_at
    }

    /// Nothing in the queue is for it: nobody looks for a while.
    pub fn rest(&mut self, now: Instant) {
        self.relieve_at = now + PAUSE;
    }

    /// Whether they may be any moment now, for all that is known.
    pub fn is_opening(&self) -> bool {
        !self.is_usable && !self.is_failing && !self.is_left
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
    pub fn give_up(&mut self) -> impl Iterator<Item = Queued> {
        self.keeping.drain().map(|(_, (queued, _))| queued)
    }

    /// When the next one may be asked for; `None` if there is none to ask for.
    pub fn due(&self, is_quiet: bool) -> Option<Instant> {
        if self.is_busy() || self.is_unlisted || self.ready_entries == 0 {
            return None;
        }
        let pause = if is_quiet { IDLE_INTERVAL } else { BUSY_INTERVAL };
        Some(self.asked_at.map_or(self.take_at, |asked_at| self.take_at.max(asked_at + pause)))
    }

    /// Whether one was asked for, or is there to be sent.
    pub fn is_busy(&self) -> bool {
        self.is_asked || self.ready.is_some()
    }

    /// When the last one was asked for; that of one that never asked is before all others.
    pub fn asked_at(&self) -> Option<Instant> {
        self.asked_at
    }

    pub fn ask(&mut self, now: Instant) {
        self.is_asked = true;
        self.asked_at = Some(now);
    }

    /// It is let go of: nothing that it owes comes any more.
    pub fn leave(&mut self) {
        (self.is_left, self.is_usable, self.is_asked, self.ready_entries) = (true, false, false, 0);
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
        self.due(is_quiet).into_iter().chain([self.keep_at, self.take_at, self.relieve_at])
    }
}

/// All of a client, known by their places.
#[derive(Default)]
pub struct Spoolings {
    list: Vec<Spooling>,
    /// The last entry that was sent came from one of them.
    pub had_turn: bool,
    /// The queue was three quarters full, and is to be half empty.
    pub is_relieving: bool,
}

impl Spoolings {
    /// Adds one; its place.
    pub fn add(&mut self, spooling: Spooling) -> usize {
        self.list.push(spooling);
        self.list.len() - 1
    }

    pub fn get(&self, place: usize) -> Option<&Spooling> {
        self.list.get(place)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut Spooling> {
        self.list.get_mut(place)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Spooling> {
        self.list.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Spooling> {
        self.list.iter_mut()
    }

    pub fn is_keeping(&self) -> bool {
        self.list.iter().any(Spooling::is_keeping)
    }
}
