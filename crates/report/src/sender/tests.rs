// SPDX-License-Identifier: BSD-2-Clause
mod ahead;
mod spool;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::*;
use crate::clock::Clock;
use crate::dsn::Dsn;
use crate::environment::Environment;
use crate::event_id::EventId;
use crate::journal::Journal;
use crate::level::Level;
use crate::record::{Fields, Record};
use crate::settings::{ClientSettings, DsnSource, Settings};
use crate::transport::{Answer, Failure, Post, Transport};

/// A clock that only the test turns.
struct Stopped {
    time: Mutex<(Instant, SystemTime)>,
    panics: AtomicBool,
}

impl Clock for Stopped {
    fn now(&self) -> Instant {
        self.time.lock().0
    }

    fn wall(&self) -> SystemTime {
        assert!(!self.panics.load(Ordering::Relaxed), "as told");
        self.time.lock().1
    }
}

/// Answers by script, then 200.
struct Script {
    /// For each answer.
    takes: Mutex<Duration>,
    outcomes: Mutex<VecDeque<Result<Answer, Failure>>>,
    posts: Mutex<Vec<(String, Duration)>>,
    clock: Arc<Stopped>,
    panics: AtomicBool,
    panics_meanwhile: AtomicBool,
}

impl Transport for Script {
    fn post(&self, post: &Post<'_>, timeout: Duration) -> Result<Answer, Failure> {
        self.posts.lock().push((String::from_utf8_lossy(post.body).into_owned(), timeout));
        if let Some(meanwhile) = post.meanwhile {
            self.clock.panics.store(self.panics_meanwhile.load(Ordering::Relaxed), Ordering::Relaxed);
            meanwhile.run();
            self.clock.panics.store(false, Ordering::Relaxed);
        }
        let takes = *self.takes.lock();
        let mut time = self.clock.time.lock();
        *time = (time.0 + takes, time.1 + takes);
        drop(time);
        assert!(!self.panics.load(Ordering::Relaxed), "as told");
        self.outcomes.lock().pop_front().unwrap_or_else(|| status(200))
    }

    fn abort(&self) {}
}

struct Silent;

impl Journal for Silent {
    fn log(&self, _: &str) {}
}

fn status(status: u16) -> Result<Answer, Failure> {
    Ok(Answer { status, ..Answer::default() })
}

fn limited(status: u16, limits: &str) -> Result<Answer, Failure> {
    Ok(Answer { status, rate_limits: Some(limits.to_owned()), ..Answer::default() })
}

fn unreached() -> Result<Answer, Failure> {
    Err(Failure::Unreached("refused".to_owned()))
}

struct Bench {
    sender: Sender,
    script: Arc<Script>,
    clock: Arc<Stopped>,
}

fn bench_with(dsn: DsnSource, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
    let client = ClientSettings { dsn, ..ClientSettings::default() };
    bench_of(Settings { client, ..Settings::default() }, outcomes)
}

fn bench_of(settings: Settings, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
    let clock =
        Arc::new(Stopped { time: Mutex::new((Instant::now(), SystemTime::now())), panics: AtomicBool::new(false) });
    let script = Arc::new(Script {
        takes: Mutex::new(Duration::from_millis(100)),
        outcomes: Mutex::new(outcomes.into_iter().collect()),
        posts: Mutex::default(),
        clock: clock.clone(),
        panics: AtomicBool::new(false),
        panics_meanwhile: AtomicBool::new(false),
    });
    let environment = Environment {
        clock: clock.clone(),
        random: || 0,
        journal: Arc::new(Silent),
        cells: None,
        transport: script.clone(),
        spotlight: None,
        spawn: |_, _| Ok(()),
    };
    let sender = Sender::new(Arc::new(Outbox::new(settings, environment)));
    Bench { sender, script, clock }
}

fn bench(outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
    bench_with(DsnSource::Text(Dsn::parse("http://key@host/1").unwrap()), outcomes)
}

impl Bench {
    fn turn(&self, seconds: f64) {
        let by = Duration::from_secs_f64(seconds);
        let mut time = self.clock.time.lock();
        *time = (time.0 + by, time.1 + by);
    }

    fn push(&self, number: u8) {
        let at = self.clock.wall();
        let record =
            Record::new(EventId::from_random([number; 16]), at, Level::Error, Arc::default(), Fields::default());
        assert!(self.sender.courier.outbox.queue.push(record).unwrap().is_empty());
    }

    /// Steps until a request is made, which must be at once.
    fn post(&mut self) -> String {
        let before = self.script.posts.lock().len();
        assert!(self.sender.step());
        let posts = self.script.posts.lock();
        assert_eq!(posts.len(), before + 1, "one request");
        posts.last().unwrap().0.clone()
    }

    fn posts(&self) -> usize {
        self.script.posts.lock().len()
    }

    fn gate(&mut self) -> Gate {
        let now = self.clock.now();
        self.sender.find_target(now);
        self.sender.gate(now)
    }

    fn shut_for(&mut self) -> Option<f64> {
        match self.gate() {
            Gate::Open => None,
            Gate::ShutUntil(until) => Some(until.duration_since(self.clock.now()).as_secs_f64()),
        }
    }

    fn report_due_in(&self) -> Option<f64> {
        let now = self.clock.now();
        self.sender.report_due(now).map(|due| due.saturating_duration_since(now).as_secs_f64())
    }

    fn count(&self, counter: Counter) -> u64 {
        self.sender.courier.outbox.stats.get(counter)
    }
}

#[test]
fn a_failing_server_gets_one_probe_per_pause_whatever_waits() {
    let mut bench = bench(vec![unreached(); 4]);
    for number in 0..20 {
        bench.push(number);
    }
    for pause in [1.0, 2.0, 4.0, 8.0] {
        bench.post();
        assert_eq!(bench.shut_for(), Some(pause));
        bench.turn(pause);
    }
    assert_eq!(bench.gate(), Gate::Open);
    bench.post();
    bench.post();
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Retries)), (2, 4));
    assert_eq!(bench.gate(), Gate::Open);
}

/// Whether `body` is of the event with that number.
fn is_of(body: &str, number: u8) -> bool {
    body.starts_with(&format!("{{\"event_id\":\"{}", EventId::from_random([number; 16])))
}

#[test]
fn an_event_the_server_fails_on_lets_the_others_pass_and_is_given_up_at_last() {
    let mut bench = bench(vec![status(500); 10]);
    bench.push(1);
    bench.push(2);
    assert!(bench.post().contains("0101"));
    bench.turn(60.0);
    assert!(bench.post().contains("0202"), "the other one first");
    for _ in 2..10 {
        bench.turn(60.0);
        bench.post();
    }
    bench.turn(60.0);
    assert!(bench.post().contains("0101"), "answered 200 now, in its sixth try");
    assert_eq!(bench.count(Counter::Sent), 1);

    let mut bench = self::bench(vec![status(500); 10]);
    bench.push(1);
    for _ in 0..10 {
        bench.turn(60.0);
        bench.post();
    }
    assert_eq!(bench.count(Counter::DroppedSendError), 1);
    assert_eq!(bench.sender.courier.outbox.queue.load(), (0, 0));
}

#[test]
fn an_event_that_never_reached_the_server_is_kept_until_sentry_would_not_take_it() {
    let mut bench = bench(vec![unreached(); 60]);
    bench.push(1);
    for _ in 0..50 {
        bench.post();
        bench.turn(60.0);
    }
    assert_eq!(bench.count(Counter::DroppedNetworkError), 0);
    bench.turn(30.0 * 86_400.0);
    bench.post();
    assert_eq!(bench.count(Counter::DroppedNetworkError), 1);
}

#[test]
fn a_limit_on_errors_empties_the_queue_and_a_report_a_half_minute_goes_on() {
    let mut bench = bench([limited(200, "100:error:key")]);
    bench.push(1);
    bench.push(2);
    bench.post();
    assert!(bench.sender.courier.outbox.is_limited(bench.clock.now()));
    assert_eq!(bench.shut_for(), Some(100.0));
    assert_eq!(bench.count(Counter::DroppedRatelimitBackoff), 1);
    assert_eq!(bench.report_due_in(), Some(29.9), "the clock stood still but for the request");
    bench.turn(29.9);
    let report = bench.post();
    assert!(report.contains(r#"{"reason":"ratelimit_backoff","category":"error","quantity":1}"#), "{report}");
    assert!(!report.contains("event_id"));
    assert_eq!(bench.count(Counter::Reports), 1);
    bench.sender.courier.outbox.lose(Reason::RatelimitBackoff, 5);
    assert_eq!(bench.report_due_in(), Some(29.9));
    bench.turn(70.0);
    assert_eq!(bench.gate(), Gate::Open);
    assert!(!bench.sender.courier.outbox.is_limited(bench.clock.now()));
}

#[test]
fn a_limit_on_everything_holds_reports_back_too() {
    let mut bench = bench([limited(429, "100::key")]);
    bench.push(1);
    bench.push(2);
    bench.post();
    assert_eq!(bench.shut_for(), Some(100.0));
    assert_eq!(bench.report_due_in(), Some(100.0));
}

#[test]
fn no_report_travels_in_a_pause() {
    let mut bench = bench(vec![status(503); 7]);
    bench.push(1);
    bench.sender.courier.outbox.lose(Reason::Throttled, 3);
    for _ in 0..7 {
        bench.turn(60.0);
        let body = bench.post();
        assert!(body.contains(r#""reason":"event_processor","category":"error","quantity":3"#), "{body}");
    }
    assert_eq!(bench.shut_for(), Some(60.0));
    assert_eq!(bench.report_due_in(), Some(60.0), "not after 30 s");
}

#[test]
fn a_report_rides_with_an_event_or_travels_alone_every_half_minute() {
    let mut bench = bench([]);
    bench.sender.courier.outbox.lose(Reason::MaxRate, 2);
    assert_eq!(bench.report_due_in(), Some(30.0));
    bench.turn(40.0);
    bench.push(1);
    let body = bench.post();
    assert!(body.contains("sample_rate") && body.contains("event_id"), "it rides although it is due");
    assert_eq!(bench.report_due_in(), None);
    bench.sender.courier.outbox.lose(Reason::MaxRate, 1);
    bench.turn(29.9);
    let body = bench.post();
    assert!(body.contains("sample_rate") && !body.contains("event_id"));
    assert_eq!((bench.count(Counter::Reports), bench.count(Counter::Sent)), (1, 1));
}

#[test]
fn a_report_in_a_refused_envelope_is_put_back() {
    for refusal in [status(429), status(400), status(413), status(500), unreached()] {
        let mut bench = bench([refusal.clone()]);
        bench.push(1);
        bench.sender.courier.outbox.lose(Reason::Throttled, 3);
        bench.post();
        let taken = bench.sender.courier.outbox.report.take(SystemTime::now()).unwrap();
        let payload = String::from_utf8_lossy(taken.payload()).into_owned();
        assert!(payload.contains(r#""reason":"event_processor","category":"error","quantity":3"#), "{refusal:?}");
    }
}

#[test]
fn a_missing_dsn_file_is_looked_for_every_ten_seconds() {
    let mut bench = bench_with(DsnSource::File(PathBuf::from("/nonexistent/dsn")), []);
    bench.push(1);
    assert_eq!(bench.shut_for(), Some(10.0));
    assert_eq!(bench.count(Counter::DroppedNoDsn), 1);
    for (turned, looks) in [(9.9, 1), (0.2, 2), (5.0, 2), (5.0, 3)] {
        bench.turn(turned);
        bench.gate();
        assert_eq!(bench.count(Counter::DsnFailures), looks);
    }
    assert_eq!(bench.posts(), 0);
}

#[test]
fn while_it_drains_a_request_gets_the_time_that_is_left() {
    let mut bench = bench([]);
    bench.push(1);
    bench.push(2);
    bench.post();
    bench.sender.courier.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
    assert!(bench.sender.step(), "looks at the deadline first");
    bench.turn(0.5);
    bench.post();
    let timeouts: Vec<_> = bench.script.posts.lock().iter().map(|(_, timeout)| timeout.as_millis()).collect();
    assert_eq!(timeouts, [10_000, 1_500]);
    assert!(!bench.sender.step());
}

#[test]
fn the_end_sends_a_last_report_and_counts_what_is_left() {
    let mut bench = bench([]);
    bench.push(1);
    bench.post();
    bench.sender.courier.outbox.lose(Reason::Throttled, 1);
    bench.sender.courier.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
    let Bench { sender, script, .. } = bench;
    let outbox = sender.courier.outbox.clone();
    sender.run();
    assert_eq!(script.posts.lock().len(), 2);
    assert_eq!(outbox.stats.get(Counter::Reports), 1);

    let late = self::bench([]);
    late.push(1);
    late.sender.courier.outbox.lose(Reason::Throttled, 1);
    late.sender.courier.outbox.queue.drain(late.clock.now());
    let Bench { sender, script, .. } = late;
    let outbox = sender.courier.outbox.clone();
    sender.run();
    assert_eq!(script.posts.lock().len(), 0, "the time was over");
    assert_eq!(outbox.stats.get(Counter::DroppedClosed), 1);
}

/// What the server is judged by is how long it takes: nine quick answers in ten set what is usual.
#[test]
fn a_server_that_becomes_slow_is_left_alone_between_its_answers_unless_somebody_waits() {
    let mut bench = bench([]);
    let answers = |bench: &mut Bench, millis| {
        *bench.script.takes.lock() = Duration::from_millis(millis);
        for number in 0..10 {
            bench.push(number);
            bench.post();
        }
    };
    answers(&mut bench, 100);
    assert_eq!(bench.gate(), Gate::Open);
    answers(&mut bench, 600);
    assert_eq!(bench.shut_for(), Some(0.6));
    bench.turn(0.6);
    assert_eq!(bench.gate(), Gate::Open);
    bench.push(1);
    bench.post();
    assert_eq!(bench.shut_for(), Some(0.6), "after each answer");
    bench.sender.courier.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
    assert_eq!(bench.gate(), Gate::Open, "the end waits for nobody's convenience");
}
