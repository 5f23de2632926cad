// SPDX-License-Identifier: BSD-2-Clause
//! Many threads at one list: nothing is lost, nothing appears, counts are exact in the end.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use denylist::{Denied, Denylist, Digest, Time, Verdict};

fn digest(thread: u64, object: u64) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&thread.to_le_bytes());
    digest[8..16].copy_from_slice(&object.to_le_bytes());
    digest
}

fn at(millis: u64) -> Time {
    Time::from_seconds(millis as f64 / 1000.0)
}

#[test]
fn denials_of_many_threads_add_up_to_the_millisecond() {
    const THREADS: u64 = 4;
    const OWN: u64 = 3_000;
    const SHARED: u64 = 500;
    let list = Denylist::new(THREADS * OWN + SHARED, 100_000);
    let start = Barrier::new(THREADS as usize);
    let news = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|own| {
                let (list, start) = (&list, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut news = 0;
                    for n in 0..OWN {
                        let denied = list.deny(&digest(own, n), at(10_000 + n), at(0));
                        assert_eq!(denied, Denied::New { evicted: false });
                        assert_eq!(list.verdict(Some(&digest(own, n)), at(10_000 + n)), Verdict::ObjectDenied);
                        // Each thread gives the shared objects another time; the longest one stays.
                        let shared = list.deny(&digest(THREADS, n % SHARED), at(20_000 + own), at(0));
                        news += u64::from(shared == Denied::New { evicted: false });
                    }
                    news
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>()
    });
    assert_eq!(news, SHARED);
    assert_eq!(list.live(at(10_000)), THREADS * OWN + SHARED);
    assert_eq!(list.verdict(None, at(10_000)), Verdict::ThresholdReached);
    assert_eq!(list.verdict(None, at(10_001)), Verdict::Healthy);
    for n in [1, 2, 1_499, OWN - 1] {
        assert_eq!(list.live(at(10_000 + n)), THREADS * (OWN - n) + SHARED);
    }
    assert_eq!(list.live(at(20_000 + THREADS - 1)), SHARED);
    assert_eq!(list.live(at(20_000 + THREADS)), 0);
}

const LASTING: u64 = 40;

/// Two threads write while two ask for entries that last and for objects that never had one.
fn ask_while_writing(list: &Denylist, write: impl Fn(u64) + Sync) {
    for n in 0..LASTING {
        list.deny(&digest(9, n), Time::NEVER, at(0));
    }
    let (write, done) = (&write, &AtomicBool::new(false));
    thread::scope(|scope| {
        let readers = [(), ()].map(|()| {
            scope.spawn(move || {
                let mut asked = 0;
                while !done.load(Relaxed) {
                    let n = asked % LASTING;
                    assert_eq!(list.verdict(Some(&digest(9, n)), at(asked)), Verdict::ObjectDenied);
                    assert_eq!(list.verdict(Some(&digest(8, n)), at(asked)), Verdict::Healthy);
                    asked += 1;
                }
                asked
            })
        });
        let written = [0, 1].map(|own| scope.spawn(move || write(own))).map(|writer| writer.join());
        done.store(true, Relaxed);
        assert!(written.iter().all(Result::is_ok));
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

#[test]
fn readers_are_right_while_the_table_grows() {
    let list = Denylist::new(u64::MAX, 30_000);
    ask_while_writing(&list, |own| {
        for n in 0..10_000 {
            list.deny(&digest(own, n), at(n + 1), at(0));
        }
    });
    assert_eq!(list.live(at(0)), LASTING + 2 * 10_000);
    assert_eq!(list.live(at(10_001)), LASTING);
}

/// So few slots that each chain changes all the time: a reader that trusted what it read meanwhile
/// would follow a slot into another chain and miss what lasts.
#[test]
fn readers_are_right_while_every_slot_is_used_again() {
    let list = Denylist::new(u64::MAX, 30_000);
    ask_while_writing(&list, |own| {
        for n in 0..60_000 {
            list.deny(&digest(own, n), at(n + 10), at(n));
        }
    });
    // Each writer's entries of its last 11 milliseconds are live at the last one.
    assert_eq!(list.live(at(59_999)), LASTING + 2 * 11);
    assert_eq!(list.live(at(60_010)), LASTING);
}

#[test]
fn the_bound_holds_whoever_enters() {
    let list = Denylist::new(0, 100);
    let evicted: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|own| {
                let list = &list;
                scope.spawn(move || {
                    let mut evicted = 0;
                    for n in 0..2_000 {
                        let denied = list.deny(&digest(own, n), at(10_000 + n), at(0));
                        evicted += u64::from(matches!(denied, Denied::New { evicted: true } | Denied::Refused));
                        assert!(list.live(at(0)) <= 100);
                    }
                    evicted
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(list.live(at(0)), 100);
    assert_eq!(evicted, 4 * 2_000 - 100);
    // Those that last longest are the ones left: the last 25 of each thread.
    assert_eq!(list.live(at(11_975)), 100);
    assert_eq!(list.live(at(11_976)), 96);
}
