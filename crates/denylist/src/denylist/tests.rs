// SPDX-License-Identifier: BSD-2-Clause
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
        assert_eq!(list.any_live(at(now)), live > 0, "{now}");
    }
    assert_eq!(list.verdict(Some(&digest(2)), at(0)), Verdict::Healthy);
    assert_eq!(list.verdict(None, at(0)), Verdict::Healthy);
    // In that millisecond one more may come, and only that far.
    assert_eq!(list.deny(&digest(2), at(500), at(500)), NEW);
    assert_eq!([1, 2].map(|n| list.verdict(Some(&digest(n)), at(500))), [Verdict::ObjectDenied; 2]);
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
    assert!((0..1_000).filter(|n| list.verdict(Some(&digest(*n)), at(100)) == Verdict::ObjectDenied).count() == 999);
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
        list.entries(None, 9, at(now)).iter().map(|entry| (entry.reason.to_string(), entry.hits)).collect::<Vec<_>>()
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
