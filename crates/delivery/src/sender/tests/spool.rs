// SPDX-License-Identifier: BSD-2-Clause
//! Entries that go to the spool, and those that come from there.

use std::sync::Arc;
use std::time::Duration;

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::reason::Reason;

use super::world::*;
use crate::clock::Clock;
use crate::counters::Tally;
use crate::settings::{DsnSource, QueueBounds, Settings};
use crate::test_entry::TestEntry;

impl World {
    fn spooled(&self) -> u64 {
        self.told(Category::Error, Tally::Spooled)
    }

    /// The numbers of what is sent next, as long as something is sent within a tenth of a second.
    fn order(&mut self) -> Vec<u64> {
        let mut order = Vec::new();
        loop {
            self.wake();
            self.settle_spool(true);
            let Some(place) = self.busy().first().copied() else { return order };
            let body = self.body(place);
            order.extend((0..200).find(|number| is_of(&body, *number)));
            self.post();
        }
    }
}

#[test]
fn what_the_server_never_took_is_spooled_after_its_first_failure_and_nothing_else() {
    let spools = [unreached(), broken(), status(502), status(503), status(504)];
    let others = [status(200), status(429), status(400), status(500), status(501)];
    for (outcomes, expected) in [(spools, 1), (others, 0)] {
        for outcome in outcomes {
            let mut world = World::new(spooling(), [outcome.clone()]);
            world.push(1);
            world.post();
            assert_eq!(world.spooled(), expected, "{outcome:?}");
        }
    }
}

#[test]
fn three_quarters_of_the_queue_make_the_older_half_go_to_disk_while_the_server_fails() {
    let mut world = World::new(spooling(), [status(500)]);
    (0..6).for_each(|number| world.push(number));
    world.wake();
    assert!(world.spools[0].keeps.is_empty(), "the server does not fail");
    world.post();
    assert_eq!((world.waiting(), world.spooled()), (6, 0), "six of eight are not more than three quarters");
    world.push(7);
    world.wake();
    world.settle_spool(true);
    assert_eq!((world.waiting(), world.spooled()), (4, 3));
    world.push(8);
    world.turn(1.0);
    assert!(is_of(&world.post(), 8), "fresh ones first, and of a full queue the newest");
}

#[test]
fn a_project_without_entries_does_not_keep_another_one_from_its_spool() {
    let bounds = QueueBounds { entries: 24, bytes: 16 << 20 };
    let mut world = World::new(Settings { dsn: DsnSource::Entries, queue: bounds, ..spooling() }, [status(500)]);
    for number in 0..20 {
        let to = if number == 0 { "http://a@away/3" } else { "http://a@away/2" };
        let dsn = Some(Arc::new(Dsn::parse(to).unwrap()));
        world.capture(TestEntry { at: world.clock.wall(), dsn, ..TestEntry::new(number, Category::Error) });
    }
    world.post();
    world.settle_spool(true);
    assert_eq!((world.waiting(), world.spooled()), (12, 8), "down to the half, without a pause");
}

#[test]
fn what_the_disk_does_not_take_stays_in_memory_and_is_not_tried_again_at_once() {
    let mut world = World::new(spooling(), [unreached()]);
    world.push(1);
    world.wake();
    let place = world.busy()[0];
    world.answer(place, unreached(), Duration::ZERO);
    assert_eq!(world.spools[0].keeps.len(), 1);
    world.settle_spool(false);
    assert_eq!((world.waiting(), world.spooled()), (1, 0));
    (2..9).for_each(|number| world.push(number));
    world.wake();
    assert!(world.spools[0].keeps.is_empty());
    world.turn(0.9);
    world.wake();
    assert!(world.spools[0].keeps.is_empty());
}

#[test]
fn spooled_entries_go_oldest_first_ten_a_second_and_after_fresh_ones() {
    let mut world = World::new(spooling(), []);
    world.takes = Duration::from_millis(10);
    (1..=3).for_each(|number| world.find(number));
    world.push(9);
    let mut order = world.order();
    assert_eq!(order, [9, 1], "a fresh one first, then one from the spool");
    world.turn(0.05);
    assert_eq!(world.order(), [] as [u64; 0], "not so soon");
    world.turn(0.05);
    order.extend(world.order());
    assert_eq!(order, [9, 1, 2]);
    world.turn(0.5);
    for number in 11..=13 {
        world.push(number);
    }
    world.wake();
    assert!(is_of(&world.body(0), 11), "less than a second after the last one, while some wait");
    world.turn(0.6);
    world.wake();
    world.settle_spool(true);
    assert!(is_of(&world.post(), 11));
    assert!(is_of(&world.post(), 3), "a second after it");
    assert_eq!(world.order(), [12, 13]);
}

#[test]
fn none_comes_from_the_spool_while_the_queue_is_more_than_half_full_nor_at_the_end() {
    let mut world = World::new(spooling(), []);
    world.find(1);
    (10..16).for_each(|number| world.push(number));
    world.wake();
    assert_eq!(world.spools[0].takes, 0);
    world.post();
    assert_eq!(world.spools[0].takes, 0, "five of eight wait");

    let mut world = World::new(spooling(), []);
    world.find(1);
    world.wake();
    assert_eq!(world.spools[0].takes, 1);
    world.drain(1.0, 2.0);
    world.settle_spool(true);
    world.wake();
    assert!(world.is_over);
    assert_eq!((world.posts, world.spooled()), (0, 1), "what is on disk stays there");
}

#[test]
fn on_a_slow_server_spooled_entries_take_turns_with_fresh_ones() {
    let mut world = World::new(spooling(), []);
    world.takes = Duration::from_millis(1200);
    (1..=3).for_each(|number| world.find(number));
    (11..=14).for_each(|number| world.push(number));
    assert_eq!(world.order(), [11, 1, 12, 2, 13, 3, 14]);
}

#[test]
fn while_the_server_fails_a_fresh_entry_is_the_one_to_try_it_with() {
    let mut world = World::new(spooling(), [status(500), status(500)]);
    world.find(1);
    world.push(5);
    world.post();
    world.turn(60.0);
    world.wake();
    assert_eq!((world.spools[0].takes, world.busy().len()), (0, 1));
    assert!(is_of(&world.post(), 5));
}

#[test]
fn a_limit_keeps_spooled_entries_where_they_are_until_it_is_over() {
    let mut world = World::new(spooling(), [limited(200, "100:error:key")]);
    world.push(1);
    world.wake();
    world.find(2);
    world.post();
    for _ in 0..50 {
        world.wake();
        world.settle_spool(true);
        world.turn(1.0);
    }
    assert_eq!((world.spooled(), world.posts), (1, 1));
    assert!(world.spools[0].stored[0].parts.len() == 1);
    world.turn(60.0);
    assert_eq!(world.order(), [2]);
    assert_eq!(world.spooled(), 0);
}

#[test]
fn a_long_outage_costs_no_spooled_entry() {
    let mut world = World::new(spooling(), vec![status(503); 40]);
    world.push(1);
    for _ in 0..40 {
        world.turn(60.0);
        world.wake();
        world.settle_spool(true);
        world.post();
    }
    assert_eq!((world.spooled(), world.dropped(Reason::SendError)), (1, 0));
}
