// SPDX-License-Identifier: BSD-2-Clause
//! The backend as a whole by its failure rate: sick while that is too high, then, if wanted, on trial.
//!
//! Any thread may call anything; nothing here takes a lock.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use crate::offenders::{Standing, Task};
use crate::rate::FailureRate;
use crate::time::Time;
use crate::unsettled::{SETTLES, Unsettled};

/// Nobody's trial.
const NOBODY: u64 = 0;

/// When failures make the backend sick as a whole, and what it takes to be well again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// From so many failures of a hundred fetches on; 0 for never.
    pub percent: u64,
    /// With fewer fetches than this in the window the rate says nothing.
    pub min_fetches: u64,
    /// In seconds.
    pub window: f64,
    /// Whether one fetch at a time tries it out when the rate has gone down, until one succeeds.
    pub half_open: bool,
}

/// What came of a fetch that had an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Success,
    Failure,
    /// It says nothing about the backend.
    Nothing,
}

/// No answer is under way that would be taken for a success.
const NEVER: i64 = i64::MAX;

/// Sick while the rate is too high.
///
/// Half-open: nothing is fetched meanwhile, so the rate goes down by itself. Then there is one trial at a time. A success makes it well, a
/// failure sick for another window.
pub struct Breaker {
    limits: Limits,
    rate: FailureRate,
    /// Whether the rate was too high and no fetch has succeeded since; stays false if it is not half-open.
    tripped: AtomicBool,
    /// Until when the last failed trial makes it sick.
    failed_until: AtomicI64,
    trial: AtomicU64,
    /// From when on the trial is taken for a success, if nothing else comes of it.
    trial_settles: AtomicI64,
    unsettled: Unsettled,
}

impl Breaker {
    /// Tasks take their clocks at different moments: another one's may be so far ahead, in seconds.
    const AHEAD: f64 = 60.0;

    pub fn new(limits: Limits) -> Breaker {
        Breaker {
            limits,
            rate: FailureRate::new(limits.percent, limits.min_fetches, limits.window),
            tripped: AtomicBool::new(false),
            failed_until: AtomicI64::new(0),
            trial: AtomicU64::new(NOBODY),
            trial_settles: AtomicI64::new(NEVER),
            unsettled: Unsettled::default(),
        }
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn is_sick(&self, now: Time) -> bool {
        self.has_failed(now) || self.rate.is_too_high(now)
    }

    /// Whether the last trial failed within the window. One that did later than now was before the clock was set back.
    fn has_failed(&self, now: Time) -> bool {
        let until = Time::from_millis(self.failed_until.load(Relaxed));
        now < until && until.seconds_after(now) <= self.limits.window + Self::AHEAD
    }

    /// What a fetch of this task would meet; `None` asks for nobody in particular.
    pub fn standing(&self, task: Option<Task>, now: Time) -> Standing {
        if self.limits.percent == 0 {
            return Standing::Clear;
        }
        if self.is_sick(now) {
            return Standing::Refused;
        }
        if !self.tripped.load(Acquire) {
            return Standing::Clear;
        }
        let trial = self.trial.load(Relaxed);
        if trial != NOBODY && self.trial_settles.load(Relaxed) <= now.millis() {
            self.close();
            return Standing::Clear;
        }
        if trial == NOBODY || task.is_some_and(|task| task.number() == trial) {
            Standing::Trial
        } else {
            Standing::Busy
        }
    }

    /// The same, and if it is a trial, this task's it is from now on.
    pub fn begin(&self, task: Task, now: Time) -> Standing {
        let standing = self.standing(Some(task), now);
        if standing != Standing::Trial {
            return standing;
        }
        match self.trial.compare_exchange(NOBODY, task.number(), AcqRel, Relaxed) {
            Err(other) if other != task.number() => Standing::Busy,
            _ => Standing::Trial,
        }
    }

    /// Frees the trial if it is this task's.
    pub fn end(&self, task: Task) {
        if self.trial.load(Relaxed) == task.number() {
            self.trial_settles.store(NEVER, Relaxed);
        }
        let _ = self.trial.compare_exchange(task.number(), NOBODY, AcqRel, Relaxed);
    }

    /// Takes note that a fetch, maybe a trial of this task's, has an answer whose body is under way: what comes of it is to be
    /// [told](Breaker::settle). If that takes long, it is a success until then.
    pub fn answer(&self, task: Option<Task>, now: Time) {
        if self.limits.percent == 0 {
            return;
        }
        let overdue = self.unsettled.begin(now);
        self.rate.count_good(overdue, now);
        if task.is_some_and(|task| task.number() == self.trial.load(Relaxed)) {
            self.trial_settles.store(now.plus(SETTLES).millis(), Relaxed);
        }
    }

    /// Takes note of what came of a fetch that was `answered` then.
    pub fn settle(&self, ending: Ending, answered: Time, now: Time) {
        if self.limits.percent == 0 {
            return;
        }
        match (ending, self.unsettled.end(answered)) {
            (Ending::Success, true) => self.count(false, now),
            (Ending::Failure, true) => self.count(true, now),
            // Counted already.
            (Ending::Failure, false) => self.count_late(now),
            (Ending::Success, false) | (Ending::Nothing, _) => {}
        }
    }

    /// Takes note of what came of a fetch.
    pub fn count(&self, failed: bool, now: Time) {
        if self.limits.percent > 0 {
            self.rate.count_good(self.unsettled.overdue(now), now);
            let sick = self.is_sick(now);
            self.rate.count(failed, now);
            self.judge(failed, sick, now);
        }
    }

    /// Takes note that a fetch failed in the end that had been counted as a success.
    pub fn count_late(&self, now: Time) {
        if self.limits.percent > 0 {
            let sick = self.is_sick(now);
            self.rate.count_late(now);
            self.judge(true, sick, now);
        }
    }

    fn judge(&self, failed: bool, was_sick: bool, now: Time) {
        if !self.limits.half_open {
            return;
        }
        if self.rate.is_too_high(now) {
            self.tripped.store(true, Release);
        } else if !was_sick && self.tripped.load(Acquire) {
            // What was under way when it tripped says nothing: only now, that there are trials, it counts.
            match failed {
                true => {
                    self.failed_until.store(now.plus(self.limits.window).millis(), Relaxed);
                    self.trial_settles.store(NEVER, Relaxed);
                    self.trial.store(NOBODY, Release);
                }
                false => self.close(),
            }
        }
    }

    /// It is well again.
    fn close(&self) {
        self.rate.clear();
        self.tripped.store(false, Release);
        self.trial_settles.store(NEVER, Relaxed);
        self.trial.store(NOBODY, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_seconds(1_790_000_000.0 + seconds)
    }

    fn breaker(half_open: bool) -> Breaker {
        Breaker::new(Limits { percent: 50, min_fetches: 4, window: 10.0, half_open })
    }

    fn trip(breaker: &Breaker) {
        for _ in 0..4 {
            assert_eq!(breaker.standing(None, at(0.0)), Standing::Clear);
            breaker.count(true, at(0.0));
        }
        assert_eq!(breaker.standing(None, at(0.0)), Standing::Refused);
    }

    #[test]
    fn without_trials_it_is_well_when_the_window_is() {
        let breaker = breaker(false);
        trip(&breaker);
        assert_eq!(breaker.standing(None, at(9.0)), Standing::Refused);
        assert_eq!(breaker.standing(None, at(10.0)), Standing::Clear);
    }

    #[test]
    fn half_open_there_is_one_trial_at_a_time_until_one_succeeds() {
        let (breaker, [one, two]) = (breaker(true), [1, 2].map(Task::numbered));
        trip(&breaker);
        // It was under way.
        breaker.count(false, at(1.0));
        assert_eq!(breaker.begin(one, at(9.0)), Standing::Refused);
        assert_eq!(breaker.standing(Some(one), at(10.0)), Standing::Trial);
        assert_eq!(breaker.begin(one, at(10.0)), Standing::Trial);
        assert_eq!(breaker.begin(one, at(10.0)), Standing::Trial, "a retry");
        assert_eq!(breaker.begin(two, at(10.0)), Standing::Busy);
        assert_eq!(breaker.standing(None, at(10.0)), Standing::Busy);
        breaker.end(two);
        assert_eq!(breaker.begin(two, at(10.0)), Standing::Busy);
        breaker.end(one);
        assert_eq!(breaker.begin(two, at(11.0)), Standing::Trial);
        breaker.count(true, at(11.0));
        assert_eq!(breaker.begin(one, at(20.9)), Standing::Refused);
        assert_eq!(breaker.begin(one, at(21.0)), Standing::Trial);
        breaker.count(false, at(21.0));
        for task in [one, two] {
            assert_eq!(breaker.begin(task, at(21.0)), Standing::Clear);
        }
    }

    #[test]
    fn a_trial_that_fails_after_all_is_a_failure() {
        let (breaker, one) = (breaker(true), Task::numbered(1));
        trip(&breaker);
        breaker.count(false, at(12.0));
        assert_eq!(breaker.standing(None, at(12.0)), Standing::Clear);
        let breaker = self::breaker(true);
        trip(&breaker);
        assert_eq!(breaker.begin(one, at(12.0)), Standing::Trial);
        breaker.count_late(at(12.0));
        assert_eq!(breaker.standing(None, at(13.0)), Standing::Refused);
    }

    #[test]
    fn a_fetch_counts_when_its_body_has_ended() {
        let breaker = breaker(false);
        for _ in 0..4 {
            breaker.answer(None, at(0.0));
        }
        for (n, standing) in [(1, Standing::Clear), (2, Standing::Clear), (3, Standing::Clear), (4, Standing::Refused)]
        {
            breaker.settle(Ending::Failure, at(0.0), at(1.0));
            assert_eq!(breaker.standing(None, at(1.0)), standing, "{n}");
        }
        // What says nothing is no fetch.
        let breaker = self::breaker(false);
        for ending in [Ending::Nothing, Ending::Nothing, Ending::Failure, Ending::Failure, Ending::Failure] {
            breaker.answer(None, at(0.0));
            breaker.settle(ending, at(0.0), at(1.0));
        }
        assert_eq!(breaker.standing(None, at(1.0)), Standing::Clear, "three of four that it takes");
        breaker.count(false, at(1.0));
        assert_eq!(breaker.standing(None, at(1.0)), Standing::Refused);
    }

    #[test]
    fn a_stream_without_an_end_counts_as_a_success_until_it_fails() {
        let breaker = breaker(false);
        for _ in 0..4 {
            breaker.answer(None, at(0.0));
        }
        // Four of eight it would be.
        for _ in 0..3 {
            breaker.count(true, at(11.0));
        }
        assert_eq!(breaker.standing(None, at(11.0)), Standing::Clear);
        breaker.settle(Ending::Nothing, at(0.0), at(12.0));
        breaker.settle(Ending::Success, at(0.0), at(12.0));
        assert_eq!(breaker.standing(None, at(12.0)), Standing::Clear);
        breaker.settle(Ending::Failure, at(0.0), at(12.0));
        assert_eq!(breaker.standing(None, at(12.0)), Standing::Refused);
    }

    #[test]
    fn a_trial_is_settled_by_its_end_or_after_a_while() {
        let (breaker, [one, two]) = (breaker(true), [1, 2].map(Task::numbered));
        trip(&breaker);
        assert_eq!(breaker.begin(one, at(10.0)), Standing::Trial);
        breaker.answer(Some(one), at(10.0));
        assert_eq!(breaker.begin(two, at(19.9)), Standing::Busy);
        breaker.settle(Ending::Failure, at(10.0), at(19.9));
        assert_eq!(breaker.standing(None, at(20.0)), Standing::Refused);
        assert_eq!(breaker.begin(one, at(30.0)), Standing::Trial);
        breaker.answer(Some(one), at(30.0));
        // It says nothing after all, and is free.
        breaker.settle(Ending::Nothing, at(30.0), at(31.0));
        breaker.end(one);
        assert_eq!(breaker.begin(two, at(45.0)), Standing::Trial);
        // Another one's answer does not settle it.
        breaker.answer(Some(one), at(45.0));
        assert_eq!(breaker.begin(one, at(56.0)), Standing::Busy);
        breaker.answer(Some(two), at(56.0));
        assert_eq!(breaker.standing(None, at(65.9)), Standing::Busy);
        assert_eq!(breaker.standing(None, at(66.0)), Standing::Clear);
        assert_eq!(breaker.begin(one, at(66.0)), Standing::Clear);
        // And fails in the end: as one of many.
        breaker.count(false, at(67.0));
        breaker.settle(Ending::Failure, at(56.0), at(67.0));
        assert_eq!(breaker.standing(None, at(67.0)), Standing::Clear);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_make_it_sick_for_longer() {
        let (breaker, one) = (breaker(true), Task::numbered(1));
        trip(&breaker);
        assert_eq!(breaker.begin(one, at(3600.0)), Standing::Trial);
        breaker.count(true, at(3600.0));
        for (now, standing) in [(3609.0, Standing::Refused), (3590.0, Standing::Refused), (20.0, Standing::Trial)] {
            assert_eq!(breaker.standing(None, at(now)), standing, "{now}");
        }
    }

    #[test]
    fn it_is_off_without_a_limit() {
        let breaker = Breaker::new(Limits { percent: 0, min_fetches: 1, window: 10.0, half_open: true });
        breaker.count(true, at(0.0));
        assert_eq!(breaker.begin(Task::numbered(1), at(0.0)), Standing::Clear);
    }
}
