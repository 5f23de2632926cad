// SPDX-License-Identifier: BSD-2-Clause
//! Whatever happens in whatever order: of each category, captured + found = sent + dropped + waiting + spooled, as soon as nothing is under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::reason::Reason;

use super::world::*;
use crate::clock::Clock;
use crate::connection::request::{Answer, Body, Failure};
use crate::counters::{Counter, Tally};
use crate::settings::{DsnSource, QueueBounds, Server, Settings};
use crate::test_entry::{Fault, TestEntry};

#[derive(Clone, Debug)]
enum Step {
    Capture {
        kind: usize,
        many: u64,
        to: usize,
        fault: Fault,
    },
    Answer {
        which: usize,
        result: usize,
        took: u64,
    },
    ConnectionPanics(usize),
    LateOutcome,
    Turn(u64),
    Reply(bool),
    ReplyUnread,
    Spool {
        place: usize,
        usable: bool,
        failing: bool,
    },
    /// Entries may name the first ones of those places from now on.
    List(usize),
    Threads(bool),
    Refuse,
    Drain {
        last_send: u64,
        end: u64,
    },
    NoTime,
}

const KINDS: [Category; 4] = [Category::Error, Category::Error, Category::Transaction, Category::Span];
const RESULTS: usize = 13;
/// Where entries go that do not go home: the same project by two keys, another one of that server, a third one elsewhere.
const PLACES: [&str; 4] = ["http://a@away/2", "http://b@away/2", "http://a@away/3", "http://a@elsewhere/2"];

fn place(number: usize) -> Option<Arc<Dsn>> {
    PLACES.get(number).map(|text| Arc::new(Dsn::parse(text).unwrap()))
}

fn result(number: usize) -> Result<Answer, Failure> {
    match number {
        0 => status(429),
        1 => limited(429, "5:error:key"),
        2 => limited(200, "3:attachment;span:key"),
        3 => limited(200, "2:internal:key"),
        4 => limited(503, "1::key"),
        5 => status(500),
        6 => status(503),
        7 => status(400),
        8 => status(302),
        9 => unreached(),
        10 => broken(),
        _ => status(200),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![30 => Just(Fault::None), 1 => Just(Fault::Mute), 1 => Just(Fault::Panic)];
    let step = prop_oneof![
        8 => (0..KINDS.len(), 1_u64..30, 0..12_usize, fault)
            .prop_map(|(kind, many, to, fault)| Step::Capture { kind, many, to, fault }),
        16 => (any::<usize>(), 0..RESULTS, 0_u64..700)
            .prop_map(|(which, result, took)| Step::Answer { which, result, took }),
        1 => any::<usize>().prop_map(Step::ConnectionPanics),
        1 => Just(Step::LateOutcome),
        6 => prop_oneof![Just(0_u64), 1_u64..100, 100_u64..3_000, 3_000_u64..40_000].prop_map(Step::Turn),
        6 => prop::bool::weighted(0.8).prop_map(Step::Reply),
        2 => Just(Step::ReplyUnread),
        1 => (0..4_usize, any::<bool>(), any::<bool>())
            .prop_map(|(place, usable, failing)| Step::Spool { place, usable, failing }),
        1 => (0..=PLACES.len()).prop_map(Step::List),
        1 => prop::bool::weighted(0.7).prop_map(Step::Threads),
        1 => Just(Step::Refuse),
    ];
    let end = prop_oneof![
        2 => Just(vec![]),
        3 => (0_u64..3_000, 0_u64..1_000).prop_map(|(last_send, more)| vec![Step::Drain { last_send, end: last_send + more }]),
        1 => Just(vec![Step::NoTime]),
    ];
    (prop::collection::vec(step.clone(), 1..60), end, prop::collection::vec(step, 0..20))
        .prop_map(|(before, end, after)| before.into_iter().chain(end).chain(after).collect())
}

/// The numbers of the entries that were answered 2xx.
#[derive(Default)]
struct History {
    has_home: bool,
    next: u64,
    arrived: HashMap<String, u32>,
}

impl History {
    fn run(&mut self, world: &mut World, step: Step) {
        match step {
            Step::Capture { kind, many, to, fault } => {
                for _ in 0..many {
                    self.next += 1;
                    let entry = TestEntry { at: world.clock.wall(), fault, ..TestEntry::new(self.next, KINDS[kind]) };
                    let to = if self.has_home { to } else { to % PLACES.len() };
                    let entry = TestEntry {
                        dsn: place(to),
                        ..if kind == 1 { entry.with_file(self.next % 50 + 1) } else { entry }
                    };
                    world.capture(entry);
                }
                world.wake();
            }
            Step::Answer { which, result, took } => {
                let busy = world.busy();
                if let Some(place) = busy.get(which % busy.len().max(1)) {
                    self.answer(world, *place, self::result(result), took);
                }
            }
            Step::ConnectionPanics(which) => {
                let busy = world.busy();
                if let Some(place) = busy.get(which % busy.len().max(1)) {
                    let mut request = world.connections[*place].as_mut().and_then(Option::take).unwrap();
                    request.body = Body::default();
                    world.outcome(request, broken(), Duration::ZERO);
                }
            }
            Step::LateOutcome => {
                if let Some(request) = world.lost.pop() {
                    world.outcome(request, status(200), Duration::from_secs(20));
                }
            }
            Step::Turn(millis) => {
                world.turn(millis as f64 / 1000.0);
                world.wake();
            }
            Step::Reply(kept) => {
                world.reply(kept);
            }
            Step::ReplyUnread => world.keep_unread(),
            Step::Spool { place, usable, failing } => {
                (world.spools[place].is_unusable, world.spools[place].is_failing) = (!usable, failing);
                world.wake();
            }
            Step::List(many) => {
                world.listed = Some((0..many).filter_map(place).collect());
                // It looks every ten seconds.
                world.turn(10.0);
                world.wake();
            }
            Step::Threads(start) => world.start_fails = !start,
            Step::Refuse => world.refuse(Reason::Throttled, 1),
            Step::Drain { last_send, end } => {
                world.drain(last_send as f64 / 1000.0, end as f64 / 1000.0);
                world.wake();
            }
            Step::NoTime => {
                world.state.close();
                if let Some((left, _)) = world.state.queue.end(true) {
                    world.state.lose_all(Reason::Closed, &left, world.now());
                }
                world.wake();
            }
        }
    }

    fn answer(&mut self, world: &mut World, place: usize, result: Result<Answer, Failure>, took: u64) {
        if result.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status)) && !world.is_over {
            let id = world.body(place).lines().next().unwrap_or_default().get(..50).unwrap_or_default().to_owned();
            *self.arrived.entry(id).or_default() += u32::from(!world.body(place).starts_with("{\"sent_at"));
        }
        world.answer(place, result, Duration::from_millis(took));
    }

    /// Goes on, without anything new, until nothing is under way.
    fn come_to_rest(&mut self, world: &mut World) {
        for _ in 0..200 {
            let rests = world.busy().is_empty() && !world.is_keeping() && world.count(Counter::UnderWay) == 0;
            if rests || world.is_over {
                return;
            }
            for place in world.busy() {
                self.answer(world, place, status(200), 1);
            }
            world.settle_spool(true);
            world.turn(0.3);
            world.wake();
        }
        panic!("it never comes to rest");
    }
}

fn assert_exact(world: &World) {
    assert_eq!(world.count(Counter::UnderWay), 0);
    let mut ledgers = vec![world.state.ledger.clone()];
    ledgers.extend(world.state.parts().into_iter().map(|(_, part)| part));
    for (ledger, category) in ledgers.iter().flat_map(|ledger| Category::ALL.map(|category| (ledger, category))) {
        let told = |tally| ledger.told(category, tally);
        let dropped: u64 = Reason::ALL.into_iter().map(|reason| told(Tally::Dropped(reason))).sum();
        let came = told(Tally::Captured) + told(Tally::Found);
        let went = told(Tally::Sent) + dropped + told(Tally::Waiting) + told(Tally::Spooled);
        assert_eq!((came, told(Tally::UnderWay)), (went, 0), "{category:?}: {dropped} dropped");
    }
    let stored: u64 = world
        .spools
        .iter()
        .flat_map(|spool| &spool.stored)
        .flat_map(|stored| &stored.parts)
        .map(|part| part.quantity)
        .sum();
    let spooled: u64 = Category::ALL.into_iter().map(|category| world.told(category, Tally::Spooled)).sum();
    assert_eq!(spooled, stored);
}

fn world(connections: usize, entries: usize, has_spool: bool, found: u64, has_home: bool) -> World {
    let base = if has_spool { spooling() } else { settings() };
    let server = Server { connections, ..base.server.clone() };
    let dsn = if has_home { base.dsn.clone() } else { DsnSource::Entries };
    let mut world = World::new(Settings { dsn, server, queue: QueueBounds { entries, bytes: 1 << 20 }, ..base }, []);
    if has_spool && has_home {
        (0..found).for_each(|number| world.find(1_000_000 + number));
    }
    if has_spool && !has_home {
        // An earlier process has sent to all of them, but now there are only two.
        world.listed = Some((0..2).filter_map(place).collect());
        world.folders = (0..PLACES.len()).filter_map(place).map(|dsn| dsn.folder_name()).collect();
        world.wake();
        let ledger = world.state.ledger_of(place(0).as_ref());
        assert_eq!(world.spools[0].dsn, place(0), "opened for what may be named");
        (0..found).for_each(|number| world.find_in(0, 1_000_000 + number, ledger.clone()));
        assert!(!world.spools[1].is_open);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_capture_ends_once_and_is_counted(
        connections in 1_usize..5,
        entries in prop_oneof![1_usize..12, 12_usize..200],
        has_spool in any::<bool>(),
        has_home in any::<bool>(),
        found in 0_u64..4,
        steps in steps(),
    ) {
        let mut world = world(connections, entries, has_spool, found, has_home);
        let mut history = History { has_home, ..History::default() };
        for step in steps {
            history.run(&mut world, step);
        }
        history.come_to_rest(&mut world);
        assert_exact(&world);
        prop_assert!(history.arrived.values().all(|times| *times <= 1), "{:?}", history.arrived);
    }
}
