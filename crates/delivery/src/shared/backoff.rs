// SPDX-License-Identifier: BSD-2-Clause
//! How long to leave a failing server alone: twice as long after each failure, with jitter.

use std::time::{Duration, Instant};

/// The pause after the first failure, at most; also the shortest time between two tries, whoever waits.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// The pause in progress, if any. One for a server, not for an entry: one that struggles gets one probe per pause.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    failed_at: Option<Instant>,
    until: Option<Instant>,
}

impl Backoff {
    /// Begins the pause after a failure of a request that `began` then. It is of 1, 2, 4 … 60 seconds, of which
    /// `random` takes up to half away, so that many caches do not come back at once. `None` if the request is
    /// older than the last failure: of several connections that fail together only the first one counts.
    pub fn fail(&mut self, began: Instant, now: Instant, random: u64) -> Option<Duration> {
        if self.is_old(began) {
            return None;
        }
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let full = doubled.min(LONGEST);
        let share = (random >> 32) as f64 / f64::from(u32::MAX);
        let pause = full.mul_f64(1.0 - share / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
        self.until = now.checked_add(pause);
        Some(pause)
    }

    /// Ends the pause: the server has answered a request that `began` then, unless that is older than the last
    /// failure. Returns how many failures there were.
    pub fn succeed(&mut self, began: Instant) -> u32 {
        if self.is_old(began) { 0 } else { std::mem::take(self).failures }
    }

    fn is_old(&self, began: Instant) -> bool {
        self.failed_at.is_some_and(|failed_at| began < failed_at)
    }

    /// When the last failure was, if the server has not answered since.
    pub fn failed_at(&self) -> Option<Instant> {
        self.failed_at
    }

    /// Whether the last try has failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Until when nothing may leave; `None` if it may leave now.
    ///
    /// `waiter` is the deadline of who waits for delivery, a flush or the end of the client. For it a
    /// pause that outlasts half the time it has left is cut to that, but never below a second since the
    /// last try, so that flushing in every request does not become a way to hammer a server.
    pub fn until(&self, now: Instant, waiter: Option<Instant>) -> Option<Instant> {
        let until = self.until?;
        let cut = waiter.zip(self.failed_at).map(|(deadline, failed_at)| {
            let halfway = failed_at + deadline.saturating_duration_since(failed_at) / 2;
            halfway.max(failed_at + FIRST)
        });
        let until = cut.map_or(until, |cut| until.min(cut));
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_JITTER: u64 = 0;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_start_anew_after_an_answer() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.until(now, None), None);
        let pauses: Vec<_> = (0..8).map(|_| backoff.fail(now, now, NO_JITTER).unwrap().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.until(now, None), Some(now + LONGEST));
        assert_eq!(backoff.until(now + LONGEST, None), None);
        assert_eq!(backoff.succeed(now), 8);
        assert_eq!(backoff.until(now, None), None);
        assert_eq!(backoff.fail(now, now, NO_JITTER), Some(FIRST));
    }

    #[test]
    fn jitter_takes_up_to_half_away() {
        let now = Instant::now();
        assert_eq!(Backoff::default().fail(now, now, u64::MAX), Some(seconds(0.5)));
        assert_eq!(Backoff::default().fail(now, now, NO_JITTER), Some(seconds(1.0)));
    }

    #[test]
    fn a_waiter_cuts_a_long_pause_but_not_below_a_second_since_the_last_try() {
        let failed_at = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..7 {
            backoff.fail(failed_at, failed_at, NO_JITTER);
        }
        let now = failed_at + seconds(10.0);
        let table = [
            // The waiter's deadline and the end of the pause, in seconds after the failure.
            (None, Some(60.0)),
            (Some(1000.0), Some(60.0)),
            (Some(40.0), Some(20.0)),
            (Some(12.0), None),
        ];
        for (deadline, expected) in table {
            let until = backoff.until(now, deadline.map(|deadline| failed_at + seconds(deadline)));
            assert_eq!(until, expected.map(|expected| failed_at + seconds(expected)), "{deadline:?}");
        }
        let at_once = failed_at + seconds(0.1);
        assert_eq!(backoff.until(at_once, Some(failed_at + seconds(0.2))), Some(failed_at + seconds(1.0)));
    }

    #[test]
    fn what_began_before_the_last_failure_neither_adds_to_it_nor_ends_it() {
        let began = Instant::now();
        let failed_at = began + seconds(0.5);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.fail(began, failed_at, NO_JITTER), Some(FIRST));
        assert_eq!(backoff.fail(began, failed_at + seconds(0.1), NO_JITTER), None);
        assert_eq!(backoff.succeed(began), 0);
        assert_eq!(backoff.until(failed_at, None), Some(failed_at + FIRST));
        assert_eq!(backoff.succeed(failed_at + FIRST), 1);
        assert!(!backoff.is_failing());
    }

    proptest! {
        #[test]
        fn every_pause_is_within_its_bounds(randoms in prop::collection::vec(any::<u64>(), 1..200)) {
            let now = Instant::now();
            let mut backoff = Backoff::default();
            for random in randoms {
                let pause = backoff.fail(now, now, random).unwrap();
                prop_assert!(pause >= FIRST / 2 && pause <= LONGEST, "{:?}", pause);
            }
        }
    }
}
