// SPDX-License-Identifier: BSD-2-Clause
//! What is to be done once a second by whoever comes by.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crate::time::Time;

/// When something is due again. At first it is due at once, and again if the clock was set back.
#[derive(Debug, Default)]
pub struct Due(AtomicI64);

impl Due {
    /// In milliseconds.
    const INTERVAL: i64 = 1000;

    /// Whether it is due, and is left so.
    #[inline]
    pub fn is_due(&self, now: Time) -> bool {
        is_over(self.0.load(Relaxed), now)
    }

    /// Whether it is due: true for one caller a second, whose it is to do.
    #[inline]
    pub fn take(&self, now: Time) -> bool {
        let due = self.0.load(Relaxed);
        is_over(due, now) && self.begin_interval(due, now.millis())
    }

    #[cold]
    fn begin_interval(&self, due: i64, now: i64) -> bool {
        self.0.compare_exchange(due, now.saturating_add(Self::INTERVAL), AcqRel, Relaxed).is_ok()
    }
}

#[inline]
fn is_over(due: i64, now: Time) -> bool {
    // Neither of them is negative.
    !(1..=Due::INTERVAL).contains(&(due - now.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_a_second_whichever_way_the_clock_goes() {
        let due = Due::default();
        for (now, expected) in [
            (5_000, true),
            (5_001, false),
            (5_999, false),
            (6_000, true),
            (6_500, false),
            (7_500, true),
            (2_000, true),
            (2_500, false),
        ] {
            let now = Time::from_millis(now);
            assert_eq!((due.is_due(now), due.take(now), due.is_due(now)), (expected, expected, false), "{now:?}");
        }
    }
}
