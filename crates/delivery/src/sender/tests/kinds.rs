// SPDX-License-Identifier: BSD-2-Clause
//! Entries that are no errors, of several parts, or of other DSNs.

use std::sync::Arc;
use std::time::Duration;

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::reason::Reason;

use super::world::*;
use crate::clock::Clock;
use crate::counters::{Counter, Tally};
use crate::test_entry::{Fault, TestEntry};

fn transaction(number: u64) -> TestEntry {
    TestEntry::new(number, Category::Transaction)
}

#[test]
fn a_limit_on_one_category_leaves_the_others_alone() {
    let mut world = World::new(settings(), [limited(200, "100:transaction:key")]);
    world.capture(transaction(1));
    for number in 2..=5 {
        if number % 2 == 0 { world.capture(transaction(number)) } else { world.push(number) }
    }
    world.post();
    assert_eq!(world.told(Category::Transaction, Tally::Dropped(Reason::RatelimitBackoff)), 2);
    let body = world.post();
    assert!(is_of(&body, 3), "{body}");
    let discarded = r#"{"reason":"ratelimit_backoff","category":"transaction","quantity":2}"#;
    assert!(body.contains(discarded), "{body}");
    assert!(is_of(&world.post(), 5));
    assert_eq!((world.sent(), world.told(Category::Transaction, Tally::Sent)), (2, 1));
}

#[test]
fn a_part_that_may_not_go_is_lost_and_counted_once_however_often_the_rest_is_tried() {
    let mut world = World::new(settings(), [limited(503, "100:attachment:key"), status(503), status(200)]);
    world.capture(TestEntry::new(1, Category::Error).with_file(900));
    assert!(world.post().contains("\"type\":\"attachment\""));
    let lost = |world: &World| world.told(Category::Attachment, Tally::Dropped(Reason::RatelimitBackoff));
    assert_eq!(world.told(Category::Attachment, Tally::Waiting), 900);
    for (turned, then) in [(2.0, 0), (200.0, 0)] {
        world.turn(turned);
        assert!(!world.post().contains("\"type\":\"attachment\""), "not even when the limit is over");
        assert_eq!((lost(&world), world.told(Category::Attachment, Tally::Waiting)), (900, then));
    }
    assert_eq!((world.sent(), world.told(Category::Attachment, Tally::Sent)), (1, 0));
}

#[test]
fn an_entry_of_which_nothing_is_left_to_say_is_our_fault() {
    let mut world = World::new(settings(), []);
    world.capture(TestEntry { fault: Fault::Mute, ..transaction(1).with_file(5) });
    world.wake();
    assert_eq!(world.told(Category::Transaction, Tally::Dropped(Reason::InternalSdkError)), 1);
    assert_eq!(world.told(Category::Attachment, Tally::Dropped(Reason::InternalSdkError)), 5);
    assert_eq!((world.posts, world.count(Counter::UnderWay)), (0, 0));
}

fn elsewhere() -> Option<Arc<Dsn>> {
    Some(Arc::new(Dsn::parse("http://other@elsewhere/2").unwrap()))
}

#[test]
fn an_entry_goes_where_it_says_and_limits_and_reports_are_of_that_dsn() {
    let mut world = World::new(settings(), [limited(200, "100:error:key")]);
    for number in 1..=2 {
        world.capture(TestEntry { dsn: elsewhere(), ..TestEntry::new(number, Category::Error) });
    }
    world.push(3);
    world.wake();
    let request = world.connections[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(request.target.url, "http://elsewhere/api/2/envelope/");
    assert!(request.target.auth.contains("sentry_key=other"));
    world.post();
    assert_eq!(world.dropped(Reason::RatelimitBackoff), 1);
    let body = world.post();
    assert!(is_of(&body, 3) && !body.contains("ratelimit_backoff"), "its loss is none of this one's: {body}");
    world.turn(30.0);
    world.wake();
    let request = world.connections[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(request.target.url, "http://elsewhere/api/2/envelope/");
    assert!(world.post().contains("ratelimit_backoff"));
}

#[test]
fn a_server_that_fails_holds_up_only_what_goes_there() {
    let mut world = World::new(spooling(), [unreached()]);
    world.capture(TestEntry { dsn: elsewhere(), ..TestEntry::new(1, Category::Error) });
    world.post();
    assert!(world.spool.stored.is_empty(), "the spool is another project's");
    for number in 2..=4 {
        world.push(number);
        world.turn(0.1);
        assert!(is_of(&world.post(), number));
    }
    assert_eq!((world.sent(), world.waiting()), (3, 1));
    world.turn(1.0);
    assert!(is_of(&world.post(), 1));
}

#[test]
fn a_spooled_entry_whose_file_may_not_go_is_sent_without_it() {
    let mut world = World::new(spooling(), [unreached(), limited(200, "1000:attachment:key")]);
    world.capture(TestEntry { at: world.clock.wall(), ..TestEntry::new(1, Category::Error) }.with_file(70));
    world.post();
    assert_eq!(world.told(Category::Attachment, Tally::Spooled), 70);
    world.turn(1.0);
    world.push(2);
    world.post();
    world.turn(1.0);
    world.wake();
    world.settle_spool(true);
    assert!(is_of(&world.post(), 1));
    assert_eq!(world.told(Category::Attachment, Tally::Dropped(Reason::RatelimitBackoff)), 70);
    assert_eq!((world.sent(), world.told(Category::Attachment, Tally::Spooled)), (2, 0));
    assert_eq!(world.takes, Duration::from_millis(100));
}
