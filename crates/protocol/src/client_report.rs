// SPDX-License-Identifier: BSD-2-Clause
//! Client reports: what Sentry is told of what did not reach it.
//! <https://develop.sentry.dev/sdk/telemetry/client-reports/>
//!
//! Any thread counts, one atomic addition per loss; the sender takes the counts along with the
//! next envelope, and puts them back if that envelope fails.

use std::array;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::category::Category;
use crate::reason::Reason;

const REASONS: usize = Reason::ALL.len();
const CELLS: usize = Category::ALL.len() * REASONS;

/// What was lost since the last report that arrived.
#[derive(Debug)]
pub struct ClientReport {
    lost: [AtomicU64; CELLS],
    /// Something was added since all was taken: who has many reports looks at each of them often.
    is_pending: AtomicBool,
}

impl Default for ClientReport {
    fn default() -> ClientReport {
        ClientReport { lost: [const { AtomicU64::new(0) }; CELLS], is_pending: AtomicBool::new(false) }
    }
}

/// Counts on their way to Sentry.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    lost: Box<[u64; CELLS]>,
    payload: Vec<u8>,
}

impl Taken {
    /// The `client_report` item's payload: JSON without a newline.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl ClientReport {
    /// Counts a loss; nothing happens for a reason that is not reported.
    pub fn record(&self, category: Category, reason: Reason, quantity: u64) {
        if reason.reported_as().is_some()
            && let Some(lost) = self.lost.get(category as usize * REASONS + reason as usize)
        {
            lost.fetch_add(quantity, Ordering::Relaxed);
            self.is_pending.store(true, Ordering::Release);
        }
    }

    /// Whether there is something to report.
    pub fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire)
    }

    /// Takes all counts out; `None` if there are none.
    pub fn take(&self, wall: SystemTime) -> Option<Taken> {
        // What comes between this and the counts is taken now, and looked for once more in vain.
        if !self.is_pending.swap(false, Ordering::AcqRel) {
            return None;
        }
        let lost = array::from_fn(|at| self.lost.get(at).map_or(0, |lost| lost.swap(0, Ordering::Relaxed)));
        let payload = payload(&lost, wall)?;
        Some(Taken { lost: Box::new(lost), payload })
    }

    /// Puts counts back whose envelope did not arrive.
    pub fn put_back(&self, taken: &Taken) {
        for (ours, theirs) in self.lost.iter().zip(taken.lost.iter()) {
            ours.fetch_add(*theirs, Ordering::Relaxed);
        }
        self.is_pending.store(true, Ordering::Release);
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
fn payload(lost: &[u64; CELLS], wall: SystemTime) -> Option<Vec<u8>> {
    let mut discarded_events: Vec<Discarded> = Vec::new();
    for (category, lost) in Category::ALL.into_iter().zip(lost.chunks_exact(REASONS)) {
        let first = discarded_events.len();
        for (reason, quantity) in Reason::ALL.into_iter().zip(lost).filter(|(_, quantity)| **quantity > 0) {
            let Some(reason) = reason.reported_as() else { continue };
            // Several of our reasons may be one of Sentry's.
            match discarded_events.iter_mut().skip(first).find(|said| said.reason == reason) {
                Some(said) => said.quantity = said.quantity.saturating_add(*quantity),
                None => discarded_events.push(Discarded { reason, category: category.as_str(), quantity: *quantity }),
            }
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
    fn counts_are_taken_once_and_put_back_on_failure() {
        let report = ClientReport::default();
        assert_eq!(report.take(UNIX_EPOCH), None);
        report.record(Category::Error, Reason::QueueOverflow, 2);
        report.record(Category::Error, Reason::QueueOverflow, 1);
        report.record(Category::Error, Reason::RateLimited, 5);
        report.record(Category::Error, Reason::Throttled, 3);
        // One of Sentry's reasons with the throttled ones: one line.
        report.record(Category::Error, Reason::Ignored, 4);
        report.record(Category::Attachment, Reason::QueueOverflow, 900);
        let wall = UNIX_EPOCH + Duration::from_millis(1_500);
        let taken = report.take(wall).unwrap();
        let expected = concat!(
            r#"{"timestamp":1.5,"discarded_events":["#,
            r#"{"reason":"event_processor","category":"error","quantity":7},"#,
            r#"{"reason":"queue_overflow","category":"error","quantity":3},"#,
            r#"{"reason":"queue_overflow","category":"attachment","quantity":900}]}"#
        );
        assert_eq!(String::from_utf8_lossy(taken.payload()), expected);
        assert!(!report.is_pending());

        report.record(Category::Error, Reason::Throttled, 1);
        report.put_back(&taken);
        let again = report.take(wall).unwrap();
        assert!(String::from_utf8_lossy(again.payload()).contains(r#""quantity":8"#));
        assert_eq!(report.take(wall), None);
    }

    #[test]
    fn a_reason_that_is_not_reported_leaves_nothing_pending() {
        let report = ClientReport::default();
        for reason in [Reason::NoDsn, Reason::Closed, Reason::RateLimited] {
            report.record(Category::Error, reason, 1);
        }
        assert!(!report.is_pending());
    }
}
