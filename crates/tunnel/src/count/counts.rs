// SPDX-License-Identifier: BSD-2-Clause
//! How often each outcome came.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::{Outcome, Refusal};
use crate::noise::Noise;

const REFUSALS: usize = Refusal::ALL.len();
const KINDS: usize = Noise::ALL.len();

/// Counters of requests, each counted by its outcome once. Any thread adds.
#[derive(Debug, Default)]
pub struct Counts {
    processed: AtomicU64,
    throttled: AtomicU64,
    /// By the VCL's rules.
    ignored: AtomicU64,
    noise: [AtomicU64; KINDS],
    sampled: AtomicU64,
    limited: AtomicU64,
    dropped: AtomicU64,
    refused: [AtomicU64; REFUSALS],
}

/// What they were at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub processed: u64,
    pub throttled: u64,
    pub ignored: u64,
    pub noise: [u64; KINDS],
    pub sampled: u64,
    pub limited: u64,
    pub dropped: u64,
    pub refused: [u64; REFUSALS],
}

impl Counts {
    pub fn add(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Processed => Some(&self.processed),
            Outcome::Throttled => Some(&self.throttled),
            Outcome::Ignored(None) => Some(&self.ignored),
            Outcome::Ignored(Some(noise)) => self.noise.get(noise as usize),
            Outcome::Sampled => Some(&self.sampled),
            Outcome::Limited => Some(&self.limited),
            Outcome::Dropped => Some(&self.dropped),
            Outcome::Refused(refusal) => self.refused.get(refusal as usize),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            processed: of(&self.processed),
            throttled: of(&self.throttled),
            ignored: of(&self.ignored),
            noise: self.noise.each_ref().map(of),
            sampled: of(&self.sampled),
            limited: of(&self.limited),
            dropped: of(&self.dropped),
            refused: self.refused.each_ref().map(of),
        }
    }
}

impl Counted {
    /// All that was answered with a 200 or told to come later, and forgotten: what Cyclops calls ignored.
    pub fn forgotten(&self) -> u64 {
        let noise: u64 = self.noise.iter().sum();
        self.throttled + self.ignored + noise + self.sampled + self.limited + self.dropped
    }

    pub fn refused(&self) -> u64 {
        self.refused.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_counts_once_and_in_its_own_place() {
        let counts = Counts::default();
        let plain = [
            Outcome::Processed,
            Outcome::Throttled,
            Outcome::Ignored(None),
            Outcome::Sampled,
            Outcome::Limited,
            Outcome::Dropped,
        ];
        let noise = Noise::ALL.map(|noise| Outcome::Ignored(Some(noise)));
        let refused = Refusal::ALL.map(Outcome::Refused);
        let all = plain.into_iter().chain(noise).chain(refused);
        let mut before = counts.read();
        for (number, outcome) in all.enumerate() {
            counts.add(outcome);
            let after = counts.read();
            assert_ne!(before, after, "{outcome:?}");
            assert_eq!(after.processed + after.forgotten() + after.refused(), number as u64 + 1, "{outcome:?}");
            before = after;
        }
        let once = Counted {
            processed: 1,
            throttled: 1,
            ignored: 1,
            noise: [1; KINDS],
            sampled: 1,
            limited: 1,
            dropped: 1,
            refused: [1; REFUSALS],
        };
        assert_eq!(before, once);
    }
}
