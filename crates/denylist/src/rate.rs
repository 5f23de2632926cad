// SPDX-License-Identifier: BSD-2-Clause
//! The share of failures among the fetches of the last few seconds.
//!
//! Any thread may call anything; nothing here takes a lock.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::time::Time;

/// Parts of the window. It moves on by one of them at a time.
const BUCKETS: usize = 10;

/// Fetches and failures in a window that moves with the clock.
///
/// A bucket's word has, from the top, 24 bits of the number of the part of time that it counts, 20 bits of fetches, 20 of failures. A
/// bucket that counts another part of time counts as empty, so nothing has to be swept. A part's number comes again after more than 16
/// million parts, which are 19 days of the shortest window.
pub struct FailureRate {
    /// Length of a bucket.
    millis: i64,
    /// From so many failures of a hundred fetches on it is too much; 0 for never.
    percent: u64,
    min_fetches: u64,
    buckets: [AtomicU64; BUCKETS],
}

const FIELD: u32 = 20;
const FULL: u64 = (1 << FIELD) - 1;
/// What is kept of a part's number.
const PARTS: u64 = (1 << 24) - 1;

#[derive(Clone, Copy)]
struct Bucket {
    part: u64,
    fetches: u64,
    failures: u64,
}

impl Bucket {
    fn of(word: u64) -> Bucket {
        Bucket { part: word >> (2 * FIELD), fetches: word >> FIELD & FULL, failures: word & FULL }
    }

    fn word(self) -> u64 {
        self.part << (2 * FIELD) | self.fetches << FIELD | self.failures
    }
}

impl FailureRate {
    /// A rate over the last `window` seconds, at least 1, at most a year; the window's last tenth may be missing. Percent 0 turns it off.
    pub fn new(percent: u64, min_fetches: u64, window: f64) -> FailureRate {
        let millis = (window.clamp(1.0, 366.0 * 86400.0) * 1000.0) as i64 / BUCKETS as i64;
        FailureRate { millis, percent, min_fetches: min_fetches.max(1), buckets: Default::default() }
    }

    /// Counts a fetch.
    pub fn count(&self, failed: bool, now: Time) {
        self.add(1, u64::from(failed), now);
    }

    /// Counts fetches of which none failed.
    pub fn count_good(&self, fetches: u64, now: Time) {
        if fetches > 0 {
            self.add(fetches.min(FULL / 2), 0, now);
        }
    }

    fn add(&self, fetches: u64, failures: u64, now: Time) {
        let Some((number, bucket)) = self.part(now).and_then(|part| self.bucket(part)) else { return };
        let _ = bucket.fetch_update(Relaxed, Relaxed, |word| {
            let mut bucket = Bucket::of(word);
            if bucket.part != number {
                bucket = Bucket { part: number, fetches: 0, failures: 0 };
            }
            // Full: half of it all weighs as much against itself.
            if bucket.fetches + fetches > FULL {
                (bucket.fetches, bucket.failures) = (bucket.fetches / 2, bucket.failures / 2);
            }
            bucket.fetches += fetches;
            bucket.failures += failures;
            Some(bucket.word())
        });
    }

    /// Counts as failed what has been counted as a fetch that had not: the newest such of the window, as it may be a while ago. If there
    /// is none, it is out of the window.
    pub fn count_late(&self, now: Time) {
        let Some(newest) = self.part(now) else { return };
        for age in 0..BUCKETS as u64 {
            let Some((number, bucket)) = newest.checked_sub(age).and_then(|part| self.bucket(part)) else { return };
            let fail = |word| {
                let bucket = Bucket::of(word);
                let had_not = bucket.part == number && bucket.failures < bucket.fetches;
                had_not.then(|| Bucket { failures: bucket.failures + 1, ..bucket }.word())
            };
            if bucket.fetch_update(Relaxed, Relaxed, fail).is_ok() {
                return;
            }
        }
    }

    /// Whether failures are at the limit or over it.
    pub fn is_too_high(&self, now: Time) -> bool {
        if self.percent == 0 {
            return false;
        }
        let Some(newest) = self.part(now) else { return false };
        let (mut fetches, mut failures) = (0, 0);
        for word in &self.buckets {
            let bucket = Bucket::of(word.load(Relaxed));
            // Tasks take their clocks at different moments: a bucket may be a little ahead.
            let age = newest.wrapping_sub(bucket.part) & PARTS;
            if age < BUCKETS as u64 || age > PARTS + 1 - BUCKETS as u64 {
                (fetches, failures) = (fetches + bucket.fetches, failures + bucket.failures);
            }
        }
        fetches >= self.min_fetches && failures * 100 >= self.percent * fetches
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Relaxed);
        }
    }

    /// The number of the part of time.
    fn part(&self, now: Time) -> Option<u64> {
        u64::try_from(now.millis().checked_div(self.millis)?).ok()
    }

    /// What a bucket has of the part's number, and its bucket.
    fn bucket(&self, part: u64) -> Option<(u64, &AtomicU64)> {
        let bucket = self.buckets.get((part % BUCKETS as u64) as usize)?;
        Some((part & PARTS, bucket))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_seconds(1_790_000_000.0 + seconds)
    }

    #[test]
    fn it_is_too_high_at_the_limit_with_enough_fetches() {
        let rate = FailureRate::new(50, 4, 10.0);
        for (failed, too_high) in
            [(true, false), (true, false), (false, false), (false, true), (false, false), (true, true)]
        {
            rate.count(failed, at(0.0));
            assert_eq!(rate.is_too_high(at(0.0)), too_high);
        }
        rate.clear();
        assert!(!rate.is_too_high(at(0.0)));
    }

    #[test]
    fn the_window_moves_on() {
        let rate = FailureRate::new(100, 2, 10.0);
        rate.count(true, at(0.0));
        rate.count(true, at(5.0));
        assert!(rate.is_too_high(at(9.9)));
        assert!(!rate.is_too_high(at(10.0)), "the first is out, and one is not enough");
        rate.count(true, at(10.0));
        assert!(rate.is_too_high(at(14.9)));
        assert!(!rate.is_too_high(at(15.0)));
        // The same bucket, another part of time.
        rate.count(true, at(25.0));
        assert!(!rate.is_too_high(at(25.0)));
    }

    #[test]
    fn a_clock_that_is_a_little_behind_sees_what_is_ahead() {
        let rate = FailureRate::new(100, 1, 10.0);
        rate.count(true, at(3.0));
        assert!(rate.is_too_high(at(1.0)));
        assert!(!rate.is_too_high(at(-100.0)));
    }

    #[test]
    fn what_fails_late_is_one_fetch() {
        let rate = FailureRate::new(100, 1, 10.0);
        rate.count(false, at(0.0));
        assert!(!rate.is_too_high(at(0.0)));
        rate.count_late(at(0.0));
        assert!(rate.is_too_high(at(0.0)));
        // Of a part of time that has counted nothing: no failure without a fetch.
        rate.count_late(at(5.0));
        rate.count(false, at(5.0));
        assert!(!rate.is_too_high(at(5.0)));
    }

    #[test]
    fn what_fails_late_was_a_fetch_some_time_ago() {
        let rate = FailureRate::new(50, 20, 10.0);
        for _ in 0..20 {
            rate.count(false, at(0.0));
        }
        for n in 0..10 {
            assert!(!rate.is_too_high(at(4.0)), "{n}");
            rate.count_late(at(4.0));
        }
        assert!(rate.is_too_high(at(4.0)));
        assert!(!rate.is_too_high(at(10.0)), "it goes with its fetch");
        // Out of the window: no failure of another fetch.
        let rate = FailureRate::new(50, 1, 10.0);
        rate.count(false, at(0.0));
        rate.count_late(at(10.0));
        assert!(!rate.is_too_high(at(9.0)));
    }

    #[test]
    fn a_full_bucket_keeps_the_share() {
        let rate = FailureRate::new(50, 1, 10.0);
        for n in 0..3_000_000 {
            rate.count(n % 2 == 0, at(0.0));
        }
        assert!(rate.is_too_high(at(0.0)));
        for _ in 0..500_000 {
            rate.count(false, at(0.0));
        }
        assert!(!rate.is_too_high(at(0.0)));
    }

    #[test]
    fn many_good_ones_are_counted_at_once() {
        let rate = FailureRate::new(50, 1, 10.0);
        (0..3).for_each(|_| rate.count(true, at(0.0)));
        rate.count_good(0, at(0.0));
        rate.count_good(3, at(0.0));
        assert!(rate.is_too_high(at(0.0)));
        rate.count_good(1, at(0.0));
        assert!(!rate.is_too_high(at(0.0)));
        // More than a bucket has room for.
        (0..4).for_each(|_| rate.count_good(u64::MAX, at(0.0)));
        rate.count(true, at(0.0));
        assert!(!rate.is_too_high(at(0.0)));
    }

    #[test]
    fn it_is_off_without_a_limit() {
        let rate = FailureRate::new(0, 1, 10.0);
        rate.count(true, at(0.0));
        assert!(!rate.is_too_high(at(0.0)));
    }

    #[test]
    fn many_threads_lose_no_count() {
        let rate = FailureRate::new(50, 80_000, 10.0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let rate = &rate;
                scope.spawn(move || (0..20_000).for_each(|_| rate.count(thread % 2 == 0, at(0.0))));
            }
        });
        assert!(rate.is_too_high(at(0.0)));
        rate.count(false, at(0.0));
        assert!(!rate.is_too_high(at(0.0)));
    }
}
