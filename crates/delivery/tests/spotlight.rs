// SPDX-License-Identifier: BSD-2-Clause
//! Copies for Spotlight: one at a time, best effort, and an end with the client.

mod fixture_connection;
mod receiver;

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

use delivery::clock::Clock;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Answer, Body, Failure, Target};
use delivery::connection::transport::{Abort, Connector, Posted, Transport};
use delivery::counters::{Counter, Ledger};
use delivery::epoch::Epoch;
use delivery::journal::{Journal, Notices};
use delivery::spawn::{Spawn, spawn_thread};
use delivery::spotlight::Spotlight;
use fixture_connection::{body, options};
use receiver::{Act, PATIENCE, Receiver, eventually};

/// Stands still unless it is turned.
struct TurnedClock(Mutex<Instant>);

impl TurnedClock {
    fn turn(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Journal for Lines {
    fn log(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

struct Bench {
    spotlight: Spotlight,
    clock: Arc<TurnedClock>,
    ledger: Arc<Ledger>,
    lines: Arc<Lines>,
}

impl Bench {
    fn new(url: &str, connector: Arc<dyn Connector>, spawn: Spawn) -> Bench {
        let now = Instant::now();
        let clock = Arc::new(TurnedClock(Mutex::new(now)));
        let (ledger, lines) = (Arc::new(Ledger::new(None)), Arc::new(Lines::default()));
        let notices = Arc::new(Notices::new(lines.clone(), "c".to_owned(), Epoch::new(now)));
        let spotlight = Spotlight::new(url.to_owned(), connector, spawn, clock.clone(), ledger.clone(), notices);
        Bench { spotlight, clock, ledger, lines }
    }

    /// Sent, failed, skipped.
    fn counts(&self) -> [u64; 3] {
        [Counter::SpotlightSent, Counter::SpotlightFailures, Counter::SpotlightSkipped]
            .map(|counter| self.ledger.get(counter))
    }

    /// Has a copy made, once the one before is over.
    fn copy(&self) {
        let [sent, failed, _] = self.counts();
        assert_eq!(self.spotlight.copy(body(10)), None);
        eventually("it is over", || {
            let [now_sent, now_failed, _] = self.counts();
            now_sent + now_failed == sent + failed + 1
        });
    }
}

/// Posts are answered by the test.
struct Asked {
    posts: Mutex<mpsc::Sender<(Target, Body, Duration)>>,
    answers: Arc<Mutex<mpsc::Receiver<Result<Answer, Failure>>>>,
    ended: mpsc::Sender<()>,
}

struct AskedTransport {
    posts: mpsc::Sender<(Target, Body, Duration)>,
    answers: Arc<Mutex<mpsc::Receiver<Result<Answer, Failure>>>>,
    ended: mpsc::Sender<()>,
}

impl Connector for Asked {
    fn transport(&self) -> Box<dyn Transport> {
        let posts = self.posts.lock().unwrap().clone();
        Box::new(AskedTransport { posts, answers: self.answers.clone(), ended: self.ended.clone() })
    }
}

impl Transport for AskedTransport {
    fn post(&mut self, target: &Target, body: &Body, timeout: Duration) -> Posted {
        let target = Target { url: target.url.clone(), auth: target.auth.clone() };
        let body = Body { bytes: body.bytes.clone(), encoding: body.encoding, ..Body::default() };
        self.posts.send((target, body, timeout)).unwrap();
        let result = self.answers.lock().unwrap().recv().expect("this panic is part of the test");
        Posted { result, reconnects: 0 }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        Arc::new(Nothing)
    }
}

impl Drop for AskedTransport {
    fn drop(&mut self) {
        let _ = self.ended.send(());
    }
}

struct Nothing;

impl Abort for Nothing {
    fn abort(&self) {}
}

struct Script {
    connector: Arc<Asked>,
    posts: mpsc::Receiver<(Target, Body, Duration)>,
    answers: mpsc::Sender<Result<Answer, Failure>>,
    ended: mpsc::Receiver<()>,
}

fn script() -> Script {
    let ((post, posts), (answers, answer), (end, ended)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let connector = Asked { posts: Mutex::new(post), answers: Arc::new(Mutex::new(answer)), ended: end };
    Script { connector: Arc::new(connector), posts, answers, ended }
}

fn ok() -> Result<Answer, Failure> {
    Ok(Answer { status: 200, ..Answer::default() })
}

#[test]
fn a_copy_is_posted_without_a_key_and_the_connection_kept() {
    let server = Receiver::new([]);
    // Has the patience for a loaded machine that a client has not.
    let bench =
        Bench::new(&format!("http://{}/stream", server.address), Arc::new(Patient(options().clock)), spawn_thread);
    for _ in 0..3 {
        bench.copy();
    }
    let copy = server.next();
    assert_eq!((copy.line.as_str(), copy.body), ("POST /stream HTTP/1.1", body(10).bytes));
    assert_eq!(copy.headers.get("content-type").map(String::as_str), Some("application/x-sentry-envelope"));
    assert!(!copy.headers.contains_key("x-sentry-auth"));
    assert_eq!((bench.counts(), server.connections()), ([3, 0, 0], 1));
}

/// Gives each post the time a loaded machine may take.
struct Patient(Arc<dyn Clock>);
struct PatientTransport(Box<dyn Transport>);

impl Connector for Patient {
    fn transport(&self) -> Box<dyn Transport> {
        let http = HttpConnector::new(HttpOptions { clock: self.0.clone(), ..options() });
        Box::new(PatientTransport(http.transport()))
    }
}

impl Transport for PatientTransport {
    fn begin(&mut self) {
        self.0.begin();
    }

    fn post(&mut self, target: &Target, body: &Body, _: Duration) -> Posted {
        self.0.post(target, body, PATIENCE)
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        self.0.aborter()
    }
}

#[test]
fn while_one_is_under_way_the_others_come_back_and_are_counted() {
    let script = script();
    let bench = Bench::new("http://h/stream", script.connector.clone(), spawn_thread);
    assert_eq!(bench.spotlight.copy(body(1)), None);
    let (target, posted, timeout) = script.posts.recv_timeout(PATIENCE).unwrap();
    assert_eq!(target, Target { url: "http://h/stream".to_owned(), auth: String::new() });
    assert_eq!((posted, timeout), (body(1), Duration::from_secs(1)));
    assert_eq!(bench.spotlight.copy(body(2)), Some(body(2)));
    assert_eq!(bench.spotlight.copy(body(3)), Some(body(3)));
    script.answers.send(ok()).unwrap();
    eventually("it is over", || bench.counts() == [1, 0, 2]);
}

#[test]
fn after_a_failure_it_is_left_alone_for_half_a_minute() {
    let script = script();
    let bench = Bench::new("http://h/stream", script.connector.clone(), spawn_thread);
    script.answers.send(Err(Failure::Broken("timeout: global".to_owned()))).unwrap();
    script.answers.send(Ok(Answer { status: 500, ..Answer::default() })).unwrap();
    script.answers.send(ok()).unwrap();
    bench.copy();
    assert_eq!(bench.spotlight.copy(body(2)), Some(body(2)));
    assert_eq!(bench.counts(), [0, 1, 0], "one that is not tried is neither skipped nor failed");
    let trouble = bench.spotlight.trouble();
    assert_eq!(trouble.until, Some(bench.clock.now() + Duration::from_secs(30)));
    assert_eq!(trouble.last_error.as_deref(), Some("timeout: global"));
    bench.clock.turn(Duration::from_secs(30));
    bench.copy();
    assert_eq!(bench.spotlight.trouble().last_error.as_deref(), Some("http 500"));
    bench.clock.turn(Duration::from_secs(29));
    assert!(bench.spotlight.copy(body(3)).is_some());
    bench.clock.turn(Duration::from_secs(1));
    bench.copy();
    assert_eq!((bench.counts(), bench.spotlight.trouble().until), ([1, 2, 0], None));
    assert_eq!(*bench.lines.0.lock().unwrap(), ["sentry c: no copy for spotlight, timeout: global, next try in 30 s"]);
}

#[test]
fn a_panic_is_a_failure() {
    let script = script();
    let bench = Bench::new("http://h/stream", script.connector.clone(), spawn_thread);
    drop(script.answers);
    bench.copy();
    assert_eq!((bench.counts(), bench.ledger.get(Counter::Panics)), ([0, 1, 0], 1));
    bench.clock.turn(Duration::from_secs(31));
    bench.copy();
    assert_eq!(bench.counts(), [0, 2, 0], "the thread is there still");
}

#[test]
fn the_thread_ends_with_the_client_and_with_an_abort() {
    for abort in [false, true] {
        let script = script();
        let bench = Bench::new("http://h/stream", script.connector.clone(), spawn_thread);
        script.answers.send(ok()).unwrap();
        bench.copy();
        assert!(script.ended.try_recv().is_err());
        if abort {
            bench.spotlight.abort();
            script.ended.recv_timeout(PATIENCE).expect("it ends");
            assert_eq!(bench.spotlight.copy(body(2)), Some(body(2)), "there are no more");
            assert_eq!(bench.counts(), [1, 0, 0]);
        } else {
            drop(bench.spotlight);
            script.ended.recv_timeout(PATIENCE).expect("it ends");
        }
    }
}

#[test]
fn an_abort_ends_the_copy_under_way() {
    let server = Receiver::new([Act::Silence]);
    let bench = Bench::new(&format!("http://{}/", server.address), Arc::new(Patient(options().clock)), spawn_thread);
    let begin = Instant::now();
    assert_eq!(bench.spotlight.copy(body(1)), None);
    server.next();
    bench.spotlight.abort();
    eventually("it fails", || bench.counts() == [0, 1, 0]);
    assert_eq!(bench.spotlight.trouble().last_error.as_deref(), Some("aborted"));
    assert!(begin.elapsed() < PATIENCE / 2);
}

#[test]
fn one_that_does_not_answer_costs_a_second() {
    let server = Receiver::new([Act::Silence]);
    let connector = HttpConnector::new(options());
    let bench = Bench::new(&format!("http://{}/", server.address), Arc::new(connector), spawn_thread);
    let begin = Instant::now();
    bench.copy();
    assert!((Duration::from_secs(1)..Duration::from_secs(20)).contains(&begin.elapsed()));
    assert_eq!(bench.counts(), [0, 1, 0]);
}

#[test]
fn without_a_thread_there_is_no_copy_and_later_one() {
    static FAILS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let spawn: Spawn = |name, work| {
        if FAILS.load(std::sync::atomic::Ordering::SeqCst) {
            Err(io::Error::other("no more"))
        } else {
            spawn_thread(name, work)
        }
    };
    let script = script();
    let bench = Bench::new("http://h/stream", script.connector.clone(), spawn);
    assert_eq!(bench.spotlight.copy(body(1)), Some(body(1)));
    assert_eq!((bench.counts(), bench.ledger.get(Counter::ThreadFailures)), ([0, 1, 0], 1));
    assert_eq!(bench.spotlight.trouble().last_error.as_deref(), Some("no thread: no more"));
    bench.clock.turn(Duration::from_secs(31));
    FAILS.store(false, std::sync::atomic::Ordering::SeqCst);
    script.answers.send(ok()).unwrap();
    bench.copy();
    assert_eq!(bench.counts(), [1, 1, 0]);
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = threads
        .filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "vmod-sentry-spo"));
    assert!(named.count() >= 1);
}
