// SPDX-License-Identifier: BSD-2-Clause
//! The list itself: table and order kept in step, and what a verdict needs published for readers.
//!
//! Any thread may call anything. There is one lock, taken by `deny` and `live` and by a verdict that a
//! writer disturbed time and again; nothing is called with it held, so there is no order of locks.
//! Table and published times are written only under it: first the table, then the times.

use std::hint::spin_loop;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicU64};

use parking_lot::Mutex;

use crate::entries::{Entry, Position};
use crate::offenders::Offenders;
use crate::order::Order;
use crate::reason::Reason;
use crate::table::{Digest, Found, MAX_ENTRIES, Table, Writer};
use crate::time::Time;

/// What [`Denylist::deny`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The object had no live entry and has one now; `evicted` if another live one had to go for it.
    New { evicted: bool },
    /// The object's entry lasts longer now.
    Extended,
    /// The object's entry lasts as long or longer anyway, and is as it was.
    Kept,
    /// The list is full of entries that all last longer: nothing was entered.
    Refused,
    /// `until` was over before `now`: nothing was entered, and a live entry is as it was.
    Over,
}

/// What [`Denylist::verdict`] says of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Healthy,
    /// This object's entry is live.
    ObjectDenied,
    /// So many entries are live that it is sick for every object.
    ThresholdReached,
}

/// The objects that one backend is denied for.
///
/// An entry is live while `now <= until`. Every answer is exact for the `now` it was asked with,
/// which tasks take at different moments, so that it jumps back and forth a little. Only `deny` frees
/// entries, those that are over at its own `now`: if the wall clock is set back beyond their end, they
/// stay gone, while entries not yet freed are live again until their time comes a second time.
pub struct Denylist {
    table: Table,
    outlook: Outlook,
    max_entries: u32,
    offenders: Offenders,
    ledger: Mutex<Ledger>,
}

struct Ledger {
    order: Order,
    writer: Writer,
}

/// How long what a verdict depends on lasts if nobody changes the list. Times, not counts, so that they
/// need no care as the clock moves on. On a cache line of its own: every call of `live` moves the lock's.
#[repr(align(64))]
struct Outlook {
    threshold: AtomicU64,
    /// Until when at least one entry is live.
    any: AtomicI64,
    /// Until when as many as the threshold are live.
    reached: AtomicI64,
    /// When it last came to be reached, or ceased to be by a change of the list.
    changed: AtomicI64,
    /// When it ceases, or ceased, to be reached by the clock; [`PAST`] if `changed` says when it did. Not `reached`:
    /// that one forgets with the entries, and with another threshold may name a time before it.
    ends: AtomicI64,
}

/// Before every [`Time`].
const PAST: i64 = -1;

impl Outlook {
    fn new(threshold: u64) -> Outlook {
        let past = || AtomicI64::new(PAST);
        Outlook { threshold: AtomicU64::new(threshold), any: past(), reached: past(), changed: past(), ends: past() }
    }

    fn publish(&self, order: &Order, now: Time) {
        let millis = |until: Option<Time>| until.map_or(PAST, Time::millis);
        let reached = millis(order.at_least(self.threshold.load(Relaxed)));
        self.note_change(reached, now.millis());
        self.reached.store(reached, Release);
        self.any.store(millis(order.last()), Release);
    }

    fn note_change(&self, reached: i64, now: i64) {
        let ends = self.ends.load(Relaxed);
        match (now <= ends, now <= reached) {
            (true, true) => self.ends.store(reached, Relaxed),
            (false, true) => {
                self.changed.store(now, Relaxed);
                self.ends.store(reached, Relaxed);
            }
            (true, false) => {
                self.changed.store(now, Relaxed);
                self.ends.store(PAST, Relaxed);
            }
            (false, false) => {}
        }
    }

    fn any_live(&self, now: Time) -> bool {
        now.millis() <= self.any.load(Acquire)
    }

    fn threshold_reached(&self, now: Time) -> bool {
        now.millis() <= self.reached.load(Acquire)
    }
}

impl Denylist {
    /// Expired entries that one call frees at most: more than it can add, so that they run out, and few
    /// enough for some ten microseconds.
    const SLICE: usize = 32;
    /// Attempts at reading undisturbed before a verdict asks for the lock instead.
    const ATTEMPTS: usize = 16;

    /// Makes an empty list of at most `max_entries` (and never more than 16 777 216) entries.
    ///
    /// Threshold 0 turns verdicts off: entries are kept and counted, but all is [`Verdict::Healthy`].
    pub fn new(threshold: u64, max_entries: usize) -> Denylist {
        let max_entries = max_entries.min(MAX_ENTRIES) as u32;
        Denylist {
            table: Table::new(max_entries),
            outlook: Outlook::new(threshold),
            max_entries,
            offenders: Offenders::new(max_entries as usize),
            ledger: Mutex::new(Ledger { order: Order::new(), writer: Writer::new() }),
        }
    }

    /// Denies the backend for an object. An object has one entry, whose time is the longest it was given.
    ///
    /// At the bound, the entry that would expire first makes room.
    pub fn deny(&self, digest: &Digest, until: Time, now: Time) -> Denied {
        if until < now {
            return Denied::Over;
        }
        let mut ledger = self.ledger.lock();
        self.sweep(&mut ledger, now);
        let denied = self.enter(&mut ledger, digest, until, now);
        self.outlook.publish(&ledger.order, now);
        denied
    }

    fn enter(&self, ledger: &mut Ledger, digest: &Digest, until: Time, now: Time) -> Denied {
        let Ledger { order, writer } = ledger;
        if let Ok(Some(entry)) = self.table.find(digest) {
            if until <= entry.until {
                return Denied::Kept;
            }
            order.remove(entry.slot);
            order.insert(entry.slot, until);
            self.table.extend(writer, entry.slot, until);
            // The sweep may have left it over.
            return if entry.until < now { Denied::New { evicted: false } } else { Denied::Extended };
        }
        // Only live entries are evicted: if there were expired ones, the sweep has made room.
        let full = order.len() >= self.max_entries;
        if full {
            let Some((slot, _)) = order.first().filter(|first| first.1 <= until) else { return Denied::Refused };
            order.remove(slot);
            self.table.remove(writer, slot);
        }
        let Some(slot) = self.table.insert(writer, digest, until) else { return Denied::Refused };
        order.insert(slot, until);
        Denied::New { evicted: full }
    }

    /// What is remembered of objects beyond their entries.
    pub fn offenders(&self) -> &Offenders {
        &self.offenders
    }

    /// Ends an object's entry, and what is remembered of it; whether there was a live one.
    pub fn allow(&self, digest: &Digest, now: Time) -> bool {
        self.offenders.forget(digest, now);
        let mut ledger = self.ledger.lock();
        let Ok(Some(entry)) = self.table.find(digest) else { return false };
        let Ledger { order, writer } = &mut *ledger;
        order.remove(entry.slot);
        self.table.remove(writer, entry.slot);
        self.outlook.publish(&ledger.order, now);
        now <= entry.until
    }

    /// Ends all entries, and what is remembered beyond them; how many live ones there were. Takes the same time for any number: later calls of
    /// [`Denylist::deny`] free them, a few at a time.
    pub fn clear(&self, now: Time) -> u64 {
        self.offenders.clear();
        let mut ledger = self.ledger.lock();
        let Ledger { order, writer } = &mut *ledger;
        let live = order.live(now);
        // Each generation has an entry.
        if order.len() > 0 {
            self.table.forget(writer);
            order.forget();
            self.outlook.publish(order, now);
        }
        u64::from(live)
    }

    /// Frees a slice of what was cleared or has expired.
    fn sweep(&self, ledger: &mut Ledger, now: Time) {
        let Ledger { order, writer } = ledger;
        for _ in 0..Self::SLICE {
            let slot = order.forgotten().or_else(|| {
                let (slot, _) = order.first().filter(|first| first.1 < now)?;
                order.remove(slot);
                Some(slot)
            });
            let Some(slot) = slot else { return };
            self.table.remove(writer, slot);
        }
    }

    /// Whether the backend may be used, for an object or (no digest) as a whole. Of two reasons against
    /// it, the object's is the one given.
    pub fn verdict(&self, digest: Option<&Digest>, now: Time) -> Verdict {
        if self.threshold() == 0 || !self.outlook.any_live(now) {
            Verdict::Healthy
        } else if digest.and_then(|digest| self.until(digest)).is_some_and(|until| now <= until) {
            Verdict::ObjectDenied
        } else if self.outlook.threshold_reached(now) {
            Verdict::ThresholdReached
        } else {
            Verdict::Healthy
        }
    }

    fn until(&self, digest: &Digest) -> Option<Time> {
        Some(self.found(digest)?.until)
    }

    fn found(&self, digest: &Digest) -> Option<Found> {
        for _ in 0..Self::ATTEMPTS {
            if let Ok(found) = self.table.find(digest) {
                return found;
            }
            spin_loop();
        }
        let _no_writer_but_us = self.ledger.lock();
        self.table.find(digest).ok()?
    }

    /// Whether any entry is live, for whatever object. Takes no lock.
    #[inline]
    pub fn any_live(&self, now: Time) -> bool {
        self.outlook.any_live(now)
    }

    /// Whether as many as the threshold are live, as [`Denylist::verdict`] has it for objects that are not denied.
    pub fn threshold_reached(&self, now: Time) -> bool {
        self.outlook.threshold_reached(now)
    }

    /// Says why the object's entry was made, if it has one.
    pub fn explain(&self, digest: &Digest, reason: Reason) {
        let mut ledger = self.ledger.lock();
        if let Ok(Some(found)) = self.table.find(digest) {
            self.table.explain(&mut ledger.writer, found.slot, reason);
        }
    }

    /// Counts that the object's entry refused.
    pub fn hit(&self, digest: &Digest) {
        if let Some(found) = self.found(digest) {
            self.table.hit(found.slot);
        }
    }

    /// The entries that are live at `now`, the first to go first: from the one behind `position` on, and so many at
    /// most. The lock is held for a few of them at a time.
    pub fn entries(&self, position: Option<Position>, most: usize, now: Time) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut position = position.unwrap_or_default().not_before(now);
        while entries.len() < most {
            let ledger = self.ledger.lock();
            for _ in 0..Self::SLICE.min(most - entries.len()) {
                let Some((slot, until)) = ledger.order.behind(position.until, position.slot) else { return entries };
                position = Position { until, slot };
                if let Some((digest, reason, hits)) = self.table.details(&ledger.writer, slot) {
                    entries.push(Entry { digest, until, reason, hits, position });
                }
            }
        }
        entries
    }

    /// How many objects are denied at `now`.
    pub fn live(&self, now: Time) -> u64 {
        if self.outlook.any_live(now) { u64::from(self.ledger.lock().order.live(now)) } else { 0 }
    }

    /// When the threshold was last reached or left, seen from `now`; `None` if it never was.
    pub fn changed(&self, now: Time) -> Option<Time> {
        let ends = self.outlook.ends.load(Relaxed);
        let over = ends != PAST && ends < now.millis();
        let changed = if over { ends } else { self.outlook.changed.load(Relaxed) };
        (changed != PAST).then(|| Time::from_millis(changed))
    }

    /// How many live entries make the backend sick as a whole; 0 if they never do.
    pub fn threshold(&self) -> u64 {
        self.outlook.threshold.load(Relaxed)
    }

    /// Sets another threshold, which counts at once for the entries there are.
    pub fn set_threshold(&self, threshold: u64, now: Time) {
        let ledger = self.ledger.lock();
        self.outlook.threshold.store(threshold, Relaxed);
        self.outlook.publish(&ledger.order, now);
    }
}

#[cfg(test)]
mod tests;
