// SPDX-License-Identifier: BSD-2-Clause
//! Client reports: what Sentry is told of the events that did not reach it.
//! <https://develop.sentry.dev/sdk/telemetry/client-reports/>
//!
//! Any thread counts, one atomic addition per lost event; the sender takes the counts along with the
//! next envelope, and puts them back if that envelope fails.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Why an event did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The client has no DSN, or none that can be used: everything is a no-op.
    NoDsn,
    /// The client was closed, or ended with events still in its queue.
    Closed,
    /// A rule of the user's says that it is not worth an event.
    Ignored,
    /// Its key had passed as often as `throttle` lets it in this window.
    Throttled,
    /// Chance had it, by `sample_rate`.
    SampleRate,
    /// The client had sent as much as `max_rate` lets it.
    MaxRate,
    /// Sentry had asked for a pause that was still in force.
    RatelimitBackoff,
    /// Sentry answered 429.
    RateLimited,
    /// The queue was full and this was its oldest, or it alone was larger than the queue.
    QueueOverflow,
    /// No answer, after as many tries as it gets, or too old to be tried again.
    NetworkError,
    /// Sentry refused it: a status other than 2xx and 429.
    SendError,
    /// A fault of ours.
    InternalSdkError,
    /// It was the oldest in a full spool, too old, or its file was damaged.
    CacheOverflow,
}

impl Reason {
    pub const ALL: [Reason; 13] = [
        Reason::NoDsn,
        Reason::Closed,
        Reason::Ignored,
        Reason::Throttled,
        Reason::SampleRate,
        Reason::MaxRate,
        Reason::RatelimitBackoff,
        Reason::RateLimited,
        Reason::QueueOverflow,
        Reason::NetworkError,
        Reason::SendError,
        Reason::InternalSdkError,
        Reason::CacheOverflow,
    ];

    /// The word in our counters and in `sentry.status()`. Where the protocol has the same reason, it is
    /// the protocol's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoDsn => "no_dsn",
            Reason::Closed => "closed",
            Reason::Ignored => "ignored",
            Reason::Throttled => "throttled",
            Reason::SampleRate => "sample_rate",
            Reason::MaxRate => "max_rate",
            Reason::RatelimitBackoff => "ratelimit_backoff",
            Reason::RateLimited => "rate_limited",
            Reason::QueueOverflow => "queue_overflow",
            Reason::NetworkError => "network_error",
            Reason::SendError => "send_error",
            Reason::InternalSdkError => "internal_sdk_error",
            Reason::CacheOverflow => "cache_overflow",
        }
    }

    /// The protocol's reason to report it under; `None` for what must not or cannot be reported: the
    /// server has counted its own 429, and without a DSN or a sender there is nobody to tell.
    ///
    /// Ignore rules and throttle report as `event_processor`, as `ignore_errors` and the deduplication of
    /// Sentry's SDKs do, and the
    /// rate as `sample_rate` does: both drop by the user's settings, and Sentry shows only reasons it knows.
    pub fn reported_as(self) -> Option<&'static str> {
        match self {
            Reason::NoDsn | Reason::Closed | Reason::RateLimited => None,
            Reason::Ignored | Reason::Throttled => Some("event_processor"),
            Reason::MaxRate => Some("sample_rate"),
            Reason::SampleRate
            | Reason::RatelimitBackoff
            | Reason::QueueOverflow
            | Reason::NetworkError
            | Reason::SendError
            | Reason::InternalSdkError
            | Reason::CacheOverflow => Some(self.as_str()),
        }
    }
}

/// The events lost since the last report that arrived.
#[derive(Debug, Default)]
pub struct ClientReport {
    lost: [AtomicU64; Reason::ALL.len()],
}

/// Counts on their way to Sentry.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    lost: [u64; Reason::ALL.len()],
    payload: Vec<u8>,
}

impl Taken {
    /// The `client_report` item's payload: JSON without a newline, far below the 4 KiB Sentry accepts.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl ClientReport {
    /// Counts `quantity` lost events; nothing happens for a reason that is not reported.
    pub fn record(&self, reason: Reason, quantity: u64) {
        if reason.reported_as().is_some()
            && let Some(lost) = self.lost.get(reason as usize)
        {
            lost.fetch_add(quantity, Ordering::Relaxed);
        }
    }

    /// Whether there is something to report.
    pub fn is_pending(&self) -> bool {
        self.lost.iter().any(|lost| lost.load(Ordering::Relaxed) > 0)
    }

    /// Takes all counts out; `None` if there are none.
    pub fn take(&self, wall: SystemTime) -> Option<Taken> {
        if !self.is_pending() {
            return None;
        }
        let lost = array::from_fn(|at| self.lost.get(at).map_or(0, |lost| lost.swap(0, Ordering::Relaxed)));
        let payload = payload(&lost, wall)?;
        Some(Taken { lost, payload })
    }

    /// Puts counts back whose envelope did not arrive.
    pub fn put_back(&self, taken: &Taken) {
        for (ours, theirs) in self.lost.iter().zip(taken.lost) {
            ours.fetch_add(theirs, Ordering::Relaxed);
        }
    }
}

#[derive(Serialize)]
struct Payload {
    timestamp: f64,
    discarded_events: Vec<Discarded>,
}

#[derive(Serialize)]
struct Discarded {
    reason: &'static str,
    category: &'static str,
    quantity: u64,
}

/// `None` if another thread took everything first.
fn payload(lost: &[u64; Reason::ALL.len()], wall: SystemTime) -> Option<Vec<u8>> {
    // Several of our reasons may be one of Sentry's.
    let mut discarded_events: Vec<Discarded> = Vec::new();
    for (reason, &quantity) in Reason::ALL.into_iter().zip(lost).filter(|(_, quantity)| **quantity > 0) {
        let Some(reason) = reason.reported_as() else { continue };
        match discarded_events.iter_mut().find(|said| said.reason == reason) {
            Some(said) => said.quantity = said.quantity.saturating_add(quantity),
            None => discarded_events.push(Discarded { reason, category: "error", quantity }),
        }
    }
    if discarded_events.is_empty() {
        return None;
    }
    let timestamp = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    serde_json::to_vec(&Payload { timestamp, discarded_events }).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reasons_are_reported_in_the_protocols_words_and_some_are_not() {
        let words: Vec<_> = Reason::ALL.iter().map(|reason| (reason.as_str(), reason.reported_as())).collect();
        assert_eq!(
            words,
            [
                ("no_dsn", None),
                ("closed", None),
                ("ignored", Some("event_processor")),
                ("throttled", Some("event_processor")),
                ("sample_rate", Some("sample_rate")),
                ("max_rate", Some("sample_rate")),
                ("ratelimit_backoff", Some("ratelimit_backoff")),
                ("rate_limited", None),
                ("queue_overflow", Some("queue_overflow")),
                ("network_error", Some("network_error")),
                ("send_error", Some("send_error")),
                ("internal_sdk_error", Some("internal_sdk_error")),
                ("cache_overflow", Some("cache_overflow")),
            ]
        );
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{reason:?} counts in its own place");
        }
    }

    #[test]
    fn counts_are_taken_once_and_put_back_on_failure() {
        let report = ClientReport::default();
        assert_eq!(report.take(UNIX_EPOCH), None);
        report.record(Reason::QueueOverflow, 2);
        report.record(Reason::QueueOverflow, 1);
        report.record(Reason::RateLimited, 5);
        report.record(Reason::Throttled, 3);
        // One of Sentry's reasons with the throttled ones: one line.
        report.record(Reason::Ignored, 4);
        let wall = UNIX_EPOCH + Duration::from_millis(1_500);
        let taken = report.take(wall).unwrap();
        let expected = concat!(
            r#"{"timestamp":1.5,"discarded_events":["#,
            r#"{"reason":"event_processor","category":"error","quantity":7},"#,
            r#"{"reason":"queue_overflow","category":"error","quantity":3}]}"#
        );
        assert_eq!(String::from_utf8_lossy(taken.payload()), expected);
        assert!(!report.is_pending());

        report.record(Reason::Throttled, 1);
        report.put_back(&taken);
        let again = report.take(wall).unwrap();
        assert!(String::from_utf8_lossy(again.payload()).contains(r#""quantity":8"#));
        assert_eq!(report.take(wall), None);
    }

    #[test]
    fn a_reason_that_is_not_reported_leaves_nothing_pending() {
        let report = ClientReport::default();
        for reason in [Reason::NoDsn, Reason::Closed, Reason::RateLimited] {
            report.record(reason, 1);
        }
        assert!(!report.is_pending());
    }

    #[test]
    fn the_largest_report_fits_four_kilobytes() {
        let report = ClientReport::default();
        for reason in Reason::ALL {
            report.record(reason, u64::MAX);
        }
        assert!(report.take(SystemTime::now()).unwrap().payload().len() < 4096);
    }
}
