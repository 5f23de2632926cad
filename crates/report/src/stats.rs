// SPDX-License-Identifier: BSD-2-Clause
//! What a client counts. Any thread adds, without a lock.
//!
//! Every change also goes to a [`Mirror`], which the glue writes over shared memory: varnishstat reads
//! that without asking us, so nothing could copy the values at the moment they are looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client_report::Reason;

/// A number of a client. All grow but the gauges: events and bytes in queue and spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Counter {
    /// Events taken into the queue. Each ends as sent or as one of the drops below.
    Captured,
    /// Events counted towards a threshold that they did not reach: no losses.
    Counted,
    /// Events the server accepted.
    Sent,
    DroppedNoDsn,
    DroppedClosed,
    DroppedIgnored,
    DroppedThrottled,
    DroppedSampleRate,
    DroppedMaxRate,
    DroppedRatelimitBackoff,
    DroppedRateLimited,
    DroppedQueueOverflow,
    DroppedNetworkError,
    DroppedSendError,
    DroppedInternalSdkError,
    DroppedCacheOverflow,
    /// Tries of an event after its first one.
    Retries,
    /// Requests made, whatever came of them.
    Requests,
    /// Bytes of the bodies of those requests, compressed.
    BodyBytes,
    /// Requests that carried nothing but a client report.
    Reports,
    /// Answers 2xx.
    Answers2xx,
    /// Answers 429.
    Answers429,
    /// Other answers 4xx.
    Answers4xx,
    /// Answers 5xx.
    Answers5xx,
    /// Other answers: a redirect, mostly.
    AnswersOther,
    /// Requests without an answer.
    Unanswered,
    /// Time from request to answer, in microseconds, over all answers.
    AnswerMicros,
    /// Panics of the sender, each caught.
    Panics,
    /// Times the sender's thread could not be started.
    ThreadFailures,
    /// Times no usable DSN could be read from `dsn_file`.
    DsnFailures,
    /// Events put into the spool.
    Spooled,
    /// Events sent from the spool; they count as sent, too.
    SpoolSent,
    /// Events that left the spool without having been sent; they also count under their reason.
    SpoolDropped,
    /// Times the spool could not be used, and files in it that were none of ours or damaged.
    SpoolFailures,
    /// Times the folder for the child's marker could not be used.
    StateFailures,
    /// Copies that Spotlight took.
    SpotlightSent,
    /// Copies that it did not take.
    SpotlightFailures,
    /// Events in the queue now.
    QueueEvents,
    /// Bytes of them.
    QueueBytes,
    /// Events on their way to the server now.
    Sending,
    /// Events in the spool now.
    SpoolEvents,
    /// What their files take on the disk, in bytes.
    SpoolBytes,
}

impl Counter {
    pub const ALL: [Counter; 42] = [
        Counter::Captured,
        Counter::Counted,
        Counter::Sent,
        Counter::DroppedNoDsn,
        Counter::DroppedClosed,
        Counter::DroppedIgnored,
        Counter::DroppedThrottled,
        Counter::DroppedSampleRate,
        Counter::DroppedMaxRate,
        Counter::DroppedRatelimitBackoff,
        Counter::DroppedRateLimited,
        Counter::DroppedQueueOverflow,
        Counter::DroppedNetworkError,
        Counter::DroppedSendError,
        Counter::DroppedInternalSdkError,
        Counter::DroppedCacheOverflow,
        Counter::Retries,
        Counter::Requests,
        Counter::BodyBytes,
        Counter::Reports,
        Counter::Answers2xx,
        Counter::Answers429,
        Counter::Answers4xx,
        Counter::Answers5xx,
        Counter::AnswersOther,
        Counter::Unanswered,
        Counter::AnswerMicros,
        Counter::Panics,
        Counter::ThreadFailures,
        Counter::DsnFailures,
        Counter::Spooled,
        Counter::SpoolSent,
        Counter::SpoolDropped,
        Counter::SpoolFailures,
        Counter::StateFailures,
        Counter::SpotlightSent,
        Counter::SpotlightFailures,
        Counter::QueueEvents,
        Counter::QueueBytes,
        Counter::Sending,
        Counter::SpoolEvents,
        Counter::SpoolBytes,
    ];

    /// The name as varnishstat shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Counter::Captured => "captured",
            Counter::Counted => "counted",
            Counter::Sent => "sent",
            Counter::DroppedNoDsn => "dropped_no_dsn",
            Counter::DroppedClosed => "dropped_closed",
            Counter::DroppedIgnored => "dropped_ignored",
            Counter::DroppedThrottled => "dropped_throttled",
            Counter::DroppedSampleRate => "dropped_sample_rate",
            Counter::DroppedMaxRate => "dropped_max_rate",
            Counter::DroppedRatelimitBackoff => "dropped_ratelimit_backoff",
            Counter::DroppedRateLimited => "dropped_rate_limited",
            Counter::DroppedQueueOverflow => "dropped_queue_overflow",
            Counter::DroppedNetworkError => "dropped_network_error",
            Counter::DroppedSendError => "dropped_send_error",
            Counter::DroppedInternalSdkError => "dropped_internal_sdk_error",
            Counter::DroppedCacheOverflow => "dropped_cache_overflow",
            Counter::Retries => "retries",
            Counter::Requests => "requests",
            Counter::BodyBytes => "body_bytes",
            Counter::Reports => "reports",
            Counter::Answers2xx => "answers_2xx",
            Counter::Answers429 => "answers_429",
            Counter::Answers4xx => "answers_4xx",
            Counter::Answers5xx => "answers_5xx",
            Counter::AnswersOther => "answers_other",
            Counter::Unanswered => "unanswered",
            Counter::AnswerMicros => "answer_micros",
            Counter::Panics => "panics",
            Counter::ThreadFailures => "thread_failures",
            Counter::DsnFailures => "dsn_failures",
            Counter::Spooled => "spooled",
            Counter::SpoolSent => "spool_sent",
            Counter::SpoolDropped => "spool_dropped",
            Counter::SpoolFailures => "spool_failures",
            Counter::StateFailures => "state_failures",
            Counter::SpotlightSent => "spotlight_sent",
            Counter::SpotlightFailures => "spotlight_failures",
            Counter::QueueEvents => "queue_events",
            Counter::QueueBytes => "queue_bytes",
            Counter::Sending => "sending",
            Counter::SpoolEvents => "spool_events",
            Counter::SpoolBytes => "spool_bytes",
        }
    }

    /// The counter of events dropped for `reason`.
    pub fn of(reason: Reason) -> Counter {
        match reason {
            Reason::NoDsn => Counter::DroppedNoDsn,
            Reason::Closed => Counter::DroppedClosed,
            Reason::Ignored => Counter::DroppedIgnored,
            Reason::Throttled => Counter::DroppedThrottled,
            Reason::SampleRate => Counter::DroppedSampleRate,
            Reason::MaxRate => Counter::DroppedMaxRate,
            Reason::RatelimitBackoff => Counter::DroppedRatelimitBackoff,
            Reason::RateLimited => Counter::DroppedRateLimited,
            Reason::QueueOverflow => Counter::DroppedQueueOverflow,
            Reason::NetworkError => Counter::DroppedNetworkError,
            Reason::SendError => Counter::DroppedSendError,
            Reason::InternalSdkError => Counter::DroppedInternalSdkError,
            Reason::CacheOverflow => Counter::DroppedCacheOverflow,
        }
    }
}

/// Where every change of a counter is repeated.
///
/// It is called from any thread, also under the queue's lock: an implementation takes no lock and
/// never calls back. It lives as long as the client or its sender, whichever ends last, and may be
/// dropped on the sender's thread.
pub trait Mirror: Send + Sync {
    /// Adds `delta` to `counter`; below zero only for gauges.
    fn add(&self, counter: Counter, delta: i64);
}

/// The numbers of one client.
pub struct Stats {
    values: [AtomicU64; Counter::ALL.len()],
    mirror: Option<Arc<dyn Mirror>>,
}

impl Stats {
    /// All zero; changes are repeated to `mirror`.
    pub fn new(mirror: Option<Arc<dyn Mirror>>) -> Stats {
        Stats { values: std::array::from_fn(|_| AtomicU64::default()), mirror }
    }

    /// Adds `quantity`.
    pub fn add(&self, counter: Counter, quantity: u64) {
        if let Some(value) = self.values.get(counter as usize) {
            value.fetch_add(quantity, Ordering::Relaxed);
        }
        if let Some(mirror) = &self.mirror {
            mirror.add(counter, i64::try_from(quantity).unwrap_or(i64::MAX));
        }
    }

    /// Takes `quantity` off a gauge.
    pub fn sub(&self, gauge: Counter, quantity: u64) {
        if let Some(value) = self.values.get(gauge as usize) {
            value.fetch_sub(quantity, Ordering::Relaxed);
        }
        if let Some(mirror) = &self.mirror {
            mirror.add(gauge, i64::try_from(quantity).map_or(i64::MIN, |quantity| -quantity));
        }
    }

    /// The value now.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values.get(counter as usize).map_or(0, |value| value.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(Counter, i64)>>);

    impl Mirror for Seen {
        fn add(&self, counter: Counter, delta: i64) {
            self.0.lock().push((counter, delta));
        }
    }

    #[test]
    fn every_counter_has_its_own_place_and_name() {
        for (at, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, at, "{counter:?}");
        }
        let mut names: Vec<_> = Counter::ALL.iter().map(|counter| counter.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Counter::ALL.len());
    }

    #[test]
    fn a_dropped_event_counts_under_the_name_of_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(Counter::of(reason).as_str(), format!("dropped_{}", reason.as_str()));
        }
    }

    #[test]
    fn changes_are_kept_and_mirrored() {
        let seen = Arc::new(Seen::default());
        let stats = Stats::new(Some(seen.clone()));
        stats.add(Counter::QueueBytes, 700);
        stats.sub(Counter::QueueBytes, 200);
        stats.add(Counter::Sent, 1);
        assert_eq!(stats.get(Counter::QueueBytes), 500);
        assert_eq!(stats.get(Counter::Sent), 1);
        let expected = [(Counter::QueueBytes, 700), (Counter::QueueBytes, -200), (Counter::Sent, 1)];
        assert_eq!(*seen.0.lock(), expected);
    }
}
