// SPDX-License-Identifier: BSD-2-Clause
//! Every way an event can get lost: each is provoked, and found in its counter, in the status, and in the
//! client report where the protocol wants it there.

mod fixture;
mod receiver;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use delivery::admission::sample::SampleRate;
use delivery::admission::threshold::Threshold;
use delivery::clock::Clock;
use delivery::connection::request::{Answer, Body, Target};
use delivery::connection::transport::{Abort, Connector, Posted, Transport};
use delivery::counters::{Counter, Tally};
use delivery::settings::DsnSource;
use delivery::spawn::spawn_thread;
use fixture::{Bench, Setup};
use protocol::category::Category;
use protocol::reason::Reason;
use receiver::{Act, PATIENCE, Receiver, eventually};

/// Checks counter and status for what was refused or dropped for the one reason that occurred.
fn assert_dropped(bench: &Bench, reason: Reason, count: u64) {
    assert_eq!(bench.dropped(), [(reason, count)]);
    let status = bench.status();
    let told = ["refused", "dropped"].map(|kind| status[kind][reason.as_str()].as_u64().unwrap_or_default());
    assert_eq!(told, [Tally::Refused(reason), Tally::Dropped(reason)].map(|tally| bench.told(tally)));
    assert_eq!(told.iter().sum::<u64>(), count);
    bench.assert_discreet();
}

/// Closes the client and returns what its last requests reported, all together.
fn reported(bench: &Bench, server: &Receiver) -> HashMap<String, u64> {
    assert!(bench.client.shutdown(bench.clock.now() + PATIENCE));
    let mut all = HashMap::new();
    for request in server.rest() {
        for (reason, quantity) in request.client_report() {
            *all.entry(reason).or_default() += quantity;
        }
    }
    all
}

fn only(reason: &str, quantity: u64) -> HashMap<String, u64> {
    HashMap::from([(reason.to_owned(), quantity)])
}

#[test]
fn no_dsn() {
    let mut setup = Setup::new("http://key@example.com/1");
    setup.settings.dsn = DsnSource::None;
    setup.spawn = |_, _| panic!("a client without a DSN needs no thread");
    let bench = setup.start();
    assert!(!bench.client.is_enabled());
    assert_eq!(bench.capture_key(1), Err(Reason::NoDsn));
    assert_dropped(&bench, Reason::NoDsn, 1);
    assert!(bench.client.flush(PATIENCE), "nothing is queued");
    assert_eq!(bench.status()["state"], "no_dsn");
    assert!(bench.lines.all().is_empty(), "a valid configuration is nothing to talk about");
}

#[test]
fn an_environment_without_a_usable_dsn() {
    let mut setup = Setup::new("http://key@example.com/1");
    setup.settings.dsn = DsnSource::Unusable("dsn has no host".to_owned());
    let bench = setup.start();
    assert_eq!(bench.capture_key(1), Err(Reason::NoDsn));
    assert_dropped(&bench, Reason::NoDsn, 1);
    assert_eq!(bench.lines.all(), ["sentry default: dsn has no host, events are dropped"]);
    assert_eq!(bench.status()["state"], "dsn_unusable");
}

#[test]
fn a_dsn_file_that_is_not_there_at_first() {
    let server = Receiver::new([]);
    let path = std::env::temp_dir().join(format!("delivery-dsn-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let mut setup = Setup::new("http://key@example.com/1");
    setup.settings.dsn = DsnSource::File(path.clone());
    let bench = setup.start();
    assert_eq!(bench.status()["state"], "dsn_unreadable");
    let line = bench.lines.all().concat();
    assert!(line.contains("dsn_file") && line.contains("No such file"), "{line}");
    std::fs::write(&path, format!(" \n{}\n", server.dsn())).unwrap();
    assert_eq!(bench.capture_key(1), Err(Reason::NoDsn), "the request's thread does not look");
    assert_dropped(&bench, Reason::NoDsn, 1);
    eventually("the sender looks", || bench.client.is_enabled());
    let id = bench.capture();
    assert_eq!(server.next().event_id(), Some(id));
    bench.assert_discreet();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_dsn_file_that_is_no_dsn_is_not_quoted() {
    let path = std::env::temp_dir().join(format!("delivery-no-dsn-{}", std::process::id()));
    std::fs::write(&path, format!("{}@sentry.example", receiver::KEY)).unwrap();
    let table = [path.clone(), PathBuf::from("/"), PathBuf::from("/dev/zero")];
    for path in table {
        let mut setup = Setup::new("http://key@example.com/1");
        setup.settings.dsn = DsnSource::File(path.clone());
        let bench = setup.start();
        assert_eq!(bench.count(Counter::DsnFailures), 1, "{path:?}");
        let line = bench.lines.all().concat();
        assert!(line.starts_with(&format!("sentry default: dsn_file {}: ", path.display())), "{line}");
        bench.assert_discreet();
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn closed() {
    let server = Receiver::new([]);
    let bench = Setup::new(&server.dsn()).start();
    bench.client.close();
    assert_eq!(bench.capture_key(1), Err(Reason::Closed));
    assert_dropped(&bench, Reason::Closed, 1);
    let note = Box::new(bench.note());
    assert_eq!(bench.client.enqueue(note, std::time::Instant::now()), Err(Reason::Closed));
    assert_dropped(&bench, Reason::Closed, 2);
    let closed = [Tally::Refused(Reason::Closed), Tally::Dropped(Reason::Closed)].map(|tally| bench.told(tally));
    assert_eq!(closed, [1, 1], "before its capture and after it");
    assert_eq!(bench.status()["state"], "closed");
    assert_eq!(reported(&bench, &server), HashMap::new());
}

#[test]
fn throttled() {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.throttle = 2;
    let bench = setup.start();
    assert!(bench.capture_key(7).is_ok() && bench.capture_key(7).is_ok());
    assert!(bench.client.flush(PATIENCE));
    let outcomes: Vec<_> = (0..3).map(|_| bench.capture_key(7)).collect();
    assert_eq!(outcomes, vec![Err(Reason::Throttled); 3]);
    assert_dropped(&bench, Reason::Throttled, 3);
    assert_eq!(bench.status()["suppressed"], 3);
    server.rest();
    bench.clock.turn(Duration::from_secs(61));
    bench.capture_key(7).unwrap();
    let request = server.next();
    assert_eq!(request.envelope().1[0].1["extra"]["sentry.suppressed"], 3, "the next of its key tells");
    assert_eq!(request.client_report(), only("event_processor", 3), "and so does the report it carries");
    assert_eq!(reported(&bench, &server), HashMap::new());
}

#[test]
fn max_rate() {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    (setup.settings.throttle, setup.settings.max_rate) = (1000, 1);
    let bench = setup.start();
    let start = bench.clock.now();
    let passed = (0..150).filter(|_| bench.capture_at(7, start).is_ok()).count();
    assert_eq!(passed, 100);
    assert_dropped(&bench, Reason::MaxRate, 50);
    assert_eq!(reported(&bench, &server), only("sample_rate", 50));
}

#[test]
fn the_last_burst_of_a_key() {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    setup.settings.throttle = 1;
    let bench = setup.start();
    let outcomes: Vec<_> = (0..4).map(|_| bench.capture_key(7).is_ok()).collect();
    assert_eq!(outcomes, [true, false, false, false]);
    bench.clock.turn(Duration::from_secs(61));
    assert_eq!(reported(&bench, &server), only("event_processor", 3), "though none of its key comes any more");
}

#[test]
fn ignored() {
    let server = Receiver::new([]);
    let bench = Setup::new(&server.dsn()).start();
    bench.client.ignore(Category::Error, bench.clock.now());
    assert_dropped(&bench, Reason::Ignored, 1);
    assert_eq!(bench.status()["suppressed"], 0);
    assert_eq!(reported(&bench, &server), only("event_processor", 1), "though no event ever passed");
}

#[test]
fn what_is_only_counted_is_not_lost() {
    let server = Receiver::new([]);
    let bench = Setup::new(&server.dsn()).start();
    let threshold = Threshold::new(3, 10.0).unwrap().unwrap();
    let counts: Vec<_> = (0..4).map(|_| bench.client.count(7, threshold, bench.clock.now())).collect();
    assert_eq!(counts, [None, None, Some(3), None]);
    assert_eq!((bench.count(Counter::Counted), bench.dropped()), (3, vec![]));
    assert_eq!(bench.status()["counted"], 3);
    assert_eq!(reported(&bench, &server), HashMap::new());
}

#[test]
fn sample_rate() {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    (setup.settings.throttle, setup.settings.max_rate) = (5, 1);
    setup.settings.sample_rate = SampleRate::new(0.0);
    let bench = setup.start();
    let outcomes: Vec<_> = (0..5).map(|_| bench.capture_key(7)).collect();
    assert_eq!(outcomes, vec![Err(Reason::SampleRate); 5]);
    assert_dropped(&bench, Reason::SampleRate, 5);
    assert_eq!(bench.status()["suppressed"], 5);
    assert_eq!(bench.capture_key(7), Err(Reason::Throttled), "chance comes after the throttle");
    let all = HashMap::from([("sample_rate".to_owned(), 5), ("event_processor".to_owned(), 1)]);
    assert_eq!(reported(&bench, &server), all, "though no event ever passed");
}

#[test]
fn rate_limited_and_ratelimit_backoff() {
    let server = Receiver::new([Act::with_header(429, "Retry-After: 50")]);
    let bench = Setup::new(&server.dsn()).start();
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    assert_dropped(&bench, Reason::RateLimited, 1);
    assert_eq!(bench.status()["state"], "rate_limited");
    assert!(bench.status()["limits"]["all"].as_f64().is_some_and(|left| left > 20.0 && left <= 50.0));
    for _ in 0..1000 {
        assert_eq!(bench.capture_key(1), Err(Reason::RatelimitBackoff));
    }
    assert_eq!(bench.dropped(), [(Reason::RatelimitBackoff, 1000), (Reason::RateLimited, 1)]);
    assert_eq!(server.rest().len(), 1, "one request, whatever was captured");
    assert_eq!(bench.lines.all(), ["sentry default: rate limited for 50 s, dropping events"]);

    bench.clock.turn(Duration::from_secs(51));
    // A sender that read the clock just before it was turned may drop one more.
    eventually("delivery after the limit", || bench.capture_key(1).is_ok() && bench.client.flush(PATIENCE));
    let refused = bench.lost_for(Reason::RatelimitBackoff);
    let report = server.next().client_report();
    assert_eq!(report, only("ratelimit_backoff", refused), "the server has counted its 429 itself");
}

#[test]
fn queue_overflow() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let mut setup = Setup::new(&server.dsn());
    (setup.settings.queue.entries, setup.settings.queue.bytes) = (10, 65_536);
    let bench = setup.start();
    bench.capture();
    bench.grow_pause();
    eventually("the event is back in the queue", || bench.status()["queue"]["events"] == 1);
    for _ in 0..14 {
        bench.capture();
    }
    assert_dropped(&bench, Reason::QueueOverflow, 5);
    assert_eq!(bench.status()["queue"]["events"], 10);
    assert!(bench.lines.all().contains(&"sentry default: queue full, dropped the oldest event".to_owned()));
    let large = Box::new(bench.note_of_size(&"x".repeat(65_500)));
    assert_eq!(bench.client.enqueue(large, std::time::Instant::now()), Err(Reason::QueueOverflow));
    assert_dropped(&bench, Reason::QueueOverflow, 6);
    server.rest();
    let server = server.then_always(Act::ok());
    bench.clock.turn(Duration::from_secs(61));
    assert_eq!(reported(&bench, &server), only("queue_overflow", 6));
    assert_eq!(bench.sent(), 10);
    assert_eq!(bench.status()["queue"]["bytes"], 0);
}

#[test]
fn network_error() {
    let server = Receiver::new(vec![Act::Reset; 10]);
    let bench = Setup::new(&server.dsn()).start();
    bench.capture();
    retry_until(&bench, || bench.lost_for(Reason::NetworkError) == 1);
    assert_dropped(&bench, Reason::NetworkError, 1);
    assert_eq!(bench.count(Counter::Unanswered), 10);
    bench.clock.turn(Duration::from_secs(61));
    // With an entry: the sender may not know yet what time it is now.
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(reported(&bench, &server), only("network_error", 1));
}

#[test]
fn send_error() {
    for status in [400, 403, 404, 413] {
        let server = Receiver::new([Act::status(status)]);
        let bench = Setup::new(&server.dsn()).start();
        bench.capture();
        assert!(!bench.client.flush(PATIENCE));
        assert_dropped(&bench, Reason::SendError, 1);
        assert_eq!(bench.count(Counter::Answers4xx), 1);
        assert_eq!(bench.count(Counter::Requests), 1, "{status} is not tried again");
        server.rest();
        assert_eq!(reported(&bench, &server), only("send_error", 1));
    }
}

#[test]
fn a_server_that_fails_on_one_event_for_good() {
    let server = Receiver::new(vec![Act::status(500); 10]);
    let bench = Setup::new(&server.dsn()).start();
    bench.capture();
    retry_until(&bench, || bench.lost_for(Reason::SendError) == 1);
    assert_dropped(&bench, Reason::SendError, 1);
    assert_eq!(bench.count(Counter::Answers5xx), 10);
    bench.clock.turn(Duration::from_secs(61));
    // With an entry: the sender may not know yet what time it is now.
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(reported(&bench, &server), only("send_error", 1));
}

/// Turns the clock so that pauses pass quickly; the flush makes the sender look at it.
fn retry_until(bench: &Bench, done: impl Fn() -> bool) {
    eventually("given up", || {
        bench.turn_between_requests();
        bench.client.flush(Duration::from_millis(20));
        done()
    });
}

/// Panics in the first post, answers 200 after it.
struct Clumsy {
    fell: AtomicBool,
    bodies: std::sync::Mutex<Vec<String>>,
}

struct ClumsyTransport(Arc<Clumsy>);

struct ClumsyConnector(Arc<Clumsy>);

impl Connector for ClumsyConnector {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(ClumsyTransport(self.0.clone()))
    }
}

impl Transport for ClumsyTransport {
    fn post(&mut self, _: &Target, body: &Body, _: Duration) -> Posted {
        assert!(self.0.fell.swap(true, Ordering::SeqCst), "this panic is part of the test");
        self.0.bodies.lock().unwrap().push(String::from_utf8_lossy(&body.bytes).into_owned());
        Posted { result: Ok(Answer { status: 200, ..Answer::default() }), reconnects: 0 }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        Arc::new(Nothing)
    }
}

struct Nothing;

impl Abort for Nothing {
    fn abort(&self) {}
}

#[test]
fn internal_sdk_error() {
    let clumsy = Arc::new(Clumsy { fell: AtomicBool::new(false), bodies: Default::default() });
    let mut setup = Setup::new("http://key@example.com/1");
    setup.connector = Some(Arc::new(ClumsyConnector(clumsy.clone())));
    let bench = setup.start();
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    assert_dropped(&bench, Reason::InternalSdkError, 1);
    assert_eq!(bench.count(Counter::Panics), 1);
    assert_eq!(bench.lines.all(), ["sentry default: sender panicked, going on"]);
    let id = bench.capture();
    assert!(bench.client.flush(PATIENCE), "the sender goes on");
    let body = clumsy.bodies.lock().unwrap().concat();
    assert!(body.contains(&id));
    assert!(body.contains(r#"{"reason":"internal_sdk_error","category":"error","quantity":1}"#), "{body}");
}

#[test]
fn a_thread_that_does_not_start_is_tried_again_and_nothing_is_lost() {
    static WITHOUT_THREADS: AtomicBool = AtomicBool::new(true);
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    setup.spawn = |name, work| {
        if WITHOUT_THREADS.load(Ordering::SeqCst) {
            return Err(io::Error::other("no more threads"));
        }
        spawn_thread(name, work)
    };
    let bench = setup.start();
    bench.capture();
    bench.capture();
    assert_eq!(bench.count(Counter::ThreadFailures), 1, "not tried at every capture");
    assert_eq!(bench.lines.all(), ["sentry default: no thread for the sender, no more threads"]);
    assert_eq!(bench.status()["queue"]["events"], 2);
    WITHOUT_THREADS.store(false, Ordering::SeqCst);
    bench.clock.turn(Duration::from_secs(11));
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(server.rest().len(), 3);
    assert_eq!(bench.dropped(), []);
}
