// SPDX-License-Identifier: BSD-2-Clause
//! What is remembered of an object beyond its denial: how long it was denied last, and whether it is on trial.
//!
//! Kept apart from the list because it is kept for longer, and only if wanted. Any thread may call anything. An object that is not in here
//! is told so without the one lock; nothing is called with it held.

use std::num::NonZeroU64;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::{Acquire, Release};

use parking_lot::Mutex;

use crate::order::Order;
use crate::table::{CHUNK, Digest, MAX_ENTRIES, Table, Writer, place};
use crate::time::Time;
use crate::unsettled::SETTLES;

/// Who tries a backend out: a number that no other task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task(NonZeroU64);

impl Task {
    /// The task of this number; 0 means 1.
    pub fn numbered(number: u64) -> Task {
        Task(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

/// What a fetch would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Clear,
    /// It would be the one trial.
    Trial,
    /// Another one is on trial.
    Busy,
    /// It is too early for a trial.
    Refused,
}

/// What comes of an offence.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The longest denial that repeated offences lead to, in seconds; 0 if they do not grow.
    pub max_ttl: f64,
    /// Whether one fetch at a time tries the object out after its denial, until one succeeds.
    pub half_open: bool,
}

impl Terms {
    /// Whether there is anything to remember.
    pub fn matter(&self) -> bool {
        self.max_ttl > 0.0 || self.half_open
    }
}

/// Denials vary by so much to each side, so that objects that failed together are not all fetched again at once.
const JITTER: f64 = 0.1;
/// For how long an object that nobody asks for stays on trial, in seconds.
const TRIAL_ENDS: f64 = 86400.0;

#[derive(Clone, Copy)]
struct Offender {
    /// Length of the last denial before it was varied, in seconds.
    term: f64,
    /// End of it.
    until: Time,
    /// Whether it takes a trial to be clear.
    half_open: bool,
    trial: Option<Task>,
    /// From when on the trial is taken for a success, if nothing else comes of it.
    settles: Time,
}

/// The objects that offended, as many as fit: the one whose memory would end first goes for a new one.
pub struct Offenders {
    table: Table,
    /// Until when any is remembered.
    any: AtomicI64,
    max_entries: u32,
    ledger: Mutex<Ledger>,
}

/// Chunks, not one vector: growing must not copy megabytes in one call.
struct Ledger {
    order: Order,
    writer: Writer,
    offenders: Vec<Box<[Offender]>>,
}

impl Ledger {
    fn get(&self, slot: u32) -> Option<&Offender> {
        let (chunk, offset) = place(slot);
        self.offenders.get(chunk)?.get(offset)
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Offender> {
        let (chunk, offset) = place(slot);
        self.offenders.get_mut(chunk)?.get_mut(offset)
    }

    fn set(&mut self, slot: u32, offender: Offender) {
        if place(slot).0 == self.offenders.len() {
            self.offenders.push(vec![offender; CHUNK].into_boxed_slice());
        }
        if let Some(place) = self.get_mut(slot) {
            *place = offender;
        }
    }
}

impl Offenders {
    /// Memories that are over or were cleared and that one call frees at most: more than it can add, so that they run out.
    const SLICE: usize = 32;

    /// Remembers at most so many objects, and never more than 16 777 216.
    pub fn new(max_entries: usize) -> Offenders {
        let max_entries = max_entries.min(MAX_ENTRIES) as u32;
        Offenders {
            table: Table::new(max_entries),
            any: AtomicI64::new(-1),
            max_entries,
            ledger: Mutex::new(Ledger { order: Order::new(), writer: Writer::new(), offenders: Vec::new() }),
        }
    }

    /// Takes note of an offence that is to be denied for `ttl` seconds, and returns for how many it is. `random`, from 0 to 1, varies them.
    ///
    /// An offence after the last denial's end doubles its length; as long as the object was denied last without one halves it again.
    pub fn offend(&self, digest: &Digest, ttl: f64, now: Time, terms: &Terms, random: f64) -> f64 {
        let mut ledger = self.ledger.lock();
        self.sweep(&mut ledger, now);
        let slot = self.slot(digest);
        let known = slot.and_then(|slot| ledger.get(slot)).copied();
        let (term, granted) = match terms.max_ttl > 0.0 {
            true => {
                let term =
                    known.map_or(ttl, |known| known.next_term(ttl, now)).min(terms.max_ttl / (1.0 + JITTER)).max(ttl);
                (term, (term * (1.0 - JITTER + 2.0 * JITTER * random)).min(terms.max_ttl.max(ttl)))
            }
            false => (ttl, ttl),
        };
        let until = known.map_or(now, |known| known.until).max(now.plus(granted));
        let offender = Offender { term, until, half_open: terms.half_open, trial: None, settles: Time::NEVER };
        self.remember(&mut ledger, slot, digest, offender);
        self.publish(&ledger);
        granted
    }

    fn remember(&self, ledger: &mut Ledger, slot: Option<u32>, digest: &Digest, offender: Offender) {
        let until = offender.forgotten();
        let slot = match slot {
            Some(slot) => {
                ledger.order.remove(slot);
                self.table.extend(&mut ledger.writer, slot, until);
                slot
            }
            None => {
                if ledger.order.len() >= self.max_entries {
                    let Some((first, _)) = ledger.order.first().filter(|first| first.1 <= until) else { return };
                    self.free(ledger, first);
                }
                let Some(slot) = self.table.insert(&mut ledger.writer, digest, until) else { return };
                slot
            }
        };
        ledger.order.insert(slot, until);
        ledger.set(slot, offender);
    }

    /// Takes note that a fetch succeeded: an object on trial is clear, and the answer is true. A success while the object is denied was under
    /// way before.
    pub fn succeed(&self, digest: &Digest, now: Time, terms: &Terms) -> bool {
        let clear = |ledger: &mut Ledger, slot| {
            let Some(offender) = ledger.get(slot).copied().filter(|one| one.half_open && one.until < now) else {
                return false;
            };
            match terms.max_ttl > 0.0 {
                // Its term is still remembered.
                true => {
                    self.remember(ledger, Some(slot), digest, Offender { half_open: false, ..offender });
                }
                false => self.free(ledger, slot),
            }
            true
        };
        self.with(digest, now, clear).unwrap_or(false)
    }

    /// What a fetch of this task would meet; `None` asks for nobody in particular.
    pub fn standing(&self, digest: &Digest, task: Option<Task>, now: Time) -> Standing {
        let look = |ledger: &mut Ledger, slot| ledger.get(slot).map(|offender| offender.standing(task, now));
        self.with(digest, now, look).flatten().unwrap_or(Standing::Clear)
    }

    /// The same, and if it is a trial, this task's it is from now on.
    pub fn begin(&self, digest: &Digest, task: Task, now: Time) -> Standing {
        let take = |ledger: &mut Ledger, slot| {
            let offender = ledger.get_mut(slot)?;
            let standing = offender.standing(Some(task), now);
            if standing == Standing::Trial {
                // A retry of the same task begins anew.
                (offender.trial, offender.settles) = (Some(task), Time::NEVER);
            }
            Some(standing)
        };
        self.with(digest, now, take).flatten().unwrap_or(Standing::Clear)
    }

    /// Takes note that this task's trial, if it has one, has an answer whose body is under way. If nothing else comes of it for long, it is
    /// a success.
    pub fn answer(&self, digest: &Digest, task: Task, now: Time) {
        self.with(digest, now, |ledger, slot| {
            if let Some(offender) = ledger.get_mut(slot).filter(|offender| offender.trial == Some(task)) {
                offender.settles = now.plus(SETTLES);
            }
        });
    }

    /// Frees the object's trial if it is this task's.
    pub fn end(&self, digest: &Digest, task: Task) {
        let mut ledger = self.ledger.lock();
        let offender = self.slot(digest).and_then(|slot| ledger.get_mut(slot));
        if let Some(offender) = offender.filter(|offender| offender.trial == Some(task)) {
            (offender.trial, offender.settles) = (None, Time::NEVER);
        }
    }

    /// Forgets an object.
    pub fn forget(&self, digest: &Digest, now: Time) {
        self.with(digest, now, |ledger, slot| self.free(ledger, slot));
    }

    /// Forgets everybody, at the price of one: later calls of [`Offenders::offend`] free their places, a few at a time.
    pub fn clear(&self) {
        let mut ledger = self.ledger.lock();
        let Ledger { order, writer, .. } = &mut *ledger;
        // Each generation has somebody.
        if order.len() > 0 {
            self.table.forget(writer);
            order.forget();
            self.publish(&ledger);
        }
    }

    /// Lends an object's slot to `body`, if it is remembered.
    fn with<R>(&self, digest: &Digest, now: Time, body: impl FnOnce(&mut Ledger, u32) -> R) -> Option<R> {
        // Disturbed: then with the lock.
        if self.any.load(Acquire) < now.millis() || self.table.find(digest) == Ok(None) {
            return None;
        }
        let mut ledger = self.ledger.lock();
        let slot = self.slot(digest)?;
        let live = ledger.get(slot).is_some_and(|one| now <= one.forgotten());
        let answer = live.then(|| body(&mut ledger, slot));
        self.publish(&ledger);
        answer
    }

    /// For the holder of the lock.
    fn slot(&self, digest: &Digest) -> Option<u32> {
        Some(self.table.find(digest).ok()??.slot)
    }

    fn sweep(&self, ledger: &mut Ledger, now: Time) {
        for _ in 0..Self::SLICE {
            let slot = ledger.order.forgotten().or_else(|| {
                let (slot, _) = ledger.order.first().filter(|first| first.1 < now)?;
                ledger.order.remove(slot);
                Some(slot)
            });
            let Some(slot) = slot else { return };
            self.table.remove(&mut ledger.writer, slot);
        }
    }

    fn free(&self, ledger: &mut Ledger, slot: u32) {
        ledger.order.remove(slot);
        self.table.remove(&mut ledger.writer, slot);
    }

    fn publish(&self, ledger: &Ledger) {
        self.any.store(ledger.order.last().map_or(-1, Time::millis), Release);
    }
}

impl Offender {
    /// The length of a denial of at least `ttl` seconds that follows.
    fn next_term(&self, ttl: f64, now: Time) -> f64 {
        let mut healthy = now.seconds_after(self.until);
        if healthy <= 0.0 {
            // Under way when it was denied: the same offence.
            return self.term.max(ttl);
        }
        let mut term = self.term;
        while term >= ttl && healthy >= term {
            healthy -= term;
            term /= 2.0;
        }
        if term < ttl { ttl } else { term * 2.0 }
    }

    fn standing(&self, task: Option<Task>, now: Time) -> Standing {
        if !self.half_open || now <= self.until || (self.trial.is_some() && self.settles <= now) {
            Standing::Clear
        } else if self.trial.is_none() || self.trial == task {
            Standing::Trial
        } else {
            Standing::Busy
        }
    }

    /// A term and its half, and half of that, and so on, are less than two.
    fn forgotten(&self) -> Time {
        self.until.plus(if self.half_open { TRIAL_ENDS.max(2.0 * self.term) } else { 2.0 * self.term })
    }
}

#[cfg(test)]
mod tests;
