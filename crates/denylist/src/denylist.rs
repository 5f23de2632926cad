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
            (false, false) if ends != PAST => {
                self.changed.store(ends, Relaxed);
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
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::failures::Outcome;
    use crate::offenders::{Standing, Terms};

    fn digest(n: u64) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        digest
    }

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    const NEW: Denied = Denied::New { evicted: false };

    #[test]
    fn an_entry_is_live_to_the_last_millisecond_and_not_beyond() {
        let list = Denylist::new(2, 10);
        assert_eq!(list.deny(&digest(1), at(500), at(0)), NEW);
        for (now, live, verdict) in
            [(499, 1, Verdict::ObjectDenied), (500, 1, Verdict::ObjectDenied), (501, 0, Verdict::Healthy)]
        {
            assert_eq!((list.live(at(now)), list.verdict(Some(&digest(1)), at(now))), (live, verdict), "{now}");
        }
        assert_eq!(list.verdict(Some(&digest(2)), at(0)), Verdict::Healthy);
        assert_eq!(list.verdict(None, at(0)), Verdict::Healthy);
    }

    #[test]
    fn the_threshold_is_reached_at_it_and_left_with_the_first_expiry() {
        let list = Denylist::new(3, 10);
        for n in 0..3 {
            assert_eq!(list.verdict(None, at(0)), Verdict::Healthy);
            list.deny(&digest(n), at(100 + n as i64), at(0));
        }
        assert_eq!(list.verdict(None, at(100)), Verdict::ThresholdReached);
        assert_eq!(list.verdict(Some(&digest(9)), at(100)), Verdict::ThresholdReached);
        assert_eq!(list.verdict(Some(&digest(2)), at(100)), Verdict::ObjectDenied);
        assert_eq!(list.verdict(Some(&digest(9)), at(101)), Verdict::Healthy);
        assert_eq!(list.threshold(), 3);
    }

    #[test]
    fn the_last_change_is_the_trip_and_then_the_end_of_it() {
        let list = Denylist::new(2, 10);
        assert_eq!(list.changed(at(0)), None);
        list.deny(&digest(1), at(100), at(0));
        list.deny(&digest(2), at(200), at(50));
        assert_eq!([50, 100, 101, 300].map(|now| list.changed(at(now))), [50, 50, 100, 100].map(|then| Some(at(then))));
        // Longer in the middle of it; then over, and a call that finds it over.
        list.deny(&digest(1), at(150), at(60));
        assert_eq!([60, 150, 151].map(|now| list.changed(at(now))), [50, 50, 150].map(|then| Some(at(then))));
        list.deny(&digest(1), at(180), at(170));
        assert_eq!([170, 181].map(|now| list.changed(at(now))), [170, 180].map(|then| Some(at(then))));
        list.deny(&digest(3), at(500), at(400));
        assert_eq!(list.changed(at(600)), Some(at(180)));
    }

    #[test]
    fn an_allowed_object_is_denied_no_more_and_the_others_are() {
        let list = Denylist::new(2, 10);
        list.deny(&digest(1), at(100), at(0));
        list.deny(&digest(2), at(100), at(0));
        assert_eq!((list.allow(&digest(1), at(10)), list.allow(&digest(1), at(10))), (true, false));
        assert_eq!((list.live(at(10)), list.changed(at(10))), (1, Some(at(10))));
        assert_eq!(list.verdict(Some(&digest(1)), at(10)), Verdict::Healthy);
        assert_eq!(list.verdict(Some(&digest(2)), at(10)), Verdict::ObjectDenied);
        assert!(!list.allow(&digest(2), at(101)), "over by itself");
        assert_eq!(list.deny(&digest(1), at(300), at(200)), NEW);
    }

    #[test]
    fn what_is_cleared_is_gone_at_once_and_freed_in_slices() {
        let list = Denylist::new(1, 1_000);
        for n in 0..1_000 {
            list.deny(&digest(n), at(100 + n as i64), at(0));
        }
        assert_eq!(list.clear(at(100)), 1_000);
        assert_eq!((list.clear(at(100)), list.live(at(100))), (0, 0));
        assert_eq!(list.verdict(Some(&digest(1)), at(100)), Verdict::Healthy);
        assert!(list.entries(None, 10, at(100)).is_empty());
        // The full table has room again, also for what was in it.
        for n in (0..500).rev() {
            assert_eq!(list.deny(&digest(n), at(900), at(100)), NEW, "{n}");
        }
        assert_eq!(list.clear(at(100)), 500);
        for n in 0..1_000 {
            assert_eq!(list.deny(&digest(n), at(900), at(100)), NEW, "{n}");
        }
        assert_eq!(list.live(at(100)), 1_000);
        assert_eq!(list.deny(&digest(1_000), at(901), at(100)), Denied::New { evicted: true });
        assert!(
            (0..1_000).filter(|n| list.verdict(Some(&digest(*n)), at(100)) == Verdict::ObjectDenied).count() == 999
        );
    }

    #[test]
    fn another_threshold_counts_for_the_entries_there_are() {
        let list = Denylist::new(3, 10);
        list.deny(&digest(1), at(100), at(0));
        list.deny(&digest(2), at(100), at(0));
        let mut verdicts = Vec::new();
        for threshold in [2, 0, 3, 1] {
            list.set_threshold(threshold, at(10 * threshold as i64));
            verdicts.push((list.threshold(), list.verdict(None, at(50)) == Verdict::Healthy));
        }
        assert_eq!(verdicts, [(2, false), (0, true), (3, true), (1, false)]);
    }

    #[test]
    fn one_object_counts_once_with_its_longest_time() {
        let list = Denylist::new(2, 10);
        assert_eq!(list.deny(&digest(1), at(100), at(0)), NEW);
        assert_eq!(list.deny(&digest(1), at(100), at(0)), Denied::Kept);
        assert_eq!(list.deny(&digest(1), at(50), at(0)), Denied::Kept);
        assert_eq!(list.deny(&digest(1), at(200), at(0)), Denied::Extended);
        assert_eq!((list.live(at(0)), list.live(at(200)), list.live(at(201))), (1, 1, 0));
        assert_eq!(list.verdict(None, at(0)), Verdict::Healthy);
        assert_eq!(list.deny(&digest(1), at(300), at(201)), NEW);
        assert_eq!(list.deny(&digest(1), at(299), at(301)), Denied::Over);
    }

    #[test]
    fn threshold_zero_denies_nothing_but_counts() {
        let list = Denylist::new(0, 2);
        for n in 0..5 {
            list.deny(&digest(n), at(100), at(0));
            assert_eq!(list.verdict(Some(&digest(n)), at(0)), Verdict::Healthy);
        }
        assert_eq!(list.live(at(0)), 2);
    }

    #[test]
    fn at_the_bound_the_first_to_expire_goes() {
        let list = Denylist::new(9, 2);
        list.deny(&digest(1), at(200), at(0));
        list.deny(&digest(2), at(100), at(0));
        assert_eq!(list.deny(&digest(3), at(99), at(0)), Denied::Refused);
        assert_eq!(list.deny(&digest(3), at(101), at(0)), Denied::New { evicted: true });
        let denied = [1, 2, 3].map(|n| list.verdict(Some(&digest(n)), at(0)) == Verdict::ObjectDenied);
        assert_eq!(denied, [true, false, true]);
        // An expired entry makes room without being evicted.
        assert_eq!(list.deny(&digest(4), at(300), at(102)), NEW);
        assert_eq!(Denylist::new(9, 0).deny(&digest(1), at(1), at(0)), Denied::Refused);
    }

    #[test]
    fn a_thousand_expired_entries_go_in_slices_and_count_at_once() {
        let list = Denylist::new(1, 1_000);
        for n in 0..1_000 {
            list.deny(&digest(n), at(10), at(0));
        }
        assert_eq!((list.live(at(10)), list.live(at(11))), (1_000, 0));
        assert_eq!(list.verdict(None, at(11)), Verdict::Healthy);
        // The last one is not swept yet, and new all the same.
        assert_eq!(list.deny(&digest(999), at(20), at(11)), NEW);
        let kept = |list: &Denylist| list.ledger.lock().order.len() as usize;
        assert_eq!(kept(&list), 1_000 - Denylist::SLICE);
        assert_eq!(list.live(at(11)), 1);
        for _ in 0..1_000 / Denylist::SLICE {
            list.deny(&digest(999), at(20), at(11));
        }
        assert_eq!((kept(&list), list.live(at(11))), (1, 1));
    }

    #[test]
    fn entries_come_in_the_order_of_their_end_and_page_by_page() {
        let list = Denylist::new(9, 1_000);
        for n in 0..100 {
            list.deny(&digest(n), at(1_000 - 10 * (n as i64 / 2)), at(0));
        }
        let all = list.entries(None, 1_000, at(600));
        assert_eq!(all.len(), 82);
        assert!(all.is_sorted_by_key(|entry| entry.until));
        let mut paged = list.entries(None, 7, at(600));
        while let Some(last) = paged.last() {
            let next = list.entries(Some(last.position), 7, at(600));
            if next.is_empty() {
                break;
            }
            paged.extend(next);
        }
        assert_eq!(paged, all);
        // One that is gone, and one that lasts longer now, leave the others where they are.
        let middle = all[40];
        list.deny(&middle.digest, at(5_000), at(0));
        let rest = list.entries(Some(middle.position), 1_000, at(600));
        assert_eq!((&rest[..41], rest[41].digest), (&all[41..], middle.digest));
    }

    #[test]
    fn an_entry_tells_why_it_was_made_and_how_often_it_refused() {
        let list = Denylist::new(9, 10);
        list.deny(&digest(1), at(100), at(0));
        list.explain(&digest(1), Reason::of(Outcome::Status(503)));
        list.explain(&digest(2), Reason::of(Outcome::Status(500)));
        for _ in 0..3 {
            list.hit(&digest(1));
            list.hit(&digest(2));
        }
        let told = |list: &Denylist, now| {
            list.entries(None, 9, at(now))
                .iter()
                .map(|entry| (entry.reason.to_string(), entry.hits))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&list, 0), [("503".to_owned(), 3)]);
        for _ in 0..70_000 {
            list.hit(&digest(1));
        }
        assert_eq!(told(&list, 0), [("503".to_owned(), u16::MAX)]);
        // The next one in its slot begins anew.
        list.deny(&digest(3), at(300), at(200));
        assert_eq!(told(&list, 200), [("vcl".to_owned(), 0)]);
    }

    #[test]
    fn what_never_expires_outlives_every_clock() {
        let list = Denylist::new(1, 10);
        let now = Time::from_seconds(1.8e9);
        list.deny(&digest(1), now.plus(f64::INFINITY), now);
        let last = Time::from_seconds(f64::INFINITY);
        assert_eq!((list.live(last), list.verdict(None, last)), (1, Verdict::ThresholdReached));
        assert_eq!(list.verdict(Some(&digest(1)), last), Verdict::ObjectDenied);
    }

    #[test]
    fn who_is_allowed_or_cleared_is_no_offender_any_more() {
        let (list, terms) = (Denylist::new(9, 10), Terms { max_ttl: 0.0, half_open: true });
        for end in [|list: &Denylist| list.allow(&digest(1), at(1)), |list: &Denylist| list.clear(at(1)) > 0] {
            list.deny(&digest(1), at(10_000), at(0));
            list.offenders().offend(&digest(1), 10.0, at(0), &terms, 0.5);
            assert_eq!(list.offenders().standing(&digest(1), None, at(10_001)), Standing::Trial);
            assert!(end(&list));
            assert_eq!(list.offenders().standing(&digest(1), None, at(10_001)), Standing::Clear);
        }
    }

    #[test]
    fn an_absurd_bound_costs_what_the_largest_does() {
        let list = Denylist::new(u64::MAX, usize::MAX);
        assert_eq!(list.max_entries as usize, MAX_ENTRIES);
        assert_eq!(list.deny(&digest(1), at(1), at(0)), NEW);
        assert_eq!(list.live(at(0)), 1);
    }

    #[test]
    fn a_verdict_that_only_meets_a_writer_waits_for_the_lock() {
        let list = Denylist::new(1, 10);
        list.deny(&digest(1), at(1), at(0));
        let started = Barrier::new(2);
        thread::scope(|scope| {
            let ledger = list.ledger.lock();
            let mut reader = None;
            list.table.change(|| {
                let read = scope.spawn(|| {
                    started.wait();
                    list.verdict(Some(&digest(1)), at(0))
                });
                started.wait();
                for _ in 0..10_000 {
                    thread::yield_now();
                }
                assert!(!read.is_finished());
                reader = Some(read);
            });
            drop(ledger);
            assert_eq!(reader.and_then(|read| read.join().ok()), Some(Verdict::ObjectDenied));
        });
    }
}
