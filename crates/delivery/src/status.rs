// SPDX-License-Identifier: BSD-2-Clause
//! What `sentry.status()` says of a client: of events, what counts as errors; of a client whose entries name where they go, of all items.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::category::Category;
use protocol::reason::Reason;
use serde::Serialize;

use crate::counters::{Counter, Tally};
use crate::settings::DsnSource;
use crate::shared::breaker::Look;
use crate::state::{Availability, State};

/// Why something is not captured.
const REFUSED: [Reason; 7] = [
    Reason::NoDsn,
    Reason::Closed,
    Reason::Ignored,
    Reason::Throttled,
    Reason::SampleRate,
    Reason::MaxRate,
    Reason::RatelimitBackoff,
];
/// Why something is lost after its capture.
const DROPPED: [Reason; 9] = [
    Reason::NoDsn,
    Reason::Closed,
    Reason::RatelimitBackoff,
    Reason::RateLimited,
    Reason::QueueOverflow,
    Reason::NetworkError,
    Reason::SendError,
    Reason::InternalSdkError,
    Reason::CacheOverflow,
];

#[derive(Serialize)]
struct Status<'a, D> {
    name: &'a str,
    host: Option<&'a str>,
    project: Option<&'a str>,
    /// How many DSNs entries may name; `None` of a client that has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    destinations: Option<usize>,
    state: &'static str,
    queue: QueueStatus,
    /// `None` if there is none.
    spool: Option<SpoolStatus>,
    /// `None` if there are no copies.
    spotlight: Option<SpotlightStatus>,
    /// `None` if they are not to be reported.
    child_deaths: Option<D>,
    captured: u64,
    counted: u64,
    sent: u64,
    /// Held back by throttle, sample rate and rate; also in `refused`, each under its own reason.
    suppressed: u64,
    /// Not captured.
    refused: BTreeMap<&'static str, u64>,
    /// Lost after their capture.
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
    sending: usize,
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
struct ResponseTimes {
    mean: f64,
    p90: f64,
}

/// The client's state as JSON.
pub fn json(state: &State, child_deaths: Option<impl Serialize>, now: Instant) -> String {
    let (home, ledger, settings) = (state.home(), &state.ledger, &state.settings);
    let view = state.view().clone();
    let times = view.times.summary();
    let look = look(state, now);
    let backoff = look.until.map(|until| seconds(until - now));
    let limits = home.map(|home| home.destination.in_force(now)).unwrap_or_default();
    let is_limited = home.is_some_and(|home| home.destination.is_limited(Category::Error, now));
    let (events, bytes) = state.queue.load();
    let status = Status {
        name: &settings.name,
        host: home.map(|home| home.dsn.host()),
        project: home.map(|home| home.dsn.project()),
        destinations: (settings.dsn == DsnSource::Entries).then(|| state.parts().len()),
        state: match state.availability() {
            Availability::Closed => "closed",
            Availability::NoDsn if matches!(settings.dsn, DsnSource::Unusable(_)) => "dsn_unusable",
            Availability::NoDsn => "no_dsn",
            Availability::DsnAwaited => "dsn_unreadable",
            Availability::Ready if is_limited => "rate_limited",
            Availability::Ready if backoff.is_some() => "backoff",
            Availability::Ready if settings.debug => "dry_run",
            Availability::Ready => "ok",
        },
        queue: QueueStatus {
            events,
            bytes,
            max_events: settings.queue.entries,
            max_bytes: settings.queue.bytes,
            sending: state.queue.under_way(),
        },
        spool: spool(state),
        spotlight: spotlight(state, now),
        child_deaths,
        captured: told(state, Tally::Captured),
        counted: ledger.get(Counter::Counted),
        sent: told(state, Tally::Sent),
        suppressed: [Reason::Throttled, Reason::SampleRate, Reason::MaxRate]
            .map(|reason| told(state, Tally::Refused(reason)))
            .iter()
            .sum(),
        refused: by_reason(state, REFUSED, Tally::Refused),
        dropped: by_reason(state, DROPPED, Tally::Dropped),
        retries: ledger.get(Counter::Retries),
        requests: ledger.get(Counter::Requests),
        response_ms: ResponseTimes { mean: millis(times.mean), p90: millis(times.p90) },
        connections: view.width,
        pause_ms: millis(view.interval),
        limits: limits.into_iter().map(|(word, left)| (word, seconds(left))).collect(),
        breaker: match backoff {
            _ if !look.is_failing => "closed",
            Some(_) => "open",
            None => "half_open",
        },
        backoff,
        last_error: view.last_error,
    };
    serde_json::to_string(&status).unwrap_or_default()
}

fn spool(state: &State) -> Option<SpoolStatus> {
    let max_bytes = state.settings.spool.as_ref()?.bytes;
    let conditions: Vec<_> = state.spools().iter().map(|(_, spool)| spool.condition()).collect();
    // Of several, what is wrong with one is what there is to say.
    let failing = conditions.iter().find(|condition| condition.failing);
    let condition = failing.or(conditions.iter().find(|condition| condition.last_error.is_some()));
    Some(SpoolStatus {
        state: match () {
            () if failing.is_some() => "unusable",
            () if conditions.iter().any(|condition| condition.usable) => "ok",
            () => "closed",
        },
        events: state.ledger.get(Counter::SpoolEntries),
        bytes: state.ledger.get(Counter::SpoolBytes),
        max_bytes,
        last_error: condition.and_then(|condition| condition.last_error.clone()),
    })
}

fn spotlight(state: &State, now: Instant) -> Option<SpotlightStatus> {
    let trouble = state.spotlight.as_ref()?.trouble();
    Some(SpotlightStatus {
        state: if trouble.until.is_some_and(|until| now < until) { "left_alone" } else { "ok" },
        sent: state.ledger.get(Counter::SpotlightSent),
        failures: state.ledger.get(Counter::SpotlightFailures),
        last_error: trouble.last_error,
    })
}

fn by_reason<const N: usize>(
    state: &State,
    reasons: [Reason; N],
    tally: fn(Reason) -> Tally,
) -> BTreeMap<&'static str, u64> {
    reasons.into_iter().map(|reason| (reason.as_str(), told(state, tally(reason)))).collect()
}

fn told(state: &State, tally: Tally) -> u64 {
    match state.settings.dsn {
        DsnSource::Entries => state.ledger.told_of_items(tally),
        _ => state.ledger.told(Category::Error, tally),
    }
}

/// The pause of the server that is left alone for longest, and whether one has failed.
fn look(state: &State, now: Instant) -> Look {
    if let Some(home) = state.home() {
        return home.breaker.look(now, None);
    }
    let way = &state.settings.server.way;
    let looks = state.parts().into_iter().map(|(dsn, _)| state.shared.breaker(&dsn, way, now).look(now, None));
    looks.max_by_key(|look| (look.until, look.is_failing)).unwrap_or_default()
}

/// To a tenth.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

/// To a thousandth.
fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}
