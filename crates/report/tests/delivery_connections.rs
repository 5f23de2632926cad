// SPDX-License-Identifier: BSD-2-Clause
//! Several connections: opened while events wait and the server keeps up, never more than allowed, none left
//! behind.

mod fixture;
mod receiver;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fixture::{Bench, Setup};
use receiver::{Act, PATIENCE, Receiver, Request, eventually};
use report::clock::Clock;
use report::environment::spawn_thread;
use report::stats::Counter;

const EVENTS: u64 = 200;
/// How long an answer takes: short, so that one which is late by some of the others' is none that took clearly longer.
const ANSWER: Duration = Duration::from_millis(1);

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
    assert_eq!((bench.count(Counter::Sent), server.connections()), (EVENTS, 1));
    bench
}

#[test]
fn while_an_answer_is_awaited_the_next_event_of_many_is_packed() {
    let server = Receiver::new([Act::Hold(200), Act::Hold(200)]);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.server.connections = 1;
    let bench = setup.start();
    bench.capture();
    eventually("the first request", || server.held() == 1);
    assert_eq!(bench.count(Counter::Sending), 1, "there was no other");
    for _ in 0..40 {
        bench.capture();
    }
    server.release(1);
    eventually("the second is sent and the third packed", || bench.count(Counter::Sending) == 2);
    eventually("the second request", || server.held() == 1);
    assert_eq!(bench.status()["queue"]["events"], 38);
    server.release(1);
    assert!(bench.client.flush(PATIENCE));
    assert_eq!((bench.count(Counter::Sent), bench.dropped()), (41, vec![]));
    let requests = server.rest();
    let ids: HashSet<_> = requests.iter().filter_map(Request::event_id).collect();
    assert_eq!((requests.len(), ids.len()), (41, 41), "each of them once");
}

#[test]
fn while_events_wait_there_are_as_many_requests_at_a_time_as_may_be() {
    let (server, bench) = four_at_a_time();
    // Each may have packed one more, if many waited when it began to wait.
    assert!((4..=8).contains(&bench.count(Counter::Sending)));
    assert_eq!(server.held(), 4);
    server.release(usize::MAX / 2);
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(bench.count(Counter::Sent), bench.count(Counter::Captured));
    assert_eq!((bench.count(Counter::Sending), server.most_held(), server.connections()), (0, 4, 4));
}

#[test]
fn one_connection_is_all_there_is_if_that_is_what_was_asked_for() {
    all_on_one_connection(|setup| setup.settings.server.connections = 1);
}

#[test]
fn a_failure_on_all_connections_is_one_failure_after_which_requests_come_one_by_one() {
    let (server, bench) = four_at_a_time();
    let sent = bench.count(Counter::Sent);
    server.turn_to(Act::Hold(503));
    server.release(4);
    // What was held answers 200: the next four fail.
    eventually("four more", || bench.count(Counter::Sent) == sent + 4 && server.held() == 4);
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
        eventually("its answer", || bench.count(Counter::Sent) == sent + 4 + number);
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
    let Bench { client, clock, .. } = bench;
    let count = |counter| client.stats().get(counter);
    eventually("everything is sent", || count(Counter::Sent) == count(Counter::Captured));
    drop(client);
    eventually("all threads end", || Arc::strong_count(&clock) == 1);
}

#[test]
fn at_the_deadline_all_connections_are_cut() {
    let (server, bench) = four_at_a_time();
    bench.clock.go_on();
    let deadline = bench.clock.now() + Duration::from_millis(200);
    assert!(!bench.client.shutdown(deadline));
    let Bench { client, clock, .. } = bench;
    drop(client);
    eventually("all threads end", || Arc::strong_count(&clock) == 1);
    drop(server);
}

#[test]
fn without_threads_for_further_connections_one_sends_all() {
    let bench = all_on_one_connection(|setup| {
        setup.spawn = |name, work| {
            if name == "vmod-sentry" { spawn_thread(name, work) } else { Err(io::Error::other("as told")) }
        };
    });
    assert_eq!(bench.count(Counter::ThreadFailures), 1, "tried again after ten seconds, not at once");
    assert!(bench.lines.all().iter().any(|line| line.contains("no thread for a further connection, as told")));
}
