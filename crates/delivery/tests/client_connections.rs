// SPDX-License-Identifier: BSD-2-Clause
//! Several connections: opened while events wait and the server keeps up, never more than allowed, none left
//! behind.

mod fixture;
mod receiver;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use delivery::clock::Clock;
use delivery::counters::{Counter, Tally};
use delivery::spawn::spawn_thread;
use fixture::{Bench, Setup};
use receiver::{Act, PATIENCE, Receiver, Request, eventually};

const EVENTS: u64 = 200;
/// How long an answer takes: short, so that one which is late by some of the others' is none that took clearly longer.
const ANSWER: Duration = Duration::from_micros(250);

/// A server with four requests under way, and a client with `EVENTS` or more that wait.
fn four_at_a_time() -> (Receiver, Bench) {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.server.connections = 4;
    setup.answers_take = Some(ANSWER);
    let bench = setup.start();
    bench.clock.stop();
    let width = || bench.status()["connections"].as_u64();
    // On a busy machine answers may happen to look slow: then they are held too early, and it begins anew.
    eventually("four requests at a time", || {
        eventually("four connections", || {
            // Some wait all the time, or connections are given up again.
            let waiting = bench.status()["queue"]["events"].as_u64().unwrap_or_default();
            for _ in waiting..EVENTS {
                bench.capture();
            }
            width() == Some(4) && server.connections() == 4
        });
        server.turn_to(Act::Hold(200));
        for _ in 0..EVENTS {
            bench.capture();
        }
        eventually("all that is under way is held", || Some(server.held() as u64) == width());
        if server.held() < 4 {
            server.turn_to(Act::ok());
            server.release(server.held());
        }
        server.held() == 4
    });
    (server, bench)
}

/// Events that wait for a server which would do for more connections, and are sent on one all the same.
fn all_on_one_connection(change: impl FnOnce(&mut Setup)) -> Bench {
    let server = Receiver::new([Act::Hold(200)]);
    let mut setup = Setup::new(&server.dsn());
    setup.answers_take = Some(ANSWER);
    change(&mut setup);
    let bench = setup.start();
    bench.clock.stop();
    for _ in 0..EVENTS {
        bench.capture();
    }
    eventually("the first request", || server.held() == 1);
    server.release(1);
    assert!(bench.client.flush(PATIENCE));
    assert_eq!((bench.sent(), server.connections()), (EVENTS, 1));
    bench
}

#[test]
fn while_an_answer_is_awaited_the_next_of_many_is_encoded() {
    let server = Receiver::new([Act::Hold(200), Act::Hold(200)]);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.server.connections = 1;
    let bench = setup.start();
    // What is encoded ahead does not age.
    bench.clock.stop();
    bench.capture();
    eventually("the first request", || server.held() == 1);
    assert_eq!(bench.count(Counter::UnderWay), 1, "there was no other");
    for _ in 0..40 {
        bench.capture();
    }
    eventually("the second is encoded", || bench.count(Counter::UnderWay) == 2);
    server.release(1);
    eventually("the second request", || server.held() == 1);
    eventually("the third is encoded", || bench.status()["queue"]["events"] == 38);
    assert_eq!(bench.count(Counter::UnderWay), 2);
    server.release(1);
    assert!(bench.client.flush(PATIENCE));
    assert_eq!((bench.sent(), bench.dropped()), (41, vec![]));
    let requests = server.rest();
    let ids: HashSet<_> = requests.iter().filter_map(Request::event_id).collect();
    assert_eq!((requests.len(), ids.len()), (41, 41), "each of them once");
}

#[test]
fn while_events_wait_there_are_as_many_requests_at_a_time_as_may_be() {
    let (server, bench) = four_at_a_time();
    eventually("one more is encoded", || bench.count(Counter::UnderWay) == 5);
    assert_eq!(server.held(), 4);
    server.release(usize::MAX / 2);
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(bench.sent(), bench.told(Tally::Captured));
    assert_eq!((bench.count(Counter::UnderWay), server.most_held(), server.connections()), (0, 4, 4));
}

#[test]
fn one_connection_is_all_there_is_if_that_is_what_was_asked_for() {
    all_on_one_connection(|setup| setup.settings.server.connections = 1);
}

#[test]
fn a_failure_on_all_connections_is_one_failure_after_which_requests_come_one_by_one() {
    let (server, bench) = four_at_a_time();
    let sent = bench.sent();
    server.turn_to(Act::Hold(503));
    server.release(4);
    // What was held answers 200: the next four fail.
    eventually("four more", || bench.sent() == sent + 4 && server.held() == 4);
    server.turn_to(Act::Hold(200));
    server.release(4);
    eventually("four failures", || bench.count(Counter::Answers5xx) == 4);
    let status = bench.status();
    assert_eq!((&status["breaker"], &status["connections"]), (&"open".into(), &1.into()));
    assert!(status["backoff"].as_f64().is_some_and(|left| left <= 1.0), "{}", status["backoff"]);

    assert_eq!(server.most_held(), 4);
    bench.clock.turn(Duration::from_secs(2));
    assert_eq!(bench.status()["breaker"], "half_open");
    bench.clock.go_on();
    for number in 1..=5 {
        // The clock wakes nobody, a flush does.
        bench.client.flush(Duration::from_millis(1));
        eventually("one request", || server.held() == 1);
        server.release(1);
        eventually("its answer", || bench.sent() == sent + 4 + number);
    }
    assert_eq!(server.most_held(), 1);
    assert_eq!(bench.status()["breaker"], "closed");
    assert_eq!(bench.lines.all().iter().filter(|line| line.contains("sending failed")).count(), 1);
}

#[test]
fn at_the_end_nothing_that_is_on_its_way_is_lost() {
    let (server, bench) = four_at_a_time();
    bench.client.close();
    server.release(usize::MAX / 2);
    eventually("everything is sent", || bench.sent() == bench.told(Tally::Captured));
    bench.end();
}

#[test]
fn at_the_deadline_all_connections_are_cut() {
    let (server, bench) = four_at_a_time();
    bench.clock.go_on();
    let deadline = bench.clock.now() + Duration::from_millis(200);
    assert!(!bench.client.shutdown(deadline));
    eventually("all are counted", || bench.count(Counter::UnderWay) == 0 && bench.is_exact());
    bench.end();
    drop(server);
}

#[test]
fn without_threads_for_further_connections_one_sends_all() {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let bench = all_on_one_connection(|setup| {
        setup.spawn = |name, work| {
            let is_further = name == "vmod-sentry-con" && CONNECTIONS.fetch_add(1, Ordering::SeqCst) > 0;
            if is_further { Err(io::Error::other("as told")) } else { spawn_thread(name, work) }
        };
    });
    assert_eq!(bench.count(Counter::ThreadFailures), 1, "tried again after ten seconds, not at once");
    assert!(bench.lines.all().iter().any(|line| line.contains("no thread for a connection, as told")));
}
