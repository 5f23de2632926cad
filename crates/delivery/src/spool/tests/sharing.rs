// SPDX-License-Identifier: BSD-2-Clause
//! Who has a spool: all clients of a process that send to the same project, and one process.

use super::*;
use crate::counters::Counter;
use protocol::reason::Reason;

#[test]
fn clients_of_one_project_share_a_spool_and_others_have_their_own() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let first = Opening::new(&clock).open(&spools, &root);
    let second = Opening { dsn: "https://other@h/1", ..Opening::new(&clock) }.open(&spools, &root);
    let stranger = Opening { dsn: "https://k@h/2", ..Opening::new(&clock) }.open(&spools, &root);
    assert!(first.keep(1));
    assert!(stranger.take().is_none());
    let entry = second.take().unwrap();
    assert_eq!(entry.id(), id(1));
    assert!(items(&entry).ends_with("\n{\"n\":1}\n"));
    assert!(Arc::ptr_eq(entry.ledger(), &first.ledger));
    second.handle.settle(entry.lease(), Fate::Sent);
    second.condition();
    // It counts where it was captured, whoever sends it.
    assert_eq!((first.told(Tally::Sent), first.told(Tally::Spooled)), (1, 0));
    assert_eq!(second.told(Tally::Sent), 0);
}

#[test]
fn a_client_that_takes_the_place_of_another_has_the_spool_at_once() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let old = Opening::new(&clock).open(&spools, &root);
    for n in 1..=30 {
        assert!(old.keep(n));
    }
    // Another age: changed settings.
    let new = Opening { age: LONG * 10_000, ..Opening::new(&clock) }.open(&spools, &root);
    assert!(new.keep(31), "with the old one still there");
    let held = old.take().unwrap();
    drop(old.handle);
    // What the old one held is free again.
    assert_eq!(new.drain(), ids(1..=31));
    drop(held);
    drop(new.handle);
    let last = Opening::new(&clock).open(&spools, &root);
    assert!(last.keep(1), "right after all had gone");
    assert!(last.lines().contains("0 entries"), "{}", last.lines());
}

#[test]
fn a_client_that_comes_to_an_open_spool_is_told_that_it_can_be_used() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let first = Opening::new(&clock).open(&spools, &root);
    assert!(first.keep(1));
    let second = Opening::new(&clock).open(&spools, &root);
    assert!(matches!(second.replies.recv_timeout(LONG), Ok(Reply::Changed)));
    let condition = second.handle.condition();
    assert!(condition.usable && condition.ready == 1);
}

#[test]
fn the_newest_clients_bounds_count() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let old = Opening::new(&clock).open(&spools, &root);
    for n in 1..=10 {
        assert!(old.keep(n));
    }
    let new = Opening { bytes: 4 * 4096, ..Opening::new(&clock) }.open(&spools, &root);
    let condition = new.condition();
    assert_eq!((condition.entries, condition.bytes), (4, 4 * 4096));
    assert_eq!(old.told(Tally::Dropped(Reason::CacheOverflow)), 6);
    assert!(new.reported().contains(r#"{"reason":"cache_overflow","category":"error","quantity":6}"#));
    drop(new.handle);
    old.condition();
    assert!((11..=20).all(|n| old.keep(n)));
    assert_eq!(old.condition().entries, 14);
}

#[test]
fn each_name_says_once_what_may_be_in_the_spool() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let (one, other) = (Arc::new(Ledger::new(None)), Arc::new(Ledger::new(None)));
    let bounds = || [&one, &other].map(|ledger| ledger.get(Counter::SpoolMaxBytes));
    let open = |ledger: &Arc<Ledger>, bytes| {
        let peer = Opening { bytes, ledger: ledger.clone(), ..Opening::new(&clock) }.open(&spools, &root);
        peer.condition();
        peer
    };
    let first = open(&one, 9 << 20);
    assert_eq!(bounds(), [9 << 20, 0]);
    let second = open(&one, 5 << 20);
    assert_eq!(bounds(), [5 << 20, 0], "it is one spool, with the newest client's bound");
    let third = open(&other, 7 << 20);
    assert_eq!(bounds(), [7 << 20, 7 << 20]);
    drop((first.handle, third.handle));
    second.condition();
    assert_eq!(bounds(), [5 << 20, 0]);
    drop(second.handle);
    let last = open(&other, 6 << 20);
    assert_eq!(bounds(), [0, 6 << 20]);
    drop(last);
}

#[test]
fn another_process_waits_for_the_lock_and_has_it_within_a_second() {
    let (root, one, other) = (Root::new(), Spools::default(), Spools::default());
    let first = Opening::real().open(&one, &root);
    assert!(first.keep(1));
    let second = Opening::real().open(&other, &root);
    let condition = second.condition();
    assert!(!condition.usable && condition.failing);
    assert!(condition.last_error.unwrap().contains("h,1 is in use by another varnishd"));
    assert!(!second.keep(2) && second.take().is_none());
    drop(first.handle);
    let dropped = Instant::now();
    second.wait_until(|condition| condition.usable);
    // The pause is a second; the rest is for a busy machine.
    assert!(dropped.elapsed() < Duration::from_secs(4), "{:?}", dropped.elapsed());
    assert_eq!(second.told(Tally::Found), 1);
    assert_eq!(second.drain(), ids([1]));
    assert!(!second.condition().failing);
    let lines = second.lines();
    assert_eq!(lines.matches("in use").count(), 1, "{lines}");
}

#[test]
fn what_is_in_a_spool_that_was_closed_is_not_found_again_and_what_has_gone_is_told() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let first = Opening::new(&clock).open(&spools, &root);
    assert!((1..=3).all(|n| first.keep(n)));
    let ledger = first.ledger.clone();
    drop(first.handle);
    // It still is there.
    assert_eq!(ledger.told(Category::Error, Tally::Spooled), 3);
    // Another process sends one.
    let other = {
        let spools = Spools::default();
        let other = Opening::real().open(&spools, &root);
        other.wait_until(|condition| condition.usable);
        let entry = other.take().unwrap();
        other.handle.settle(entry.lease(), Fate::Sent);
        assert_eq!(other.condition().entries, 2);
        other.ledger
    };
    assert_eq!(other.told(Category::Error, Tally::Found), 3);
    let again = Opening::real().open(&spools, &root);
    again.wait_until(|condition| condition.usable);
    assert_eq!(again.condition().entries, 2);
    assert_eq!(again.told(Tally::Found), 0);
    let told = |tally| ledger.told(Category::Error, tally);
    assert_eq!((told(Tally::Spooled), told(Tally::Dropped(Reason::CacheOverflow))), (2, 1));
    assert!(again.lines().contains("1 entries have gone"), "{}", again.lines());
    // It may well have arrived.
    assert_eq!(again.reported(), "");
}
