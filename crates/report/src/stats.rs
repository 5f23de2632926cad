// SPDX-License-Identifier: BSD-2-Clause
//! What a client counts. Any thread adds, without a lock.
//!
//! varnishstat reads shared memory without asking us, so nothing could copy the numbers at the moment they are
//! looked at: they are kept there, in [`Cells`].

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

/// Where the numbers of one client are kept: from zero on, and by nobody else. Lives as long as the client or
/// its sender, whichever ends last, and may be dropped on the sender's thread.
pub trait Cells: Send + Sync {
    /// The cell of `counter`.
    fn cell(&self, counter: Counter) -> Option<&AtomicU64>;
}

/// Cells in ordinary memory.
struct Own([AtomicU64; Counter::ALL.len()]);

impl Cells for Own {
    fn cell(&self, counter: Counter) -> Option<&AtomicU64> {
        self.0.get(counter as usize)
    }
}

/// The numbers of one client.
pub struct Stats(Arc<dyn Cells>);

impl Stats {
    /// All zero; kept in `cells`, or nobody else sees them.
    pub fn new(cells: Option<Arc<dyn Cells>>) -> Stats {
        Stats(cells.unwrap_or_else(|| Arc::new(Own(std::array::from_fn(|_| AtomicU64::default())))))
    }

    /// Adds `quantity`.
    pub fn add(&self, counter: Counter, quantity: u64) {
        if let Some(cell) = self.0.cell(counter) {
            cell.fetch_add(quantity, Ordering::Relaxed);
        }
    }

    /// Takes `quantity` off a gauge.
    pub fn sub(&self, gauge: Counter, quantity: u64) {
        if let Some(cell) = self.0.cell(gauge) {
            cell.fetch_sub(quantity, Ordering::Relaxed);
        }
    }

    /// The value now.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.cell(counter).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn changes_are_kept_where_others_can_see_them() {
        let seen = Arc::new(Own(std::array::from_fn(|_| AtomicU64::default())));
        for stats in [Stats::new(Some(seen.clone())), Stats::new(None)] {
            stats.add(Counter::QueueBytes, 700);
            stats.sub(Counter::QueueBytes, 200);
            stats.add(Counter::Sent, 1);
            assert_eq!((stats.get(Counter::QueueBytes), stats.get(Counter::Sent)), (500, 1));
        }
        assert_eq!(seen.cell(Counter::QueueBytes).map(|cell| cell.load(Ordering::Relaxed)), Some(500));
    }
}
