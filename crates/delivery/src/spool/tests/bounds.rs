// SPDX-License-Identifier: BSD-2-Clause
//! How much is kept, and how long.

use super::*;
use crate::counters::Counter;
use protocol::reason::Reason;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_oldest_goes_when_there_is_too_much_but_never_one_on_its_way() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening { bytes: 3 * 4096, ..Opening::new(&clock) }.open(&spools, &root);
    assert!((1..=3).all(|n| peer.keep(n)));
    let held = peer.take().unwrap();
    assert!(peer.keep(4) && peer.keep(5));
    assert_eq!(peer.condition().bytes, 3 * 4096);
    let overflow = Tally::Dropped(Reason::CacheOverflow);
    assert_eq!((peer.told(overflow), peer.told(Tally::Spooled)), (2, 3));
    assert_eq!((peer.ledger.get(Counter::SpoolEntries), peer.ledger.get(Counter::SpoolBytes)), (3, 3 * 4096));
    peer.handle.settle(held.lease(), Fate::Sent);
    assert_eq!(peer.drain(), ids([4, 5]));
    assert!(peer.lines().contains("full or too old, dropped the oldest"));
    assert_eq!((peer.ledger.get(Counter::SpoolEntries), peer.ledger.get(Counter::SpoolBytes)), (0, 0));
}

#[test]
fn an_entry_larger_than_the_spool_costs_no_other_one() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening { bytes: 3 * 4096, ..Opening::new(&clock) }.open(&spools, &root);
    assert!(peer.keep(1));
    let large = |length: usize| vec![(Part::new(Category::Error, 1), vec![b'x'; length])];
    assert!(!peer.keep_written(Written { parts: large(3 * 4096), ..peer.written(2, 1_000_000) }));
    assert!(peer.keep(3), "and there is no pause after it");
    assert_eq!(peer.drain(), ids([1, 3]));
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(!peer.keep_written(Written { parts: large(4 << 20), ..peer.written(2, 1_000_000) }));
    // More parts than a name has room for.
    let parts = vec![(Part::new(Category::TraceMetricByte, u64::MAX), b"x".to_vec()); 9];
    assert!(!peer.keep_written(Written { parts, ..peer.written(2, 1_000_000) }));
    assert!(peer.keep(4));
}

#[test]
fn what_is_too_old_goes() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening { age: DAY, ..Opening::new(&clock) }.open(&spools, &root);
    let second = |day: u64| 1_000_000 + day * DAY.as_secs();
    for n in 0..4 {
        assert!(peer.keep_written(peer.written(n, second(n))));
        clock.pass(Duration::from_secs(if n < 3 { DAY.as_secs() } else { 0 }));
    }
    assert_eq!(peer.drain(), ids([2, 3]));
    assert_eq!(peer.told(Tally::Dropped(Reason::CacheOverflow)), 2);
}

#[test]
fn a_clock_that_jumps_ahead_drops_nothing() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening { age: DAY, ..Opening::new(&clock) }.open(&spools, &root);
    assert!((1..=5).all(|n| peer.keep(n)));
    clock.jump(DAY * 30);
    let newest = Opening { age: DAY, ..Opening::new(&clock) }.open(&spools, &root);
    assert!(newest.keep(6));
    let held = newest.take().unwrap();
    newest.handle.settle(held.lease(), Fate::Sent);
    assert_eq!(newest.condition().entries, 5);
    // Once it is right again, it is believed again.
    clock.0.lock().1 -= DAY * 30;
    clock.pass(DAY - Duration::from_secs(10_000 - 3));
    assert_eq!(newest.drain(), ids([3, 4, 5, 6]));
}
