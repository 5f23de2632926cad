// SPDX-License-Identifier: BSD-2-Clause
//! The end of a client.

use std::time::Duration;

use protocol::reason::Reason;

use super::world::*;
use crate::counters::{Counter, Tally};
use protocol::category::Category;

#[test]
fn the_end_sends_a_last_report_and_counts_what_is_left() {
    let mut world = World::new(settings(), []);
    world.push(1);
    world.post();
    world.refuse(Reason::Throttled, 1);
    world.drain(2.0, 2.0);
    assert!(world.post().contains("event_processor"));
    assert!(world.is_over);
    assert_eq!((world.posts, world.count(Counter::Reports)), (2, 1));
    assert!(world.lines.0.lock().is_empty(), "nothing was lost");

    let mut late = World::new(settings(), []);
    late.push(1);
    late.refuse(Reason::Throttled, 1);
    late.drain(0.0, 0.0);
    late.wake();
    assert!(late.is_over);
    assert_eq!((late.posts, late.dropped(Reason::Closed)), (0, 1), "the time was over");
}

#[test]
fn the_last_report_does_not_leave_in_a_pause_nor_under_a_limit() {
    for answer in [unreached(), limited(200, "10:internal:key")] {
        let mut world = World::new(settings(), [answer]);
        world.push(1);
        world.post();
        world.refuse(Reason::Throttled, 1);
        world.state.queue.sweep(None, &|_| true);
        world.drain(0.5, 0.5);
        world.wake();
        assert!(world.is_over);
        assert_eq!(world.posts, 1);
    }
}

#[test]
fn the_log_says_how_many_were_lost_all_of_them() {
    let mut world = World::new(settings(), []);
    (0..500).for_each(|number| world.push(number));
    world.wake();
    world.drain(2.0, 2.0);
    world.turn(2.0);
    world.wake();
    assert!(world.is_over);
    assert_eq!(world.dropped(Reason::Closed), 500);
    assert_eq!(*world.lines.0.lock(), ["sentry default: closed with 500 events not sent"]);
}

#[test]
fn at_the_end_requests_are_ended_and_what_comes_back_and_what_waits_goes_to_disk() {
    let mut world = World::new(spooling(), []);
    (0..8).for_each(|number| world.push(number));
    world.wake();
    let place = world.busy()[0];
    world.drain(1.5, 2.0);
    world.turn(1.5);
    world.wake();
    assert_eq!(world.aborted, [place]);
    assert_eq!(world.spools[0].keeps.len(), 4, "a few at a time");
    world.answer(place, broken(), Duration::from_secs(1));
    world.settle_spool(true);
    assert!(world.is_over);
    assert_eq!((world.spools[0].stored.len(), world.dropped(Reason::Closed)), (8, 0));
    assert_eq!(*world.lines.0.lock(), ["sentry default: closed with 8 events in the spool"]);
    assert_eq!(world.state.queue.wait_for_end(world.now(), &*world.clock), Some(true));
}

#[test]
fn what_a_disk_does_not_take_in_time_is_lost_once() {
    let mut world = World::new(spooling(), []);
    (0..8).for_each(|number| world.push(number));
    world.wake();
    world.drain(1.5, 2.0);
    world.turn(1.5);
    world.wake();
    assert!(world.reply(true));
    // It is on disk, but the sender has not heard of it.
    world.keep_unread();
    world.turn(0.5);
    world.wake();
    assert!(world.is_over);
    let spooled = world.told(Category::Error, Tally::Spooled);
    assert_eq!((spooled, world.dropped(Reason::Closed)), (2, 6));
    assert_eq!(*world.lines.0.lock(), ["sentry default: closed with 2 events in the spool, 6 not sent"]);
}

#[test]
fn a_spool_that_is_about_to_open_is_waited_for_and_a_failing_one_is_not() {
    for is_failing in [false, true] {
        let mut world = World::new(spooling(), [unreached()]);
        (world.spools[0].is_unusable, world.spools[0].is_failing) = (true, is_failing);
        world.push(1);
        world.post();
        world.drain(0.5, 1.0);
        world.turn(0.6);
        world.wake();
        assert_eq!(world.is_over, is_failing);
        if !is_failing {
            world.spools[0].is_unusable = false;
            world.wake();
            world.settle_spool(true);
            assert!(world.is_over);
        }
        assert_eq!(world.dropped(Reason::Closed), u64::from(is_failing));
    }
}

#[test]
fn who_does_not_wait_for_the_sender_leaves_it_what_it_has_on_its_way() {
    let mut world = World::new(settings(), []);
    (0..5).for_each(|number| world.push(number));
    world.wake();
    let left = world.state.queue.end(true).map(|(left, under_way)| {
        world.state.lose_all(Reason::Closed, &left, world.now());
        (left.len(), under_way)
    });
    assert_eq!(left, Some((4, 1)));
    world.wake();
    assert!(world.is_over);
    assert_eq!((world.dropped(Reason::Closed), world.count(Counter::UnderWay)), (5, 0));
}

#[test]
fn the_last_report_leaves_when_the_pause_is_over() {
    let mut world = World::new(settings(), vec![broken(); 10]);
    world.push(1);
    for _ in 0..10 {
        world.post();
        world.turn(61.0);
    }
    assert_eq!(world.dropped(Reason::NetworkError), 1);
    world.drain(60.0, 60.0);
    assert!(world.post().contains("network_error"));
    assert!(world.is_over);
}
