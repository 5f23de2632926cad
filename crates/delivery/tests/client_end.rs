// SPDX-License-Identifier: BSD-2-Clause
//! Waiting for delivery, and the end of a client: never longer than asked, whatever the server does.

mod fixture;
mod receiver;

use std::thread;
use std::time::{Duration, Instant};

use delivery::clock::Clock;
use delivery::counters::{Counter, Tally};
use fixture::{Bench, SLACK, Setup};
use protocol::reason::Reason;
use receiver::{Act, PATIENCE, Receiver, eventually};

fn bench(server: &Receiver) -> Bench {
    Setup::new(&server.dsn()).start()
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
    assert_eq!(bench.sent(), 100);
    assert_eq!(server.rest().len(), 100);
}

#[test]
fn a_flush_ends_at_its_timeout_if_the_server_stalls_even_with_a_full_queue() {
    let server = Receiver::new([]).then_always(Act::Silence);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.queue.entries = 5;
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
    eventually("all are sent", || bench.sent() == 20);
    assert_eq!(server.rest().len(), 20);
    bench.end();
}

#[test]
fn dropping_the_last_reference_closes() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    bench.capture();
    bench.end();
    assert!(server.next().event_id().is_some());
}

#[test]
fn a_closed_client_gives_up_a_stalled_request_when_its_time_is_over() {
    let server = Receiver::new([]).then_always(Act::Silence);
    let mut setup = Setup::new(&server.dsn());
    let server_settings = &mut setup.settings.server;
    (server_settings.shutdown_timeout, server_settings.timeout) =
        (Duration::from_millis(300), Duration::from_secs(300));
    let bench = setup.start();
    bench.capture();
    bench.capture();
    server.next();
    let begin = Instant::now();
    bench.client.close();
    eventually("the queue is given up", || bench.lost_for(Reason::Closed) == 2);
    assert!(begin.elapsed() < SLACK, "the request's own timeout is 300 s");
    let line = "sentry default: closed with 2 events not sent".to_owned();
    eventually("it is said", || bench.lines.all().contains(&line));
    bench.end();
}

#[test]
fn shutdown_waits_for_the_drain_and_says_that_nothing_is_left() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    for _ in 0..20 {
        bench.capture();
    }
    assert!(bench.client.shutdown(bench.clock.now() + PATIENCE));
    assert_eq!(bench.sent(), 20);
    assert_eq!(bench.capture_key(1), Err(Reason::Closed));
    assert!(bench.client.shutdown(bench.clock.now()), "a second one finds it done");
    bench.end();
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
        eventually("all are counted", || bench.lost_for(Reason::Closed) == 3);
        bench.end();
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
        eventually("some are sent", || bench.sent() > 50);
        bench.client.shutdown(bench.clock.now() + Duration::from_millis(50));
    });
    eventually("all have ended", || bench.count(Counter::UnderWay) == 0 && bench.is_exact());
    let refused = bench.told(Tally::Refused(Reason::Closed));
    assert!(refused <= 4, "each thread's last one, at the door: {refused}");
    bench.end();
}
