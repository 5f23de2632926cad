// SPDX-License-Identifier: BSD-2-Clause
//! What `sentry.status()` says of a client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client_report::Reason;
use crate::limits::Category;
use crate::outbox::{Availability, Outbox};
use crate::settings::DsnSource;
use crate::spool::Condition;
use crate::stats::Counter;

#[derive(Serialize)]
struct Status<'a> {
    name: &'a str,
    host: Option<String>,
    project: Option<String>,
    state: &'static str,
    queue: QueueStatus,
    /// `None` if there is none.
    spool: Option<SpoolStatus>,
    /// `None` if there are no copies.
    spotlight: Option<SpotlightStatus>,
    /// `None` if they are not to be reported.
    child_deaths: Option<DeathsStatus>,
    captured: u64,
    counted: u64,
    sent: u64,
    /// Held back by throttle, sample rate and rate; also in `dropped`, each under its own reason.
    suppressed: u64,
    dropped: BTreeMap<&'static str, u64>,
    retries: u64,
    requests: u64,
    response_ms: ResponseTimes,
    /// How many requests may be under way.
    connections: usize,
    /// The pause between two requests to a server that has slowed down.
    pause_ms: f64,
    /// Seconds left, by category.
    limits: BTreeMap<&'static str, f64>,
    /// `closed`: all may leave; `open`: nothing, for the server fails; `half_open`: one request, to try it.
    breaker: &'static str,
    /// Seconds left of the pause after a failure.
    backoff: Option<f64>,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct QueueStatus {
    events: usize,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
    /// Out of the queue, on their way to the server.
    sending: u64,
}

#[derive(Serialize)]
struct SpoolStatus {
    state: &'static str,
    events: u64,
    bytes: u64,
    max_bytes: u64,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct SpotlightStatus {
    state: &'static str,
    sent: u64,
    failures: u64,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct DeathsStatus {
    state: &'static str,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct ResponseTimes {
    mean: f64,
    p90: f64,
}

/// The client's state as JSON.
pub fn json(outbox: &Outbox, now: Instant) -> String {
    let (dsn, times, pacer, limits, is_failing, backoff, last_error, limited, spool, deaths) = {
        let pace = outbox.pace();
        let limits: BTreeMap<_, _> = pace.limits.in_force(now).map(|(word, left)| (word, seconds(left))).collect();
        let limited = pace.limits.until(Category::Error, now).is_some();
        let backoff = pace.backoff.until(now, None).map(|until| seconds(until - now));
        let (dsn, times, pacer) = (pace.dsn.clone(), pace.times.clone(), pace.pacer.clone());
        let (last_error, is_failing) = (pace.last_error.clone(), pace.backoff.is_failing());
        (dsn, times, pacer, limits, is_failing, backoff, last_error, limited, pace.spool.clone(), pace.deaths.clone())
    };
    let (events, bytes) = outbox.queue.load();
    let times = times.summary();
    let stats = &outbox.stats;
    let state = match outbox.availability() {
        Availability::Closed => "closed",
        Availability::NoDsn if matches!(outbox.settings.client.dsn, DsnSource::Unusable(_)) => "dsn_unusable",
        Availability::NoDsn => "no_dsn",
        Availability::DsnAwaited => "dsn_unreadable",
        Availability::Ready if limited => "rate_limited",
        Availability::Ready if backoff.is_some() => "backoff",
        Availability::Ready if outbox.settings.client.debug => "dry_run",
        Availability::Ready => "ok",
    };
    let spool = outbox.settings.spool.folder.is_some().then(|| SpoolStatus {
        state: match spool {
            _ if spool.is_usable => "ok",
            Condition { last_error: Some(_), .. } => "unusable",
            _ => "closed",
        },
        events: stats.get(Counter::SpoolEvents),
        bytes: stats.get(Counter::SpoolBytes),
        max_bytes: outbox.settings.spool.bytes,
        last_error: spool.last_error.clone(),
    });
    let spotlight = outbox.spotlight.as_ref().map(|spotlight| {
        let trouble = spotlight.trouble();
        SpotlightStatus {
            state: if trouble.until.is_some_and(|until| now < until) { "left_alone" } else { "ok" },
            sent: stats.get(Counter::SpotlightSent),
            failures: stats.get(Counter::SpotlightFailures),
            last_error: trouble.last_error,
        }
    });
    let status = Status {
        name: &outbox.settings.name,
        host: dsn.as_ref().map(|dsn| dsn.host().to_owned()),
        project: dsn.as_ref().map(|dsn| dsn.project().to_owned()),
        state,
        queue: QueueStatus {
            events,
            bytes,
            max_events: outbox.settings.queue.events,
            max_bytes: outbox.settings.queue.bytes,
            sending: stats.get(Counter::Sending),
        },
        spool,
        spotlight,
        child_deaths: outbox.settings.lifecycle.events.death.then_some(DeathsStatus {
            state: if deaths.is_usable { "watched" } else { "unseen" },
            last_error: deaths.last_error,
        }),
        captured: stats.get(Counter::Captured),
        counted: stats.get(Counter::Counted),
        sent: stats.get(Counter::Sent),
        suppressed: held_back(outbox),
        dropped: Reason::ALL.into_iter().map(|reason| (reason.as_str(), stats.get(Counter::of(reason)))).collect(),
        retries: stats.get(Counter::Retries),
        requests: stats.get(Counter::Requests),
        response_ms: ResponseTimes { mean: millis(times.mean), p90: millis(times.p90) },
        connections: pacer.width(),
        pause_ms: millis(pacer.interval()),
        limits,
        breaker: match backoff {
            _ if !is_failing => "closed",
            Some(_) => "open",
            None => "half_open",
        },
        backoff,
        last_error,
    };
    serde_json::to_string(&status).unwrap_or_default()
}

/// To a tenth.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

/// To a thousandth.
fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}

/// What the next event of its key tells as suppressed.
fn held_back(outbox: &Outbox) -> u64 {
    let reasons = [Reason::Throttled, Reason::SampleRate, Reason::MaxRate];
    reasons.into_iter().map(|reason| outbox.stats.get(Counter::of(reason))).sum()
}
