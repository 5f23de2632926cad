// SPDX-License-Identifier: BSD-2-Clause
//! What a client asks of a capture before anything of it is copied. Any thread calls.

use std::sync::OnceLock;
use std::time::Instant;

use protocol::reason::Reason;

use super::rate::TokenBucket;
use super::sample::SampleRate;
use super::threshold::{Occurrences, Threshold};
use super::throttle::{Throttle, Verdict};
use crate::epoch::Epoch;
use crate::settings::Settings;

/// The admission of one client.
pub struct Gate {
    throttle: Throttle,
    /// Made by the first threshold, for most have none.
    occurrences: OnceLock<Occurrences>,
    sample_rate: SampleRate,
    bucket: TokenBucket,
    random: fn() -> u64,
    epoch: Epoch,
}

impl Gate {
    pub fn new(settings: &Settings, random: fn() -> u64, epoch: Epoch) -> Gate {
        Gate {
            throttle: Throttle::new(settings.throttle, settings.window, random(), epoch),
            occurrences: OnceLock::new(),
            sample_rate: settings.sample_rate,
            bucket: TokenBucket::new(settings.max_rate, settings.burst(), epoch),
            random,
            epoch,
        }
    }

    /// Whether one of `key` passes: the key's throttle, then the sample rate, then the client's rate. If so, how many of its key were
    /// held back since the last one that passed.
    pub fn judge(&self, key: u64, now: Instant) -> Result<u64, Reason> {
        match self.throttle.judge(key, now, || self.choose(now)) {
            Verdict::Passed { suppressed } => Ok(suppressed),
            Verdict::Refused(reason) => Err(reason),
        }
    }

    /// Counts one of `key` towards a threshold: how many they were if this one reaches it.
    pub fn count(&self, key: u64, threshold: Threshold, now: Instant) -> Option<u64> {
        let occurrences = self.occurrences.get_or_init(|| Occurrences::new((self.random)(), self.epoch));
        occurrences.count(key, threshold, now)
    }

    /// Of those that their key's throttle lets pass: by chance, then as the client's rate has room.
    fn choose(&self, now: Instant) -> Result<(), Reason> {
        if !self.sample_rate.keeps(self.random) {
            return Err(Reason::SampleRate);
        }
        if self.bucket.take(now) { Ok(()) } else { Err(Reason::MaxRate) }
    }
}
