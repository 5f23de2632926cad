// SPDX-License-Identifier: BSD-2-Clause
//! The client as the glue sees it: who is admitted, and what the status says.

mod fixture;
mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use delivery::client::Admission;
use delivery::clock::Clock;
use delivery::counters::Tally;
use delivery::settings::DsnSource;
use delivery::spawn::spawn_thread;
use fixture::{Setup, look_up};
use protocol::category::Category;
use protocol::reason::Reason;
use receiver::{Act, PATIENCE, Receiver};

#[test]
fn the_first_event_starts_the_thread_and_nothing_before_it() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    setup.spawn = |name, work| {
        let first = STARTED.fetch_add(1, Ordering::SeqCst);
        assert_eq!(name, ["vmod-sentry", "vmod-sentry-con"][first]);
        spawn_thread(name, work)
    };
    let bench = setup.start();
    bench.status();
    assert_eq!(bench.client.admit(Category::Error, 1, bench.clock.now()), Admission::Admitted { suppressed: 0 });
    assert_eq!((STARTED.load(Ordering::SeqCst), server.connections()), (0, 0));
    for _ in 0..3 {
        bench.capture();
    }
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(STARTED.load(Ordering::SeqCst), 2, "the sender, and one connection");
}

#[test]
fn sentrys_limit_is_asked_before_the_throttle_and_the_throttle_before_the_rate() {
    let server = Receiver::new([Act::with_header(200, "X-Sentry-Rate-Limits: 60:error:key")]);
    let mut setup = Setup::new(&server.dsn());
    (setup.settings.throttle, setup.settings.max_rate) = (101, 1);
    let bench = setup.start();
    let start = bench.clock.now();
    let admit = |key| match bench.client.admit(Category::Error, key, start) {
        Admission::Admitted { .. } => None,
        Admission::Refused(reason) => Some(reason),
    };
    assert!((0..100).all(|_| admit(1).is_none()));
    assert_eq!(admit(1), Some(Reason::MaxRate), "the throttle has one left, the rate none");
    let second = start + Duration::from_secs(1);
    assert_eq!(bench.client.admit(Category::Error, 1, second), Admission::Admitted { suppressed: 1 });
    assert_eq!(bench.client.admit(Category::Error, 1, second), Admission::Refused(Reason::Throttled));

    bench.client.enqueue(Box::new(bench.note()), second).unwrap();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(admit(1), Some(Reason::RatelimitBackoff));
    bench.client.close();
    assert_eq!(admit(1), Some(Reason::Closed));
    let expected = [(Reason::Closed, 1), (Reason::Throttled, 1), (Reason::MaxRate, 1), (Reason::RatelimitBackoff, 1)];
    assert_eq!(bench.dropped(), expected);
}

#[test]
fn limits_on_other_categories_leave_errors_alone() {
    let limits = Act::with_header(200, "X-Sentry-Rate-Limits: 86400:transaction;span:organization");
    let server = Receiver::new([]).then_always(limits);
    let bench = Setup::new(&server.dsn()).start();
    for _ in 0..20 {
        bench.capture();
    }
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(bench.sent(), 20);
    let status = bench.status();
    assert_eq!(status["state"], "ok");
    assert!(status["limits"]["transaction"].as_f64().is_some_and(|left| left > 86_000.0));
}

#[test]
fn the_status_says_it_all_on_one_line_and_no_key() {
    let server = Receiver::new([Act::ok(), Act::status(403), Act::with_header(429, "Retry-After: 1000")]);
    let mut setup = Setup::new(&server.dsn().replace("127.0.0.1", "sentry.example"));
    setup.settings.name = "edge \"1\"".to_owned();
    setup.look_up = look_up(&[server.address]);
    let bench = setup.start();
    let fresh = bench.status_text();
    let expected = concat!(
        r#"{"name":"edge \"1\"","host":"sentry.example","project":"42","state":"ok","#,
        r#""queue":{"events":0,"bytes":0,"max_events":1000,"max_bytes":16777216,"sending":0},"#,
        r#""spool":null,"spotlight":null,"child_deaths":null,"captured":0,"counted":0,"sent":0,"suppressed":0,"#,
        r#""refused":{"closed":0,"ignored":0,"max_rate":0,"no_dsn":0,"ratelimit_backoff":0,"sample_rate":0,"throttled":0},"#,
        r#""dropped":{"cache_overflow":0,"closed":0,"internal_sdk_error":0,"network_error":0,"no_dsn":0,"#,
        r#""queue_overflow":0,"rate_limited":0,"ratelimit_backoff":0,"send_error":0},"retries":0,"requests":0,"response_ms":{"mean":0.0,"p90":0.0},"#,
        r#""connections":1,"pause_ms":0.0,"limits":{},"breaker":"closed","backoff":null,"last_error":null}"#
    );
    assert_eq!(fresh, expected);

    for _ in 0..3 {
        bench.capture();
        bench.client.flush(PATIENCE);
    }
    assert_eq!(bench.capture_key(1), Err(Reason::RatelimitBackoff));
    let status = bench.status();
    assert_eq!(status["state"], "rate_limited");
    assert_eq!((&status["captured"], &status["sent"], &status["requests"]), (&3.into(), &1.into(), &3.into()));
    let lost = [("dropped", "send_error"), ("dropped", "rate_limited"), ("refused", "ratelimit_backoff")];
    assert_eq!(lost.map(|(kind, reason)| status[kind][reason].as_u64()), [Some(1); 3]);
    assert!(status["response_ms"]["p90"].as_f64() > Some(0.0) && status["response_ms"]["mean"].as_f64() > Some(0.0));
    assert!(status["limits"]["all"].as_f64().is_some_and(|left| left > 900.0));
    assert_eq!(status["last_error"], "http 403: {}");
    bench.assert_discreet();
}

#[test]
fn how_long_answers_take_is_known_from_the_first_one_on() {
    let server = Receiver::new([]);
    let bench = Setup::new(&server.dsn()).start();
    assert_eq!(bench.client.answer_times(), None);
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    let times = bench.client.answer_times();
    assert!(times.is_some_and(|times| times.mean.min(times.p90) > Duration::ZERO), "{times:?}");
}

#[test]
fn many_threads_capture_and_every_event_is_accounted_for() {
    let server = Receiver::new([]);
    let mut setup = Setup::new(&server.dsn());
    (setup.settings.throttle, setup.settings.queue.entries) = (50, 20);
    let bench = Arc::new(setup.start());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                for number in 0..500 {
                    let _ = bench.capture_key(thread * 10 + number % 5);
                }
            });
        }
    });
    bench.client.flush(PATIENCE);
    assert!(bench.client.shutdown(bench.clock.now() + PATIENCE));
    let lost: u64 = bench.dropped().iter().map(|(_, count)| count).sum();
    assert_eq!(bench.sent() + lost, 2000);
    assert!(bench.is_exact());
    assert_eq!(bench.told(Tally::Captured), 1000);
    assert_eq!(bench.lost_for(Reason::Throttled), 1000);
    assert_eq!(server.rest().iter().filter(|request| request.event_id().is_some()).count() as u64, bench.sent());
}

#[test]
fn only_what_leads_nowhere_is_turned_away_and_then_counted() {
    let server = Receiver::new([]);
    let bench = Setup::new(&server.dsn()).start();
    assert_eq!(bench.client.turn_away(Category::Error), None);
    assert_eq!(bench.dropped(), []);
    bench.client.close();
    assert_eq!(bench.client.turn_away(Category::Error), Some(Reason::Closed));
    assert_eq!(bench.dropped(), [(Reason::Closed, 1)]);

    let mut setup = Setup::new("http://key@example.com/1");
    setup.settings.dsn = DsnSource::None;
    setup.spawn = |_, _| panic!("a client without a DSN needs no thread");
    let bench = setup.start();
    assert_eq!(bench.client.turn_away(Category::Error), Some(Reason::NoDsn));
    assert_eq!(bench.dropped(), [(Reason::NoDsn, 1)]);
}
