// SPDX-License-Identifier: BSD-2-Clause
//! When something is sent, and how often.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::reason::Reason;

use super::world::*;
use crate::connection::request::{Answer, Failure};
use crate::counters::Counter;
use crate::settings::{DsnSource, Server, Settings};
use crate::shared::Shared;
use crate::test_entry::{Fault, TestEntry};

fn world(outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> World {
    World::new(settings(), outcomes)
}

/// One with so many connections that all are open, and events that wait.
fn wide(connections: usize, entries: u64) -> World {
    let mut world = World::new(Settings { server: Server { connections, ..settings().server }, ..settings() }, []);
    world.takes = Duration::from_millis(50);
    (0..entries + 10 * connections as u64).for_each(|number| world.push(number));
    for _ in 0..10 * (connections - 1) {
        world.post();
    }
    assert_eq!(world.busy().len(), connections);
    world
}

#[test]
fn a_failing_server_gets_one_probe_per_pause_whatever_waits() {
    let mut world = world(vec![unreached(); 4]);
    (0..20).for_each(|number| world.push(number));
    for pause in [1.0, 2.0, 4.0, 8.0] {
        world.post();
        assert_eq!((world.shut_for(), world.busy().len()), (Some(pause), 0));
        world.turn(pause);
    }
    assert_eq!(world.shut_for(), None);
    world.post();
    world.post();
    assert_eq!((world.sent(), world.count(Counter::Retries)), (2, 4));
    assert_eq!(world.shut_for(), None);
}

#[test]
fn an_entry_the_server_fails_on_lets_the_others_pass_and_is_given_up_at_last() {
    let mut world = world(vec![status(500); 10]);
    world.push(1);
    world.push(2);
    assert!(is_of(&world.post(), 1));
    world.turn(60.0);
    assert!(is_of(&world.post(), 2), "the other one first");
    for _ in 2..10 {
        world.turn(60.0);
        world.post();
    }
    world.turn(60.0);
    assert!(is_of(&world.post(), 1), "answered 200 now, in its sixth try");
    assert_eq!(world.sent(), 1);

    let mut world = self::world(vec![status(500); 10]);
    world.push(1);
    for _ in 0..10 {
        world.turn(60.0);
        world.post();
    }
    assert_eq!((world.dropped(Reason::SendError), world.waiting()), (1, 0));
}

#[test]
fn an_entry_that_never_reached_the_server_is_kept_until_sentry_would_not_take_it() {
    let mut world = world(vec![unreached(); 60]);
    world.push(1);
    for _ in 0..50 {
        world.post();
        world.turn(60.0);
    }
    assert_eq!(world.dropped(Reason::NetworkError), 0);
    world.turn(30.0 * 86_400.0);
    world.post();
    assert_eq!(world.dropped(Reason::NetworkError), 1);
}

#[test]
fn a_limit_on_errors_empties_the_queue_and_a_report_a_half_minute_goes_on() {
    let mut world = world([limited(200, "100:error:key")]);
    world.push(1);
    world.push(2);
    world.post();
    let home = world.state.home().unwrap();
    assert!(home.destination.is_limited(Category::Error, world.now()));
    assert_eq!((world.dropped(Reason::RatelimitBackoff), world.waiting()), (1, 0));
    assert_eq!(world.report_due_in(), Some(29.9), "the clock stood still but for the request");
    world.turn(29.9);
    let report = world.post();
    assert!(report.contains(r#"{"reason":"ratelimit_backoff","category":"error","quantity":1}"#), "{report}");
    assert!(!report.contains("event_id"));
    assert_eq!(world.count(Counter::Reports), 1);
    world.refuse(Reason::RatelimitBackoff, 5);
    assert_eq!(world.report_due_in(), Some(29.9));
    world.push(3);
    world.wake();
    assert_eq!(world.dropped(Reason::RatelimitBackoff), 2, "one that was captured before the limit was seen");
    world.turn(70.0);
    world.push(4);
    assert!(is_of(&world.post(), 4));
    assert_eq!(*world.lines.0.lock(), ["sentry default: rate limited for 100 s, dropping events"]);
}

#[test]
fn a_limit_on_everything_holds_reports_back_too() {
    let mut world = world([limited(429, "100::key")]);
    world.push(1);
    world.push(2);
    world.post();
    assert_eq!((world.dropped(Reason::RateLimited), world.dropped(Reason::RatelimitBackoff)), (1, 1));
    assert_eq!(world.report_due_in(), Some(100.0));
}

#[test]
fn no_report_travels_in_a_pause() {
    let mut world = world(vec![status(503); 7]);
    world.push(1);
    world.refuse(Reason::Throttled, 3);
    for _ in 0..7 {
        world.turn(60.0);
        let body = world.post();
        assert!(body.contains(r#""reason":"event_processor","category":"error","quantity":3"#), "{body}");
    }
    assert_eq!(world.shut_for(), Some(60.0));
    assert_eq!(world.report_due_in(), Some(60.0), "not after 30 s");
}

#[test]
fn a_report_rides_with_an_entry_or_travels_alone_every_half_minute() {
    let mut world = world([]);
    world.wake();
    world.refuse(Reason::MaxRate, 2);
    assert_eq!(world.report_due_in(), Some(30.0));
    world.turn(40.0);
    world.push(1);
    let body = world.post();
    assert!(body.contains("sample_rate") && body.contains("event_id"), "it rides although it is due");
    assert_eq!(world.report_due_in(), None);
    world.refuse(Reason::MaxRate, 1);
    world.turn(29.9);
    let body = world.post();
    assert!(body.contains("sample_rate") && !body.contains("event_id"));
    assert_eq!((world.count(Counter::Reports), world.sent()), (1, 1));
}

#[test]
fn a_report_in_a_refused_envelope_is_put_back() {
    for refusal in [status(429), status(400), status(413), status(500), unreached()] {
        let mut world = world([refusal.clone()]);
        world.push(1);
        world.refuse(Reason::Throttled, 3);
        world.post();
        let taken = world.state.home().unwrap().destination.report.take(std::time::SystemTime::now()).unwrap();
        let payload = String::from_utf8_lossy(taken.payload()).into_owned();
        assert!(payload.contains(r#""reason":"event_processor","category":"error","quantity":3"#), "{refusal:?}");
    }
}

#[test]
fn a_client_that_reports_nothing_reports_nothing() {
    let mut world = World::new(Settings { send_client_reports: false, ..settings() }, [status(400)]);
    world.push(1);
    world.refuse(Reason::Throttled, 3);
    world.post();
    world.turn(100.0);
    world.wake();
    assert_eq!((world.dropped(Reason::SendError), world.posts), (1, 1));
    assert!(!world.state.home().unwrap().destination.report.is_pending());
}

#[test]
fn a_missing_dsn_file_is_looked_for_every_ten_seconds() {
    let mut world = World::new(Settings { dsn: DsnSource::File(PathBuf::from("/x")), ..settings() }, []);
    world.push(1);
    world.refuse(Reason::Throttled, 2);
    world.wake();
    assert_eq!(world.dropped(Reason::NoDsn), 1);
    for (turned, looks) in [(9.9, 1), (0.2, 2), (5.0, 2), (5.0, 3)] {
        world.turn(turned);
        world.wake();
        assert_eq!(world.count(Counter::DsnFailures), looks);
    }
    assert_eq!(world.posts, 0);
    world.found_dsn = Ok(Dsn::parse("http://key@host/1").unwrap());
    world.turn(10.0);
    world.wake();
    world.push(2);
    let body = world.post();
    assert!(is_of(&body, 2) && body.contains("event_processor"), "what there was to report before: {body}");
}

#[test]
fn while_it_drains_a_request_gets_the_time_that_is_left() {
    let mut world = world([]);
    world.push(1);
    world.push(2);
    world.wake();
    let timeout = |world: &World| world.connections[0].as_ref().unwrap().as_ref().unwrap().timeout.as_millis();
    assert_eq!(timeout(&world), 10_000);
    world.drain(2.0, 2.0);
    world.turn(0.5);
    world.answer(0, status(200), Duration::from_millis(500));
    assert_eq!(timeout(&world), 1_500);
    world.post();
    assert!(world.is_over);
}

/// What the server is judged by is how long it takes: nine quick answers in ten set what is usual.
#[test]
fn a_server_that_becomes_slow_is_left_alone_between_its_answers_unless_somebody_waits() {
    let mut world = world([]);
    let answers = |world: &mut World, millis| {
        world.takes = Duration::from_millis(millis);
        for number in 0..10 {
            world.push(number);
            world.post();
        }
    };
    answers(&mut world, 100);
    assert_eq!(world.shut_for(), None);
    answers(&mut world, 600);
    assert_eq!(world.shut_for(), Some(0.6));
    world.push(1);
    world.wake();
    assert!(world.busy().is_empty());
    world.turn(0.6);
    world.post();
    assert_eq!(world.shut_for(), Some(0.6), "after each answer");
    world.push(2);
    world.drain(2.0, 2.0);
    world.wake();
    assert_eq!(world.busy().len(), 1, "the end waits for nobody's convenience");
}

#[test]
fn connections_are_opened_while_entries_wait_and_closed_when_they_have_no_work() {
    let mut world = wide(4, 100);
    assert_eq!(world.starts, 4);
    while !world.busy().is_empty() {
        world.post();
    }
    world.turn(29.0);
    world.wake();
    assert_eq!(world.connections.iter().flatten().count(), 4);
    world.turn(2.0);
    world.wake();
    assert_eq!(world.connections.iter().flatten().count(), 0);
}

#[test]
fn a_failure_of_all_is_one_and_then_one_request_at_a_time_is_made() {
    let mut world = wide(4, 100);
    world.turn(0.1);
    for place in world.busy() {
        world.answer(place, status(503), Duration::from_millis(100));
        world.turn(0.01);
    }
    assert_eq!(world.busy().len(), 0);
    assert!(world.shut_for().is_some_and(|left| left < 1.0), "one failure: {:?}", world.shut_for());
    world.turn(1.0);
    for _ in 0..3 {
        world.wake();
        assert_eq!(world.busy().len(), 1);
        world.post();
    }
    assert_eq!(world.lines.0.lock().iter().filter(|line| line.contains("sending failed")).count(), 1);
}

/// As soon as the pause is over, on another connection: a request from before the failure says nothing of the server now.
#[test]
fn a_request_that_hangs_from_before_a_failure_keeps_no_probe_back() {
    let mut world = wide(2, 50);
    let (hanging, failing) = (world.busy()[0], world.busy()[1]);
    world.turn(0.1);
    world.answer(failing, broken(), Duration::from_millis(100));
    world.turn(1.0);
    world.wake();
    assert_eq!(world.busy(), [hanging, failing]);
    for _ in 0..5 {
        world.turn(0.1);
        world.answer(failing, status(200), Duration::from_millis(100));
        assert_eq!(world.busy(), [hanging, failing], "and it goes on so");
    }
    assert!(world.aborted.is_empty());
}

#[test]
fn if_all_requests_hang_from_before_a_failure_the_oldest_is_ended() {
    let start = Instant::now();
    let shared = Arc::new(Shared::new(start));
    let mut hanging = World::beside(&shared, settings(), [], start);
    (0..40).for_each(|number| hanging.push(number));
    (0..10).for_each(|_| drop(hanging.post()));
    assert_eq!(hanging.busy().len(), 2);
    let mut failing = World::beside(&shared, settings(), [unreached()], hanging.now());
    failing.push(1);
    failing.post();
    hanging.turn(0.2);
    hanging.wake();
    assert!(hanging.aborted.is_empty(), "in the pause that the other client has learnt of");
    let oldest = hanging.busy()[0];
    hanging.turn(1.0);
    hanging.wake();
    hanging.wake();
    assert_eq!(hanging.aborted, [oldest], "once");
    hanging.answer(oldest, broken(), Duration::from_secs(1));
    assert_eq!((hanging.busy().len(), hanging.posts), (2, 13), "a probe in its place");
    assert!(!hanging.lines.0.lock().iter().any(|line| line.contains("sending failed")), "that was us");
}

#[test]
fn a_request_whose_outcome_does_not_come_is_given_up_and_a_late_one_ignored() {
    let mut world = world([]);
    world.push(1);
    world.wake();
    world.turn(10.9);
    world.wake();
    assert_eq!((world.busy().len(), world.lost.len()), (1, 0));
    world.turn(0.1);
    world.wake();
    assert_eq!((world.busy().len(), world.lost.len(), world.waiting()), (0, 1, 1));
    assert_eq!(world.count(Counter::Unanswered), 1);
    world.turn(1.0);
    world.wake();
    assert_eq!((world.busy().len(), world.starts), (1, 2), "on a new connection");
    let late = world.lost.remove(0);
    world.outcome(late, status(200), Duration::from_secs(20));
    assert_eq!((world.sent(), world.busy().len()), (0, 1));
    world.post();
    assert_eq!((world.sent(), world.count(Counter::Requests)), (1, 2));
}

#[test]
fn a_thread_that_does_not_start_is_tried_again_after_a_while_and_nothing_is_lost() {
    let mut world = world([]);
    world.start_fails = true;
    world.push(1);
    for _ in 0..5 {
        world.wake();
        world.turn(1.9);
    }
    assert_eq!((world.count(Counter::ThreadFailures), world.waiting()), (1, 1));
    world.start_fails = false;
    world.turn(1.0);
    world.post();
    assert_eq!(world.sent(), 1);
    assert!(world.lines.0.lock()[0].contains("no thread for a connection, as told"));
}

#[test]
fn a_panic_of_a_connection_costs_the_entry_on_it_and_one_in_putting_into_words_the_one_in_hand() {
    let mut world = world([]);
    world.push(1);
    world.wake();
    let mut request = world.connections[0].as_mut().and_then(Option::take).unwrap();
    request.body = Default::default();
    world.outcome(request, broken(), Duration::ZERO);
    assert_eq!((world.dropped(Reason::InternalSdkError), world.count(Counter::Panics)), (1, 1));
    world.turn(1.0);

    world.capture(TestEntry { fault: Fault::Panic, ..TestEntry::new(2, Category::Error) });
    world.push(3);
    world.wake();
    assert_eq!((world.dropped(Reason::InternalSdkError), world.count(Counter::Panics)), (2, 2));
    world.turn(2.0);
    assert!(is_of(&world.post(), 3), "it goes on");
    assert_eq!(world.count(Counter::UnderWay), 0);
}
