// SPDX-License-Identifier: BSD-2-Clause
//! The worker's thread: nobody waits for it, it is there only when it is needed, and what it is asked is replied to, once.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;
use crate::counters::Counter;
use crate::spool::inbox::MOST_WAITING;

/// Waits for a thread's end, which nothing tells.
fn wait(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_slow_disk_stalls_nobody_and_an_end_is_exact() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    let other = Opening::new(&clock).open(&spools, &root);
    assert!(peer.keep(1));
    disk.set(|faults| faults.stalled = true);
    let start = Instant::now();
    for n in 2..=5 {
        peer.handle.keep(n, peer.written(n, 1_000_000));
    }
    peer.handle.take();
    other.handle.keep(6, other.written(6, 1_000_000));
    disk.wait_for_writer();
    assert_eq!(peer.handle.condition().entries, 1);
    drop(peer.handle);
    assert!(start.elapsed() < LONG / 2, "nothing of this waited for the disk");
    // One was being written, the others waited: all have been told, before the end was.
    let mut told = HashSet::new();
    let mut taken = 0;
    while let Ok(reply) = peer.replies.try_recv() {
        match reply {
            Reply::Kept { ticket, kept: false } => assert!(told.insert(ticket)),
            Reply::Taken(None) => taken += 1,
            Reply::Changed => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((told, taken), (HashSet::from([2, 3, 4, 5]), 1));
    disk.set(|faults| faults.stalled = false);
    assert!(matches!(other.reply(), Reply::Kept { ticket: 6, kept: true }));
    // What was written all the same is none of ours any more.
    assert_eq!(other.condition().entries, 2);
    assert_eq!(root.names().len(), 2);
    assert_eq!(peer.ledger.told(Category::Error, Tally::Spooled), 1);
    assert_eq!(peer.ledger.told(Category::Error, Tally::SpoolWritten), 1);
    assert_eq!(other.drain(), ids([1, 6]));
    assert!(peer.replies.try_iter().all(|reply| matches!(reply, Reply::Changed)));
}

#[test]
fn a_spool_that_has_nothing_to_remember_goes_when_another_one_comes() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let empty = Opening::new(&clock).open(&spools, &root);
    empty.condition();
    let full = Opening { dsn: "https://k@h/2", ..Opening::new(&clock) }.open(&spools, &root);
    assert!(full.keep(1));
    assert_eq!(spools.number(), 2);
    drop((empty.handle, full.handle));
    wait(|| {
        Opening { dsn: "https://k@h/3", ..Opening::new(&clock) }.open(&spools, &root);
        spools.number() == 2
    });
}

#[test]
fn a_client_that_asks_for_too_much_is_told_no() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    peer.condition();
    disk.set(|faults| faults.stalled = true);
    let number = MOST_WAITING as u64 + 10;
    peer.handle.keep(0, peer.written(0, 1_000_000));
    disk.wait_for_writer();
    (1..number).for_each(|n| peer.handle.keep(n, peer.written(n, 1_000_000 + n)));
    disk.set(|faults| faults.stalled = false);
    let replies: Vec<_> = (0..number).map(|_| peer.reply()).collect();
    let kept = |of: &Reply| matches!(of, Reply::Kept { kept: true, .. });
    assert_eq!(replies.iter().filter(|reply| kept(reply)).count(), MOST_WAITING + 1);
    assert!(peer.take().is_some());
}

#[test]
fn a_panic_costs_one_operation() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!((1..=3).all(|n| peer.keep(n)));
    disk.set(|faults| faults.panic = true);
    assert!(!peer.keep(4));
    disk.set(|faults| faults.panic = true);
    clock.pass(LONG);
    assert!(peer.take().is_none());
    assert_eq!(peer.condition().entries, 3);
    assert_eq!(peer.ledger.get(Counter::Panics), 2);
    clock.pass(LONG);
    assert!(peer.keep(5));
    assert_eq!(peer.drain(), ids([1, 2, 3, 5]));
    assert!(!peer.condition().failing);
}

#[test]
fn a_client_that_does_not_bear_a_reply_holds_nothing() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let settings = SpoolSettings { folder: root.0.clone(), bytes: 1 << 20, age: LONG * 100_000 };
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(peer.keep(1));
    let client = SpoolClient {
        ledger: peer.ledger.clone(),
        report: None,
        notices: Arc::new(Notices::new(peer.lines.clone(), "bad".to_owned(), Epoch::new(clock.now()))),
        replies: Box::new(|reply| assert!(matches!(reply, Reply::Changed), "it panics")),
    };
    let bad = spools.open(&Dsn::parse(PROJECT).unwrap(), &settings, client, clock.clone(), spawn_thread);
    bad.take();
    bad.keep(1, peer.written(2, 1_000_000));
    assert_eq!(peer.condition().entries, 1);
    assert_eq!(peer.drain(), ids([1]));
}

static THREADS: AtomicU32 = AtomicU32::new(0);
static STARTED: AtomicU32 = AtomicU32::new(0);

fn counted(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    assert!(name.len() <= 15);
    THREADS.fetch_add(1, Ordering::SeqCst);
    STARTED.fetch_add(1, Ordering::SeqCst);
    spawn_thread(
        name,
        Box::new(move || {
            work();
            THREADS.fetch_sub(1, Ordering::SeqCst);
        }),
    )
}

#[test]
fn a_thread_is_there_when_it_is_needed_and_not_after_its_clients() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening { spawn: counted, ..Opening::new(&clock) }.open(&spools, &root);
    assert!(peer.keep(1));
    wait(|| THREADS.load(Ordering::SeqCst) == 0);
    // The folder is still ours.
    assert!(matches!(directory::open(&root.0, "h,1"), Err(crate::spool::disk::Unusable::Taken)));
    assert_eq!(STARTED.load(Ordering::SeqCst), 1);
    assert!(peer.keep(2));
    assert_eq!(STARTED.load(Ordering::SeqCst), 2);
    drop(peer.handle);
    let dropped = Instant::now();
    wait(|| THREADS.load(Ordering::SeqCst) == 0);
    // It did not wait for being idle; the margin is for a busy machine.
    assert!(dropped.elapsed() < Duration::from_millis(1500), "{:?}", dropped.elapsed());
    assert!(directory::open(&root.0, "h,1").is_ok());
}

static BROKEN: AtomicBool = AtomicBool::new(true);

fn broken(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    if BROKEN.load(Ordering::SeqCst) { Err(io::ErrorKind::WouldBlock.into()) } else { spawn_thread(name, work) }
}

#[test]
fn without_a_thread_all_are_told_no_and_it_is_tried_again() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening { spawn: broken, ..Opening::new(&clock) }.open(&spools, &root);
    assert!(!peer.keep(1) && peer.take().is_none());
    assert!(!peer.handle.condition().usable);
    assert!(peer.ledger.get(Counter::ThreadFailures) >= 3);
    assert!(peer.lines().contains("the spool's thread cannot be started"));
    BROKEN.store(false, Ordering::SeqCst);
    peer.wait_until(|condition| condition.usable);
    assert!(peer.keep(2));
    assert_eq!(peer.drain(), ids([2]));
}
