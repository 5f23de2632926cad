// SPDX-License-Identifier: BSD-2-Clause
//! Entries that are no errors, of several parts, or of other DSNs.

use std::sync::Arc;
use std::time::Duration;

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::entry::Part;
use protocol::reason::Reason;
use protocol::request_headers::RequestHeaders;

use super::world::*;
use crate::clock::Clock;
use crate::connection::request::Request;
use crate::counters::{Counter, Tally};
use crate::settings::{DsnSource, Server, Settings};
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
    let stored = |world: &World| [0, 1].map(|place| world.spools[place].stored.len());
    assert_eq!(stored(&world), [0, 1], "in a spool of its own project's");
    for number in 2..=4 {
        world.push(number);
        world.turn(0.1);
        assert!(is_of(&world.post(), number));
    }
    assert_eq!((world.sent(), world.waiting()), (3, 0));
    world.turn(1.0);
    world.wake();
    world.settle_spool(true);
    let request = world.connections[0].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(request.target.url, "http://elsewhere/api/2/envelope/");
    assert!(is_of(&world.post(), 1));
    assert_eq!((world.sent(), stored(&world)), (4, [0, 0]));
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

#[test]
fn what_goes_with_a_part_does_so_in_the_spool_where_one_in_front_of_both_is_lost() {
    let mut world = World::new(spooling(), [limited(200, "1000:transaction:key")]);
    world.capture(transaction(1));
    world.post();
    let file = Part::new(Category::Attachment, 7).together_with(1);
    let parts = vec![Part::new(Category::Transaction, 1), Part::new(Category::Error, 1), file];
    world.capture(TestEntry { parts, at: world.clock.wall(), ..transaction(2) });
    world.wake();
    let place = world.busy()[0];
    world.answer(place, unreached(), Duration::ZERO);
    let kept: Vec<_> = world.spools[0].keeps[0].1.parts.iter().map(|(part, _)| (part.category, part.with)).collect();
    assert_eq!(kept, [(Category::Error, None), (Category::Attachment, Some(0))]);
}

fn dsn(text: &str) -> Arc<Dsn> {
    Arc::new(Dsn::parse(text).unwrap())
}

/// An error for that place.
fn error_for(world: &World, number: u64, place: &str) -> TestEntry {
    TestEntry { at: world.clock.wall(), dsn: Some(dsn(place)), ..TestEntry::new(number, Category::Error) }
}

/// A client whose entries may name those DSNs, and no others.
fn naming(base: Settings, listed: &[&str]) -> World {
    let mut world = World::new(Settings { dsn: DsnSource::Entries, ..base }, []);
    world.listed = Some(listed.iter().map(|text| dsn(text)).collect());
    world.wake();
    world
}

fn request(world: &World, place: usize) -> &Request {
    world.connections[place].as_ref().unwrap().as_ref().unwrap()
}

/// The requests under way, by where they go and with what key.
fn under_way(world: &World) -> Vec<String> {
    let busy = world.busy().into_iter().map(|place| request(world, place));
    busy.map(|request| format!("{} {}", request.target.url, request.target.auth.rsplit_once('=').unwrap().1)).collect()
}

#[test]
fn a_server_that_fails_holds_up_all_that_goes_there_and_nothing_else() {
    let mut world = naming(settings(), &["http://k@one/1", "http://k@one/2", "http://k@two/1"]);
    for (number, place) in [(1, "http://k@one/1"), (2, "http://k@one/2"), (3, "http://k@two/1")] {
        world.capture(error_for(&world, number, place));
    }
    world.wake();
    // One request a server, to begin with.
    assert_eq!(under_way(&world), ["http://one/api/1/envelope/ k", "http://two/api/1/envelope/ k"]);
    let place = world.busy()[0];
    world.answer(place, unreached(), Duration::ZERO);
    assert_eq!(under_way(&world), ["http://two/api/1/envelope/ k"]);
    let place = world.busy()[0];
    world.answer(place, status(200), Duration::ZERO);
    world.capture(error_for(&world, 4, "http://k@two/1"));
    world.wake();
    assert_eq!(under_way(&world), ["http://two/api/1/envelope/ k"], "one is left alone");
    assert!(is_of(&world.post(), 4));
    world.turn(1.0);
    world.wake();
    assert_eq!(under_way(&world).len(), 1, "one probe for both of its projects");
    world.post();
    world.post();
    assert_eq!((world.sent(), world.waiting()), (4, 0));
}

#[test]
fn a_server_that_is_slow_sets_its_own_pace_alone() {
    let mut world = naming(settings(), &["http://k@slow/1", "http://k@fast/1"]);
    for number in 0..200 {
        world.capture(error_for(&world, number, if number % 2 == 0 { "http://k@slow/1" } else { "http://k@fast/1" }));
    }
    world.wake();
    let answer = |world: &mut World, of: &str, took: u64| {
        let place = world.busy().into_iter().find(|place| request(world, *place).target.url.contains(of));
        place.map(|place| world.answer(place, status(200), Duration::from_millis(took)))
    };
    for round in 0..40 {
        assert!(answer(&mut world, "fast", 1).is_some(), "in round {round}");
        world.turn(0.001);
        // First as usual, then slower and slower.
        answer(&mut world, "slow", if round < 10 { 1 } else { 700 });
        world.wake();
    }
    let pause = |place: usize| world.machine.routes.servers()[place].pacer.interval();
    assert_eq!([pause(0), pause(1)], [Duration::from_millis(700), Duration::ZERO]);
    assert_eq!(world.sent(), 40 + 30, "after three batches the slow one is left alone between two answers");
}

#[test]
fn one_that_hangs_is_not_ended_for_the_sake_of_another_server() {
    let mut world = naming(
        Settings { server: Server { connections: 1, ..settings().server }, ..settings() },
        &["http://k@one/1", "http://k@two/1"],
    );
    world.capture(error_for(&world, 1, "http://k@one/1"));
    world.wake();
    world.capture(error_for(&world, 2, "http://k@two/1"));
    world.turn(5.0);
    world.wake();
    assert_eq!((under_way(&world).len(), world.aborted.len()), (1, 0));
    world.post();
    world.post();
    assert_eq!(world.sent(), 2);
}

#[test]
fn a_limit_is_of_one_key_and_each_key_is_told_of_its_own_losses() {
    let mut world = naming(settings(), &["http://a@h/1", "http://b@h/1"]);
    world.outcomes.push_back(limited(200, "100:error:key"));
    for (number, place) in [(1, "http://a@h/1"), (2, "http://a@h/1"), (3, "http://b@h/1")] {
        world.capture(error_for(&world, number, place));
    }
    assert!(is_of(&world.post(), 1));
    let body = world.post();
    assert!(is_of(&body, 3) && !body.contains("ratelimit_backoff"), "{body}");
    let part = |place: &str, tally| world.state.ledger_of(Some(&dsn(place))).told(Category::Error, tally);
    assert_eq!(part("http://a@h/1", Tally::Dropped(Reason::RatelimitBackoff)), 1);
    assert_eq!((part("http://b@h/1", Tally::Sent), world.sent()), (2, 2), "one project's");
    world.turn(30.0);
    world.wake();
    assert_eq!(under_way(&world), ["http://h/api/1/envelope/ a"]);
    assert!(world.post().contains("ratelimit_backoff"));
}

#[test]
fn what_is_refused_of_a_project_that_nothing_is_sent_to_is_told_there() {
    let mut world = naming(settings(), &["http://k@h/1", "http://k@h/2"]);
    world.state.refuse_for(&dsn("http://k@h/2"), Category::Error, Reason::Throttled, 7);
    world.turn(30.0);
    world.wake();
    assert_eq!(under_way(&world), ["http://h/api/2/envelope/ k"]);
    assert!(world.post().contains(r#""quantity":7"#));
}

#[test]
fn header_lines_go_with_the_request_and_through_the_spool() {
    let mut world = World::new(spooling(), [unreached()]);
    let headers = RequestHeaders::from_text("Origin: https://shop.example\n").unwrap();
    world.capture(TestEntry { headers: headers.clone(), at: world.clock.wall(), ..TestEntry::new(1, Category::Error) });
    world.wake();
    assert_eq!(request(&world, 0).body.headers, headers);
    let place = world.busy()[0];
    world.answer(place, unreached(), Duration::ZERO);
    assert_eq!(world.spools[0].keeps[0].1.headers, headers);
    world.turn(1.0);
    world.push(2);
    world.wake();
    assert!(request(&world, 0).body.headers.is_empty(), "another one's");
}

#[test]
fn what_an_earlier_process_left_goes_to_what_may_be_named_by_the_key_of_now() {
    let mut world = World::new(Settings { dsn: DsnSource::Entries, ..spooling() }, []);
    world.listed = Some([dsn("http://new@h/1"), dsn("http://other@h/1"), dsn("http://k@h/3")].into());
    world.folders = ["http://old@h/1", "http://old@h/2"].map(|text| dsn(text).folder_name()).into();
    world.wake();
    let open = |world: &World| world.spools.iter().filter(|spool| spool.is_open).count();
    assert_eq!((open(&world), world.spools[0].dsn.clone()), (1, Some(dsn("http://new@h/1"))), "2 is nobody's now");
    let ledger = world.state.ledger_of(Some(&dsn("http://new@h/1")));
    world.find_in(0, 1, ledger.clone());
    world.wake();
    world.settle_spool(true);
    assert_eq!(under_way(&world), ["http://h/api/1/envelope/ new"]);
    world.post();
    assert_eq!(ledger.told(Category::Error, Tally::Sent), 1);
}

#[test]
fn a_project_that_may_be_named_no_more_keeps_what_is_in_its_spool_until_it_is_back() {
    let mut world = naming(spooling(), &["http://a@h/1", "http://a@i/2"]);
    world.outcomes.push_back(unreached());
    world.capture(error_for(&world, 1, "http://a@h/1"));
    world.post();
    assert_eq!(world.spools[0].stored.len(), 1);
    let list = |world: &mut World, listed: &[&str]| {
        world.listed = Some(listed.iter().map(|text| dsn(text)).collect());
        world.turn(10.0);
        world.wake();
        world.settle_spool(true);
    };
    list(&mut world, &["http://a@i/2"]);
    assert!(!world.spools[0].is_open);
    world.turn(100.0);
    world.wake();
    assert_eq!((world.posts, world.spools[0].stored.len()), (1, 1));
    list(&mut world, &["http://a@i/2", "http://b@h/1"]);
    assert!(world.spools[0].is_open);
    assert_eq!(under_way(&world), ["http://h/api/1/envelope/ b"], "by the key it has now");
    // While it is under way, and its project goes again: the spool is let go of only afterwards.
    list(&mut world, &["http://a@i/2"]);
    assert!(world.spools[0].is_open);
    world.post();
    assert!(!world.spools[0].is_open && world.spools[0].stored.is_empty());
    assert_eq!(world.sent(), 1);
}
