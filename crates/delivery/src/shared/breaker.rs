// SPDX-License-Identifier: BSD-2-Clause
//! Whether a server is spoken to, by all who reach it in the same way: after a failure it is left alone for a while, then tried with one request.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff::Backoff;

/// A failure older than this says nothing.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// One server's.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    backoff: Backoff,
    /// Of the last failure, also when the server has answered since.
    failed_at: Option<Instant>,
}

/// What a request that is about to be made has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Until when nothing may leave; `None` if it may leave now.
    pub until: Option<Instant>,
    /// The last try has failed.
    pub is_failing: bool,
    /// A request that began before it says nothing of the server as it is now.
    pub failed_at: Option<Instant>,
}

impl Breaker {
    /// `waiter` as in [`Backoff::until`].
    pub fn look(&self, now: Instant, waiter: Option<Instant>) -> Look {
        let state = self.0.lock();
        let (until, is_failing) = (state.backoff.until(now, waiter), state.backoff.is_failing());
        Look { until, is_failing, failed_at: state.failed_at }
    }

    /// As [`Backoff::fail`].
    pub fn fail(&self, began: Instant, now: Instant, random: u64) -> Option<Duration> {
        let mut state = self.0.lock();
        let pause = state.backoff.fail(began, now, random);
        state.failed_at = state.backoff.failed_at().or(state.failed_at);
        pause
    }

    /// As [`Backoff::succeed`].
    pub fn succeed(&self, began: Instant) -> u32 {
        self.0.lock().backoff.succeed(began)
    }

    pub(super) fn is_worth_keeping(&self, now: Instant) -> bool {
        let state = self.0.lock();
        let is_recent = |at| now.saturating_duration_since(at) < FORGOTTEN;
        state.backoff.is_failing() && state.failed_at.is_some_and(is_recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_failure_outlasts_the_failing() {
        let start = Instant::now();
        let breaker = Breaker::default();
        assert_eq!(breaker.look(start, None), Look::default());
        assert_eq!(breaker.fail(start, start, 0), Some(Duration::from_secs(1)));
        let until = Some(start + Duration::from_secs(1));
        assert_eq!(breaker.look(start, None), Look { until, is_failing: true, failed_at: Some(start) });
        let later = start + Duration::from_secs(1);
        assert_eq!(breaker.succeed(later), 1);
        assert_eq!(breaker.look(later, None), Look { until: None, is_failing: false, failed_at: Some(start) });
    }

    #[test]
    fn a_failure_is_kept_for_whoever_comes_next_and_forgotten_in_the_end() {
        let start = Instant::now();
        let breaker = Breaker::default();
        assert!(!breaker.is_worth_keeping(start));
        breaker.fail(start, start, 0);
        assert!(breaker.is_worth_keeping(start + Duration::from_secs(599)));
        assert!(!breaker.is_worth_keeping(start + FORGOTTEN));
    }
}
