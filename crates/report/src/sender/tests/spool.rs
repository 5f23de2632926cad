// SPDX-License-Identifier: BSD-2-Clause
//! Events that go to disk, and those that come from there.

use super::*;
use crate::spool::Fate;
use crate::spool::folder::tests::Scratch;

/// With a spool, and a queue of eight.
fn spooling(scratch: &Scratch, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
    let dsn = DsnSource::Text(Dsn::parse("http://key@host/1").unwrap());
    let mut settings = Settings::default();
    (settings.client.dsn, settings.queue.events) = (dsn, 8);
    settings.spool.folder = Some(scratch.0.clone());
    bench_of(settings, outcomes)
}

/// With the events 1, 2 and 3 in its spool, and a server that answers again.
fn after_an_outage(scratch: &Scratch) -> Bench {
    let mut bench = spooling(scratch, vec![unreached(); 3]);
    for number in 1..=3 {
        bench.push(number);
        bench.post();
        bench.turn(60.0);
    }
    bench
}

impl Bench {
    fn spooled(&self) -> u64 {
        self.count(Counter::SpoolEvents)
    }
}

#[test]
fn what_the_server_never_took_is_spooled_after_its_first_failure_and_nothing_else() {
    let broken = || Err(Failure::Broken("reset".to_owned()));
    let spools = [unreached(), broken(), status(502), status(503), status(504)];
    let others = [status(200), status(429), status(400), status(500), status(501)];
    for (outcomes, expected) in [(spools, 1), (others, 0)] {
        for outcome in outcomes {
            let scratch = Scratch::new();
            let mut bench = spooling(&scratch, [outcome.clone()]);
            bench.push(1);
            bench.post();
            assert_eq!(bench.spooled(), expected, "{outcome:?}");
        }
    }
}

#[test]
fn three_quarters_of_the_queue_make_the_older_half_go_to_disk_while_the_server_fails() {
    let scratch = Scratch::new();
    let mut bench = spooling(&scratch, [status(500)]);
    for number in 0..7 {
        bench.push(number);
    }
    bench.sender.find_target(bench.clock.now());
    let relieve = |bench: &mut Bench| {
        let gate = bench.gate();
        bench.sender.relieve_queue(gate, bench.clock.now());
        bench.spooled()
    };
    assert_eq!(relieve(&mut bench), 0, "the server does not fail");
    bench.post();
    assert_eq!((bench.sender.courier.outbox.queue.load().0, relieve(&mut bench)), (7, 3));
    assert_eq!(bench.sender.courier.outbox.queue.load().0, 4);
    bench.push(7);
    bench.push(8);
    assert_eq!(relieve(&mut bench), 3, "six of eight are not more than three quarters");
    bench.turn(1.0);
    let id = |number: u8| EventId::from_random([number; 16]).to_string();
    assert!(bench.post().contains(&id(8)), "fresh events first, and of a full queue the newest");
}

#[test]
fn spooled_events_go_oldest_first_ten_a_second_and_after_fresh_ones() {
    let scratch = Scratch::new();
    let mut bench = after_an_outage(&scratch);
    assert_eq!(bench.spooled(), 3);
    let id = |number: u8| EventId::from_random([number; 16]).to_string();
    bench.push(9);
    assert!(bench.post().contains(&id(9)), "a fresh one to try the server");
    assert!(bench.post().contains(&id(1)));
    assert_eq!(bench.spooled(), 2);
    let due = bench.sender.spool_due().unwrap();
    assert_eq!(due, bench.clock.now(), "100 ms after the last one, which took that long");
    bench.push(10);
    assert_eq!(bench.sender.spool_due(), None, "the fresh one first");
    assert!(bench.post().contains(&id(10)));
    bench.push(11);
    assert!(bench.sender.spool_due().unwrap() > bench.clock.now(), "a second after the last one");
    for number in 12..=15 {
        bench.push(number);
    }
    assert_eq!(bench.sender.spool_due(), None, "not while the queue is more than half full");
    for _ in 0..5 {
        bench.post();
    }
    bench.turn(1.0);
    assert!(bench.post().contains(&id(2)));
    bench.sender.courier.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
    assert_eq!(bench.sender.spool_due(), None, "at the end what is on disk stays there");
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::SpoolSent)), (9, 2));
}

#[test]
fn on_a_slow_server_spooled_events_take_turns_with_fresh_ones() {
    let scratch = Scratch::new();
    let mut bench = after_an_outage(&scratch);
    *bench.script.takes.lock() = Duration::from_millis(1200);
    bench.push(11);
    bench.post();
    bench.push(12);
    bench.push(13);
    for number in [1, 12, 2, 13, 3] {
        let body = bench.post();
        assert!(is_of(&body, number), "{number}: {body}");
    }
    assert_eq!((bench.spooled(), bench.count(Counter::SpoolSent)), (0, 3));
}

#[test]
fn a_limit_or_a_pause_keeps_spooled_events_where_they_are() {
    for (answer, kept) in [(limited(200, "100:error:key"), 1), (unreached(), 2), (status(503), 2)] {
        let scratch = Scratch::new();
        let mut bench = spooling(&scratch, [unreached(), unreached(), answer]);
        bench.push(1);
        bench.post();
        bench.turn(60.0);
        bench.push(2);
        bench.sender.courier.deliver_spooled(bench.clock.now());
        bench.turn(60.0);
        bench.sender.courier.outbox.queue.clear();
        bench.push(3);
        bench.sender.step();
        bench.turn(1.0);
        let posts = bench.posts();
        assert!(bench.shut_for().is_some());
        assert_eq!((bench.spooled(), bench.posts()), (kept, posts));
    }
}

#[test]
fn a_long_outage_costs_no_spooled_event_but_one_that_the_server_chokes_on_is_given_up() {
    let scratch = Scratch::new();
    let mut bench = spooling(&scratch, vec![status(503); 40]);
    bench.push(1);
    for _ in 0..40 {
        bench.post();
        bench.turn(60.0);
    }
    assert_eq!((bench.spooled(), bench.count(Counter::DroppedSendError)), (1, 0));

    // Now the server takes others, and fails on this one.
    bench.post();
    assert_eq!(bench.spooled(), 0);
    bench.push(1);
    bench.script.outcomes.lock().push_back(status(503));
    bench.post();
    for number in 2..=11 {
        assert_eq!(bench.spooled(), 1);
        bench.turn(60.0);
        bench.sender.courier.outbox.pace().backoff.succeed(bench.clock.now());
        bench.script.outcomes.lock().push_back(status(503));
        bench.sender.courier.deliver_spooled(bench.clock.now());
        assert_eq!(bench.count(Counter::DroppedSendError), u64::from(number == 11), "try {number}");
    }
    assert_eq!((bench.spooled(), bench.count(Counter::SpoolDropped)), (0, 1));
}

#[test]
fn a_panic_over_a_spooled_event_costs_that_event() {
    let scratch = Scratch::new();
    let mut bench = spooling(&scratch, [unreached()]);
    bench.push(1);
    bench.post();
    bench.turn(60.0);
    bench.script.panics.store(true, Ordering::Relaxed);
    let stepped = panic::catch_unwind(AssertUnwindSafe(|| bench.sender.step()));
    assert!(stepped.is_err());
    bench.sender.courier.recover();
    assert_eq!((bench.spooled(), bench.count(Counter::DroppedInternalSdkError)), (0, 1));
}

#[test]
fn the_gauges_are_zero_when_the_spool_is_somebody_elses() {
    let scratch = Scratch::new();
    let mut bench = spooling(&scratch, [unreached()]);
    bench.push(1);
    bench.post();
    assert_eq!((bench.spooled(), bench.count(Counter::SpoolBytes)), (1, 4096));
    let Bench { sender, .. } = bench;
    let outbox = sender.courier.outbox.clone();
    drop(sender);
    assert_eq!((outbox.stats.get(Counter::SpoolEvents), outbox.stats.get(Counter::SpoolBytes)), (0, 0));
}

#[test]
fn what_comes_to_disk_while_a_spooled_event_is_on_its_way_does_not_cost_that_event() {
    let scratch = Scratch::new();
    let bench = spooling(&scratch, []);
    let (now, wall) = (bench.clock.now(), bench.clock.wall());
    let dsn = Dsn::parse("http://key@host/1").unwrap();
    let mut spool = bench.sender.courier.spool.lock();
    let spool = spool.as_mut().unwrap();
    assert!(spool.is_usable(&dsn, now));
    let keep = |spool: &mut Spool, number: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        assert!(spool.keep(wall + Duration::from_secs(number.into()), EventId::from_random(id), b"{}", now));
    };
    keep(spool, 0);
    let oldest = spool.take(now).unwrap();
    // One block each: more than the folder holds.
    let most = bench.sender.courier.outbox.settings.spool.bytes / 4096;
    for number in 1..=most as u32 {
        keep(spool, number);
    }
    assert_eq!((bench.count(Counter::SpoolEvents), bench.count(Counter::SpoolDropped)), (most, 1));
    spool.settle(&oldest, Fate::Sent, now);
    assert_eq!((bench.count(Counter::SpoolEvents), bench.count(Counter::SpoolSent)), (most - 1, 1));
    assert_eq!(bench.count(Counter::SpoolDropped), 1);
}
