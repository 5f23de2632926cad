// SPDX-License-Identifier: BSD-2-Clause
//! Entries that are encoded while the answer to another one is awaited.

use std::time::Duration;

use protocol::reason::Reason;

use super::world::*;
use crate::connection::request::{Answer, Failure};
use crate::counters::Counter;
use crate::settings::{Server, Settings};

/// One connection, and so many entries in the queue.
fn busy(many: u64, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> World {
    let mut world =
        World::new(Settings { server: Server { connections: 1, ..settings().server }, ..settings() }, outcomes);
    (1..=many).for_each(|number| world.push(number));
    world.wake();
    world
}

fn has_ahead(world: &World) -> bool {
    world.machine.ahead.is_some()
}

#[test]
fn while_many_wait_the_next_is_encoded_ahead_and_each_is_sent_once_in_its_turn() {
    let mut world = busy(40, []);
    for number in 1..=40 {
        // Sixteen must wait for the next one to be taken out of the queue.
        let waiting = 40 - number;
        assert_eq!(has_ahead(&world), waiting >= 16, "{waiting} wait");
        assert_eq!(world.count(Counter::UnderWay), 1 + u64::from(waiting >= 16));
        let body = world.post();
        assert!(is_of(&body, number), "{number}: {body}");
    }
    assert_eq!((world.sent(), world.count(Counter::UnderWay), world.waiting()), (40, 0, 0));
}

#[test]
fn what_was_encoded_ahead_goes_back_to_its_place_when_the_server_fails() {
    let mut world = busy(20, [status(200), unreached()]);
    world.post();
    assert!(is_of(&world.post(), 2), "encoded ahead, and not taken");
    assert!(!has_ahead(&world));
    assert_eq!((world.waiting(), world.count(Counter::UnderWay)), (19, 0));
    world.turn(60.0);
    for number in 2..=20 {
        assert!(is_of(&world.post(), number));
    }
    assert_eq!((world.sent(), world.count(Counter::Retries)), (20, 1));
}

#[test]
fn what_was_encoded_ahead_is_dropped_with_the_others_under_a_limit() {
    let mut world = busy(20, [limited(200, "100:error:key")]);
    assert!(has_ahead(&world));
    world.post();
    assert_eq!((world.sent(), world.dropped(Reason::RatelimitBackoff)), (1, 19));
    assert_eq!((world.waiting(), world.count(Counter::UnderWay)), (0, 0));
}

#[test]
fn what_was_encoded_ahead_is_encoded_again_when_the_answer_took_long_and_not_before_it_came() {
    let mut world = busy(30, []);
    world.takes = Duration::from_secs(2);
    world.turn(1.0);
    world.wake();
    assert!(!has_ahead(&world));
    assert_eq!(world.waiting(), 29, "it waits again");
    world.push(31);
    world.wake();
    assert!(!has_ahead(&world), "a server that takes its time needs nothing that is ready");
    world.post();
    let sent_at = jiff_like(world.clock.0.lock().1);
    assert!(world.body(0).contains(&sent_at), "{} has {sent_at}", world.body(0));
    assert!(is_of(&world.body(0), 2) && has_ahead(&world));
}

/// The time as an envelope says it, to the second.
fn jiff_like(wall: std::time::SystemTime) -> String {
    let mut envelope = Vec::new();
    protocol::envelope::Envelope::default().write_header(wall, &mut envelope);
    String::from_utf8(envelope).unwrap()[..32].trim_start_matches('{').to_owned()
}

#[test]
fn a_report_rides_with_what_is_encoded_ahead_once_a_second_and_comes_back_with_it() {
    let mut world = busy(30, []);
    world.refuse(Reason::MaxRate, 2);
    world.takes = Duration::from_millis(100);
    let bodies: Vec<_> = (0..13).map(|_| world.post()).collect();
    let riding: Vec<_> = bodies.iter().map(|body| body.contains("sample_rate")).collect();
    assert_eq!(riding.iter().filter(|rides| **rides).count(), 1);
    assert!(!riding[1], "it was encoded already");

    let mut world = busy(30, [status(200), status(200), unreached()]);
    world.takes = Duration::from_millis(600);
    world.refuse(Reason::MaxRate, 2);
    world.post();
    assert!(has_ahead(&world) && world.state.home().unwrap().destination.report.is_pending(), "not so soon");
    world.post();
    assert!(has_ahead(&world) && !world.state.home().unwrap().destination.report.is_pending());
    world.post();
    assert!(!has_ahead(&world) && world.state.home().unwrap().destination.report.is_pending());
}

#[test]
fn what_was_encoded_ahead_counts_at_the_end_as_what_waits() {
    let mut world = busy(20, []);
    assert!(has_ahead(&world));
    world.drain(0.0, 0.0);
    world.wake();
    assert!(world.is_over);
    assert_eq!((world.dropped(Reason::Closed), world.count(Counter::UnderWay)), (20, 0));
    assert_eq!(*world.lines.0.lock(), ["sentry default: closed with 20 events not sent"]);
}
