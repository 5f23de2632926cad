// SPDX-License-Identifier: BSD-2-Clause
//! Thresholds: one event when so many of a key came within a time, and counting starts anew.
//!
//! Time is counted in eighths of the threshold's, so that a key takes the same room whatever it counts to:
//! so many within seven eighths are always noticed, so many that took longer than the whole never.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::key_table::{KeyTable, SLOTS};
use crate::epoch::{self, Epoch};
use crate::range::{OutOfRange, number, seconds};

/// Parts of the time that are counted each on its own.
const PARTS: usize = 8;

/// How many, within which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    after: u64,
    within: Duration,
}

impl Threshold {
    /// What VCL says, in VCL's types; `None` if each event is to be captured.
    pub fn new(after: i64, within: f64) -> Result<Option<Threshold>, OutOfRange> {
        const WITHIN: RangeInclusive<f64> = 0.001..=86_400.0;
        let after = number("after", after, 0..=1_000_000)?;
        if after <= 1 && WITHIN.contains(&within) {
            return Ok(None);
        }
        let within = seconds("within", within, WITHIN)?;
        Ok(Some(Threshold { after, within }))
    }
}

/// What came of one key: how many in each of the last parts of its time.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    counts: [u32; PARTS],
    /// The number of the newest part since the epoch; each is counted at its number modulo [`PARTS`].
    newest: u64,
}

impl Recent {
    /// One more in the part numbered `part`, or in the newest one if another thread is ahead; how many there
    /// are now.
    fn add(&mut self, part: u64) -> u64 {
        let passed = part.saturating_sub(self.newest).min(PARTS as u64);
        self.newest = self.newest.max(part);
        for back in 0..passed {
            if let Some(count) = self.place(self.newest - back) {
                *count = 0;
            }
        }
        if let Some(count) = self.place(self.newest) {
            *count = count.saturating_add(1);
        }
        self.counts.iter().copied().map(u64::from).sum()
    }

    fn place(&mut self, part: u64) -> Option<&mut u32> {
        self.counts.get_mut((part % PARTS as u64) as usize)
    }
}

/// The keys counted last. One that lost its place is counted anew: too many keys are noticed late, or never.
pub struct Occurrences {
    epoch: Epoch,
    keys: KeyTable<Recent>,
}

impl Occurrences {
    /// Nothing counted; `seed` spreads the keys.
    pub fn new(seed: u64, epoch: Epoch) -> Occurrences {
        Occurrences { epoch, keys: KeyTable::new(SLOTS, seed) }
    }

    /// Counts one event of `key`. If the threshold is reached, how many they were, and counting starts anew.
    /// Events of a key count together if they have the same time.
    pub fn count(&self, key: u64, threshold: Threshold, now: Instant) -> Option<u64> {
        let now = self.epoch.nanos(now);
        let within = epoch::nanos(threshold.within);
        let part = now / (within / PARTS as u64).max(1);
        let key = key.rotate_left(32) ^ within;
        let reached = self.keys.with(key, now, |slot| {
            slot.restart(now);
            let count = slot.state.add(part);
            (count >= threshold.after).then(|| {
                slot.state = Recent::default();
                count
            })
        });
        reached.flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn occurrences(start: Instant) -> Occurrences {
        Occurrences::new(7, Epoch::new(start))
    }

    fn threshold(after: i64, within: f64) -> Threshold {
        Threshold::new(after, within).unwrap().unwrap()
    }

    #[test]
    fn the_third_within_the_time_is_the_one_and_then_it_starts_anew() {
        let start = Instant::now();
        let occurrences = occurrences(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        let table = [(0, None), (4, None), (8, Some(3)), (8, None), (9, None), (9, Some(3)), (10, None)];
        for (at, reached) in table {
            assert_eq!(occurrences.count(1, threshold(3, 10.0), after(at)), reached, "at {at} s");
            assert_eq!(occurrences.count(2, threshold(9, 10.0), after(at)), None, "another key has its own");
        }
    }

    #[test]
    fn what_is_older_than_the_time_does_not_count() {
        let start = Instant::now();
        let occurrences = occurrences(start);
        for at in (0..1000).step_by(10) {
            assert_eq!(occurrences.count(1, threshold(2, 10.0), start + Duration::from_secs(at)), None, "at {at} s");
        }
    }

    #[test]
    fn a_key_is_counted_for_each_time_on_its_own() {
        let start = Instant::now();
        let occurrences = occurrences(start);
        assert_eq!(occurrences.count(1, threshold(2, 10.0), start), None);
        assert_eq!(occurrences.count(1, threshold(2, 60.0), start), None);
        assert_eq!(occurrences.count(1, threshold(2, 10.0), start), Some(2));
        assert_eq!(occurrences.count(1, threshold(2, 60.0), start), Some(2));
    }

    #[test]
    fn a_threshold_of_one_or_none_is_none_and_a_bad_one_is_named() {
        assert_eq!(Threshold::new(0, 10.0), Ok(None));
        assert_eq!(Threshold::new(1, 10.0), Ok(None));
        let table = [
            (-1, 10.0, "after must be between 0 and 1000000, got -1"),
            (1_000_001, 10.0, "after must be between 0 and 1000000, got 1000001"),
            (0, 0.0, "within must be between 0.001s and 86400s, got 0s"),
            (5, -1.0, "within must be between 0.001s and 86400s, got -1s"),
            (5, f64::NAN, "within must be between 0.001s and 86400s, got NaNs"),
        ];
        for (after, within, text) in table {
            assert_eq!(Threshold::new(after, within).map_err(|error| error.to_string()), Err(text.to_owned()));
        }
    }

    #[test]
    fn more_keys_than_there_is_room_for_reach_nothing_and_take_no_more() {
        let start = Instant::now();
        let occurrences = occurrences(start);
        for round in 0..3 {
            let at = |key: u64| start + Duration::from_micros(round * 100_000 + key);
            let reached = (0..100_000).filter_map(|key| occurrences.count(key, threshold(3, 10.0), at(key))).count();
            assert_eq!(reached, 0, "in round {round}");
        }
    }

    proptest! {
        #[test]
        fn it_is_reached_when_so_many_came_and_only_then(
            after in 2_usize..6,
            steps in prop::collection::vec(0_u64..4_000, 1..200),
        ) {
            let start = Instant::now();
            let occurrences = occurrences(start);
            let mut at = 0;
            // When those came that were not yet part of a capture, in milliseconds.
            let mut open: Vec<u64> = Vec::new();
            for step in steps {
                at += step;
                open.push(at);
                let reached = occurrences.count(1, threshold(after as i64, 8.0), start + Duration::from_millis(at));
                let since = |span: u64| open.iter().filter(|came| at - **came < span).count();
                match reached {
                    Some(count) => {
                        prop_assert!(count == after as u64 && since(8_000) >= after);
                        open.clear();
                    }
                    None => prop_assert!(since(7_000) < after),
                }
            }
        }
    }
}
