// SPDX-License-Identifier: BSD-2-Clause
//! A point in time from which instants are counted in nanoseconds, so that an atomic can hold one.

use std::time::{Duration, Instant};

/// The start of a client's time; instants before it count as 0.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// Counts from `start` on.
    pub fn new(start: Instant) -> Epoch {
        Epoch(start)
    }

    /// Nanoseconds from the start to `at`; an instant five centuries ahead stays at the maximum.
    pub fn nanos(self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.0))
    }
}

/// `span` in nanoseconds, at most `u64::MAX`.
pub fn nanos(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(span.subsec_nanos()))
}
