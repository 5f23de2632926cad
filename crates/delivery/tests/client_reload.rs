// SPDX-License-Identifier: BSD-2-Clause
//! A reload with changed settings: what the server has asked for and what waits on disk is the same for the client that takes another's place.

mod fixture;
mod receiver;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use delivery::clock::Clock;
use delivery::counters::{Counter, Ledger, Tally};
use delivery::settings::QueueBounds;
use delivery::shared::Shared;
use fixture::{Bench, SLACK, Setup, TurnedClock};
use protocol::reason::Reason;
use receiver::{Act, PATIENCE, Receiver, eventually};

/// A process with clients of one name.
struct Process {
    clock: Arc<TurnedClock>,
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
}

impl Process {
    fn new() -> Process {
        let clock = Arc::new(TurnedClock::default());
        let shared = Arc::new(Shared::new(clock.now()));
        let ledger = shared.ledger("default", || Ledger::new(None));
        Process { clock, shared, ledger }
    }

    fn start(&self, mut setup: Setup) -> Bench {
        (setup.shared, setup.ledger) = (Some(self.shared.clone()), Some(self.ledger.clone()));
        setup.start_with(self.clock.clone())
    }
}

/// A folder to spool to, gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("reload-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The same client with one setting changed.
fn changed(server: &Receiver) -> Setup {
    let mut setup = Setup::new(&server.dsn());
    setup.settings.server.timeout = Duration::from_secs(299);
    setup
}

#[test]
fn the_spool_goes_on_without_a_gap_and_every_entry_arrives_once() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let (process, scratch) = (Process::new(), Scratch::new("spool"));
    let first = process.start(Setup::new(&server.dsn()).with_spool(&scratch.0));
    let mut ids: Vec<_> = (0..3).map(|_| first.capture()).collect();
    eventually("one is on disk", || first.told(Tally::Spooled) == 1);
    first.client.close();
    let draining = first.client.draining();
    let second = process.start(changed(&server).with_spool(&scratch.0));
    eventually("it can use the spool at once", || second.status()["spool"]["state"] == "ok");
    assert_eq!(second.count(Counter::SpoolFailures), 0);
    let Bench { client, .. } = first;
    drop(client);
    eventually("the first one has ended", || draining.is_over());
    assert_eq!((second.told(Tally::Spooled), second.dropped()), (3, vec![]));

    server.turn_to(Act::ok());
    drop(server.rest());
    process.clock.turn(Duration::from_secs(61));
    second.client.flush(Duration::from_millis(20));
    eventually("all are sent", || second.sent() == 3);
    let mut arrived: Vec<_> = server.rest().iter().filter_map(|request| request.event_id()).collect();
    arrived.sort();
    ids.sort();
    assert_eq!(arrived, ids);
    assert!(second.is_exact() && second.told(Tally::Spooled) == 0);
}

#[test]
fn a_limit_is_kept_and_the_server_is_not_asked_again() {
    let server = Receiver::new([Act::with_header(429, "Retry-After: 50")]);
    let process = Process::new();
    let first = process.start(Setup::new(&server.dsn()));
    first.capture();
    assert!(!first.client.flush(PATIENCE));
    let Bench { client, .. } = first;
    drop(client);
    let second = process.start(changed(&server));
    assert_eq!(second.capture_key(1), Err(Reason::RatelimitBackoff));
    assert_eq!(second.status()["state"], "rate_limited");
    assert_eq!(server.rest().len(), 1);
}

#[test]
fn a_server_that_fails_is_left_alone_by_the_next_client_too() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let process = Process::new();
    let first = process.start(Setup::new(&server.dsn()));
    first.capture();
    first.grow_pause();
    first.client.close();
    let second = process.start(changed(&server));
    assert_eq!((&second.status()["breaker"], &second.status()["state"]), (&"open".into(), &"backoff".into()));
    assert!(second.status()["backoff"].as_f64().is_some_and(|left| left > 30.0));
}

#[test]
fn what_a_closed_client_lost_counts_on_under_its_name() {
    let server = Receiver::new([]).then_always(Act::Silence);
    let process = Process::new();
    let mut setup = Setup::new(&server.dsn());
    setup.settings.server.shutdown_timeout = Duration::ZERO;
    let first = process.start(setup);
    (0..5).for_each(|_| drop(first.capture()));
    let Bench { client, lines, .. } = first;
    drop(client);
    let second = process.start(changed(&server));
    eventually("all are counted", || second.told(Tally::Dropped(Reason::Closed)) == 5);
    assert_eq!(second.told(Tally::Captured), 5);
    assert!(second.is_exact());
    eventually("it is said", || lines.all() == ["sentry default: closed with 5 events not sent"]);
}

#[test]
fn the_bounds_of_a_name_are_those_of_all_its_clients_that_there_are() {
    let server = Receiver::new([]);
    let process = Process::new();
    let bounds = || [Counter::QueueMaxEntries, Counter::QueueMaxBytes].map(|bound| process.ledger.get(bound));
    let first = process.start(Setup::new(&server.dsn()));
    assert_eq!(bounds(), [1000, 16 << 20]);
    let mut setup = changed(&server);
    setup.settings.queue = QueueBounds { entries: 7, bytes: 1 << 16 };
    let second = process.start(setup);
    assert_eq!(bounds(), [1007, (16 << 20) + (1 << 16)]);
    second.capture();
    assert!(second.client.flush(PATIENCE));
    drop(first);
    assert_eq!(bounds(), [7, 1 << 16]);
    drop(second);
    eventually("the sender has ended", || bounds() == [0, 0]);
}

#[test]
fn all_threads_of_a_closed_client_end_with_it_however_idle_they_are() {
    let server = Receiver::new([]);
    let bench = Setup::new(&server.dsn()).start();
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    let begin = Instant::now();
    bench.end();
    assert!(begin.elapsed() < SLACK, "not after half a minute");
}
