// SPDX-License-Identifier: BSD-2-Clause
//! The bound on a client's events per second: a token bucket in one atomic, without a lock.
//!
//! It is the generic cell rate algorithm (ITU-T I.371): what is stored is the time at which the bucket
//! would be full again, and a token is there as long as that is less than a full bucket ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::epoch::Epoch;

/// A bucket that holds `burst` tokens and regains `rate` of them per second.
#[derive(Debug)]
pub struct TokenBucket {
    epoch: Epoch,
    /// Nanoseconds in which one token comes back; 0 means no bound.
    interval: u64,
    /// Nanoseconds in which an empty bucket becomes full.
    depth: u64,
    /// When the bucket will be full again, in nanoseconds since `epoch`.
    full_at: AtomicU64,
}

impl TokenBucket {
    /// A full bucket; a `rate` of 0 sets no bound.
    pub fn new(rate: u32, burst: u32, epoch: Epoch) -> TokenBucket {
        let interval = 1_000_000_000_u64.checked_div(u64::from(rate)).unwrap_or(0);
        TokenBucket { epoch, interval, depth: interval * u64::from(burst), full_at: AtomicU64::new(0) }
    }

    /// Takes one token; `false` if there is none at `now`. Callers whose `now` lags a little behind
    /// another thread's are served as if they came at their own time.
    pub fn take(&self, now: Instant) -> bool {
        if self.interval == 0 {
            return true;
        }
        let now = self.epoch.nanos(now);
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now).saturating_add(self.interval);
            (next <= now.saturating_add(self.depth)).then_some(next)
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn passed(bucket: &TokenBucket, at: Instant, offered: usize) -> usize {
        (0..offered).filter(|_| bucket.take(at)).count()
    }

    #[test]
    fn a_burst_passes_then_the_rate() {
        let start = Instant::now();
        let bucket = TokenBucket::new(20, 100, Epoch::new(start));
        for (after, expected) in [(0, 100), (0, 0), (50, 1), (99, 0), (100, 1), (1_100, 20), (60_000, 100)] {
            let at = start + Duration::from_millis(after);
            assert_eq!(passed(&bucket, at, 200), expected, "after {after} ms");
        }
    }

    #[test]
    fn a_rate_of_zero_is_no_bound() {
        let start = Instant::now();
        let bucket = TokenBucket::new(0, 1, Epoch::new(start));
        assert_eq!(passed(&bucket, start, 10_000), 10_000);
    }

    #[test]
    fn a_late_thread_neither_empties_nor_refills_the_bucket() {
        let start = Instant::now();
        let bucket = TokenBucket::new(10, 2, Epoch::new(start));
        let now = start + Duration::from_secs(10);
        assert_eq!(passed(&bucket, now, 5), 2);
        assert_eq!(passed(&bucket, start + Duration::from_secs(9), 5), 0);
        assert_eq!(passed(&bucket, now + Duration::from_millis(100), 5), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_together(
            rate in 1_u32..1_000,
            burst in 1_u32..200,
            steps in prop::collection::vec((0_u64..2_000, 0_usize..50), 1..50),
        ) {
            let start = Instant::now();
            let bucket = TokenBucket::new(rate, burst, Epoch::new(start));
            let (mut after, mut total) = (0, 0);
            for (step, offered) in steps {
                after += step;
                total += passed(&bucket, start + Duration::from_millis(after), offered) as u64;
                // One more for the division of a second into whole nanoseconds.
                prop_assert!(total <= u64::from(burst) + u64::from(rate) * after / 1_000 + 1);
            }
        }
    }
}
