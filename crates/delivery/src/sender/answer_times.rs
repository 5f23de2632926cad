// SPDX-License-Identifier: BSD-2-Clause
//! How long the server took for its last answers.

use std::time::Duration;

/// Answers remembered.
const REMEMBERED: usize = 1000;

/// The times of the last answers, in a ring.
#[derive(Clone, Debug, Default)]
pub struct AnswerTimes {
    /// Microseconds; a time above 71 minutes stays at the maximum.
    ring: Vec<u32>,
    oldest: usize,
}

/// Mean and 90th percentile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub mean: Duration,
    pub p90: Duration,
}

impl AnswerTimes {
    /// Remembers one time; of more than a thousand the oldest goes.
    pub fn add(&mut self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        if self.ring.len() < REMEMBERED {
            self.ring.push(micros);
        } else if let Some(place) = self.ring.get_mut(self.oldest) {
            *place = micros;
            self.oldest = (self.oldest + 1) % REMEMBERED;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// What they sum up to; zero if there was no answer yet. Sorts: call it on a clone, outside of locks.
    pub fn summary(mut self) -> Summary {
        let Some(last) = self.ring.len().checked_sub(1) else { return Summary::default() };
        let total: u64 = self.ring.iter().map(|micros| u64::from(*micros)).sum();
        let (_, p90, _) = self.ring.select_nth_unstable(last * 9 / 10);
        let p90 = Duration::from_micros(u64::from(*p90));
        Summary { mean: Duration::from_micros(total / (last as u64 + 1)), p90 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(millis: impl IntoIterator<Item = u64>) -> (u128, u128) {
        let mut times = AnswerTimes::default();
        for millis in millis {
            times.add(Duration::from_millis(millis));
        }
        let Summary { mean, p90 } = times.summary();
        (mean.as_millis(), p90.as_millis())
    }

    #[test]
    fn mean_and_p90_are_of_the_last_thousand() {
        assert_eq!(summary([]), (0, 0));
        assert_eq!(summary([7]), (7, 7));
        assert_eq!(summary([1, 9]), (5, 1));
        assert_eq!(summary((1..=100).rev()), (50, 90));
        assert_eq!(summary([5000; 1000].into_iter().chain([10; 1000])), (10, 10));
        assert_eq!(summary([5000].into_iter().chain([10; 999])), (14, 10));
    }

    #[test]
    fn an_absurd_time_stays_at_the_maximum() {
        let mut times = AnswerTimes::default();
        times.add(Duration::MAX);
        assert_eq!(times.summary().p90, Duration::from_micros(u64::from(u32::MAX)));
    }
}
