// SPDX-License-Identifier: BSD-2-Clause
//! Waiting for delivery, and the end of a client: never longer than asked, whatever the server does.

mod fixture;
mod receiver;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fixture::{Bench, Setup};
use receiver::{Act, PATIENCE, Receiver, eventually};
use report::client_report::Reason;
use report::clock::Clock;
use report::stats::Counter;

/// What a loaded machine may add to a wait; the waits that must not happen are all longer than this.
const SLACK: Duration = Duration::from_secs(10);

fn bench(server: &Receiver) -> Bench {
    Setup::new(&server.dsn()).start()
}

/// Waits until the sender's thread has let go of the client: nothing is joined, so this is how one sees it.
fn assert_ended(bench: Bench) {
    let Bench { client, clock, .. } = bench;
    drop(client);
    eventually("the sender ends", || Arc::strong_count(&clock) == 1);
}

#[test]
fn a_flush_waits_for_what_was_captured_before_it() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    assert!(bench.client.flush(Duration::ZERO), "nothing was captured");
    for _ in 0..100 {
        bench.capture();
    }
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(bench.count(Counter::Sent), 100);
    assert_eq!(server.rest().len(), 100);
}

#[test]
fn a_flush_ends_at_its_timeout_if_the_server_stalls_even_with_a_full_queue() {
    let server = Receiver::new([]).then_always(Act::Silence);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.queue.events = 5;
    let bench = setup.start();
    for _ in 0..10 {
        bench.capture();
    }
    for timeout in [Duration::ZERO, Duration::from_millis(300)] {
        let begin = Instant::now();
        assert!(!bench.client.flush(timeout));
        assert!(begin.elapsed() >= timeout && begin.elapsed() < timeout + SLACK);
    }
}

#[test]
fn of_many_flushes_only_two_wait() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let server = Receiver::new([]).then_always(Act::Silence);
    let bench = bench(&server);
    bench.capture();
    server.next();
    let waits: Vec<_> = thread::scope(|scope| {
        let flush = || {
            let begin = Instant::now();
            assert!(!bench.client.flush(TIMEOUT));
            begin.elapsed()
        };
        let flushes: Vec<_> = (0..8).map(|_| scope.spawn(flush)).collect();
        flushes.into_iter().map(|flush| flush.join().unwrap()).collect()
    });
    let waited = waits.iter().filter(|wait| **wait >= TIMEOUT).count();
    assert_eq!(waited, 2, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait < TIMEOUT + SLACK));
}

#[test]
fn a_flush_makes_a_pausing_sender_try() {
    const FLUSH: Duration = Duration::from_secs(5);
    let server = Receiver::new(vec![Act::status(503); 7]);
    let bench = bench(&server);
    bench.capture();
    bench.grow_pause();
    let begin = Instant::now();
    assert!(bench.client.flush(FLUSH));
    assert!(begin.elapsed() < FLUSH);
    assert_eq!(server.rest().len(), 8);
}

#[test]
fn a_closed_client_sends_what_it_has_and_its_thread_ends() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    for _ in 0..20 {
        bench.capture();
    }
    let begin = Instant::now();
    bench.client.close();
    assert!(begin.elapsed() < SLACK);
    assert_eq!(bench.capture_key(1), Err(Reason::Closed));
    eventually("all are sent", || bench.count(Counter::Sent) == 20);
    assert_eq!(server.rest().len(), 20);
    assert_ended(bench);
}

#[test]
fn dropping_the_last_reference_closes() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    bench.capture();
    assert_ended(bench);
    assert!(server.next().event_id().is_some());
}

#[test]
fn a_closed_client_gives_up_a_stalled_request_when_its_time_is_over() {
    let server = Receiver::new([]).then_always(Act::Silence);
    let mut setup = Setup::new(&server.dsn());
    (setup.settings.server.shutdown_timeout, setup.settings.server.timeout) =
        (Duration::from_secs_f64(0.3), Duration::from_secs_f64(300.0));
    let bench = setup.start();
    bench.capture();
    bench.capture();
    server.next();
    let begin = Instant::now();
    bench.client.close();
    eventually("the queue is given up", || bench.count(Counter::DroppedClosed) == 2);
    assert!(begin.elapsed() < SLACK, "the request's own timeout is 300 s");
    assert!(bench.lines.all().contains(&"sentry default: closed with 2 events not sent".to_owned()));
    assert_ended(bench);
}

#[test]
fn shutdown_waits_for_the_drain_and_says_that_nothing_is_left() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    for _ in 0..20 {
        bench.capture();
    }
    assert!(bench.client.shutdown(bench.clock.now() + PATIENCE));
    assert_eq!(bench.count(Counter::Sent), 20);
    assert_eq!(bench.capture_key(1), Err(Reason::Closed));
    assert!(bench.client.shutdown(bench.clock.now()), "a second one finds it done");
    assert_ended(bench);
}

#[test]
fn shutdown_ends_at_its_deadline_if_the_server_stalls() {
    let acts = [Act::Silence, Act::Trickle(Duration::from_millis(5)), Act::StallInBody(503), Act::Reset];
    for act in acts {
        let server = Receiver::new([]).then_always(act.clone());
        let mut setup = Setup::new(&server.dsn());
        setup.settings.server.timeout = Duration::from_secs_f64(300.0);
        let bench = setup.start();
        for _ in 0..3 {
            bench.capture();
        }
        if !matches!(act, Act::Reset) {
            server.next();
        }
        let begin = Instant::now();
        assert!(!bench.client.shutdown(bench.clock.now() + Duration::from_millis(500)), "{act:?}");
        assert!(begin.elapsed() < SLACK, "{act:?}");
        eventually("all are counted", || bench.count(Counter::DroppedClosed) == 3);
        assert_ended(bench);
    }
}

#[test]
fn the_end_of_the_process_waits_for_clients_that_were_closed_before() {
    let server = Receiver::new([Act::status(503)]);
    let first = bench(&server);
    first.capture();
    eventually("the server fails", || first.count(Counter::Answers5xx) == 1);
    first.client.close();
    let draining = first.client.draining();
    let Bench { client, clock, .. } = first;
    drop(client);
    assert!(!draining.is_over(), "it waits for its next try");
    assert!(draining.shutdown(clock.now() + PATIENCE));
    assert_eq!(server.rest().len(), 2);
    eventually("the sender ends", || draining.is_over());
    assert!(draining.shutdown(clock.now()));

    let server = Receiver::new([]).then_always(Act::Silence);
    let second = bench(&server);
    second.capture();
    server.next();
    second.client.close();
    let draining = second.client.draining();
    let begin = Instant::now();
    assert!(!draining.shutdown(second.clock.now() + Duration::from_millis(100)));
    assert!(begin.elapsed() < SLACK);
}

#[test]
fn shutdown_of_an_idle_client_takes_no_time() {
    let server = Receiver::new([]);
    let never_used = bench(&server);
    assert!(never_used.client.shutdown(never_used.clock.now()));
    let bench = bench(&server);
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    let begin = Instant::now();
    assert!(bench.client.shutdown(bench.clock.now() + PATIENCE));
    assert!(begin.elapsed() < SLACK);
}

#[test]
fn captures_on_many_threads_while_it_ends_are_all_accounted_for() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| while bench.capture_key(1).is_ok() {});
        }
        eventually("some are sent", || bench.count(Counter::Sent) > 50);
        bench.client.shutdown(bench.clock.now() + Duration::from_millis(50));
    });
    let lost = || bench.dropped().iter().map(|(_, count)| count).sum::<u64>();
    // Each thread's last capture was refused: at the door, where it is not counted as captured, or at the queue.
    eventually("every event has ended", || {
        let at_the_door = (bench.count(Counter::Sent) + lost()).checked_sub(bench.count(Counter::Captured));
        bench.status()["queue"]["events"] == 0 && at_the_door.is_some_and(|refused| refused <= 4)
    });
    assert_ended(bench);
}
