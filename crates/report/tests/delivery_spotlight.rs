// SPDX-License-Identifier: BSD-2-Clause
//! Copies for Spotlight: of all that is sent, and never at the cost of the delivery.

mod fixture;
mod receiver;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fixture::{Bench, Setup, TurnedClock};
use receiver::{Act, PATIENCE, Receiver, eventually};
use report::dry_run::DryRun;
use report::settings::DsnSource;
use report::stats::Counter;
use report::transport::{Answer, Failure, Post, Transport};
use serde_json::json;

fn setup(server: &Receiver, spotlight: &Receiver) -> Setup {
    let mut setup = Setup::new(&server.dsn());
    setup.settings.spotlight = Some(format!("http://{}/stream", spotlight.address));
    setup
}

fn copies(bench: &Bench) -> (u64, u64) {
    (bench.count(Counter::SpotlightSent), bench.count(Counter::SpotlightFailures))
}

/// Captures `count` events and waits until each has been sent.
fn send(bench: &Bench, count: usize) {
    for _ in 0..count {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
}

#[test]
fn each_event_is_copied_once_without_the_key() {
    let server = Receiver::new([Act::status(503), Act::ok(), Act::status(400)]);
    let spotlight = Receiver::new([]);
    let bench = setup(&server, &spotlight).start();
    let first = bench.capture();
    eventually("the server fails", || bench.count(Counter::Answers5xx) == 1);
    bench.clock.turn(Duration::from_secs(61));
    assert!(bench.client.flush(PATIENCE));
    let refused = bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    // By the turned clock the report of that loss is due at once, alone.
    eventually("the report", || self::copies(&bench) == (3, 0));

    let copies = spotlight.rest();
    let ids: Vec<_> = copies.iter().filter_map(|copy| copy.event_id()).collect();
    assert_eq!(ids, [first, refused], "nothing of the try that failed");
    let copy = copies.first().unwrap();
    assert_eq!(copy.line, "POST /stream HTTP/1.1");
    assert_eq!(copy.headers.get("content-type").map(String::as_str), Some("application/x-sentry-envelope"));
    assert!(!copy.headers.contains_key("x-sentry-auth"));
    assert_eq!((bench.count(Counter::Requests), bench.count(Counter::Reports), bench.count(Counter::Sent)), (4, 1, 1));
    let status = bench.status();
    assert_eq!(status["spotlight"], json!({"state": "ok", "sent": 3, "failures": 0, "last_error": null}));
    bench.assert_discreet();
}

#[test]
fn without_a_dsn_events_go_to_spotlight_alone() {
    let spotlight = Receiver::new([]);
    let mut setup = Setup::new("http://key@nowhere/1");
    setup.settings.client.dsn = DsnSource::None;
    setup.transport = Some(Arc::new(DryRun::silent()));
    setup.settings.spotlight = Some(format!("http://{}/stream", spotlight.address));
    let bench = setup.start();
    send(&bench, 3);
    assert_eq!((spotlight.rest().len(), copies(&bench)), (3, (3, 0)));
    assert_eq!((bench.count(Counter::Sent), bench.dropped()), (3, vec![]));
    assert_eq!(bench.status()["state"], "ok");
}

/// Stalls as long as it may, as the clock sees it, then answers by script.
struct Stalling {
    clock: Mutex<Option<Arc<TurnedClock>>>,
    outcomes: Mutex<VecDeque<Result<Answer, Failure>>>,
    timeouts: Mutex<Vec<Duration>>,
}

impl Transport for Stalling {
    fn post(&self, _: &Post<'_>, timeout: Duration) -> Result<Answer, Failure> {
        self.timeouts.lock().unwrap().push(timeout);
        if let Some(clock) = &*self.clock.lock().unwrap() {
            clock.turn(timeout);
        }
        let outcome = self.outcomes.lock().unwrap().pop_front();
        outcome.unwrap_or_else(|| Ok(Answer { status: 200, ..Answer::default() }))
    }

    fn abort(&self) {}
}

#[test]
fn one_that_stalls_costs_a_second_and_is_left_alone_for_half_a_minute() {
    let server = Receiver::new([]);
    let broken = Err(Failure::Broken("timeout: global".to_owned()));
    let refused = Ok(Answer { status: 500, ..Answer::default() });
    let stalling = Arc::new(Stalling {
        clock: Mutex::new(None),
        outcomes: Mutex::new([broken, refused].into()),
        timeouts: Mutex::new(Vec::new()),
    });
    let mut setup = setup(&server, &server);
    setup.spotlight = Some(stalling.clone());
    let bench = setup.start();
    *stalling.clock.lock().unwrap() = Some(bench.clock.clone());
    let spotlight = || bench.status()["spotlight"].clone();

    send(&bench, 5);
    assert_eq!((bench.count(Counter::Sent), bench.dropped()), (5, vec![]));
    assert_eq!(*stalling.timeouts.lock().unwrap(), [Duration::from_secs(1)]);
    let (state, error) = ("left_alone", "timeout: global");
    assert_eq!(spotlight(), json!({"state": state, "sent": 0, "failures": 1, "last_error": error}));
    let mean = bench.status()["response_ms"]["mean"].as_f64().unwrap();
    assert!(mean < 1000.0 / 5.0, "{mean}: the server's alone");

    bench.clock.turn(Duration::from_secs(31));
    send(&bench, 2);
    assert_eq!(copies(&bench), (0, 2));
    bench.clock.turn(Duration::from_secs(31));
    send(&bench, 2);
    assert_eq!(copies(&bench), (2, 2));
    assert_eq!(spotlight(), json!({"state": "ok", "sent": 2, "failures": 2, "last_error": "http 500"}));
    let lines = bench.lines.all();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("spotlight")).collect();
    assert_eq!(told, ["sentry default: no copy for spotlight, timeout: global, next try in 30 s"]);
}

#[test]
fn one_that_is_not_there_costs_nothing() {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    setup.settings.spotlight = Some(format!("http://{gone}/stream"));
    let bench = setup.start();
    send(&bench, 5);
    assert_eq!((bench.count(Counter::Sent), copies(&bench)), (5, (0, 1)));
    assert_eq!(bench.status()["state"], "ok");
}
