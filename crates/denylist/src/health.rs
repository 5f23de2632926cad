// SPDX-License-Identifier: BSD-2-Clause
//! Whether a backend is sick as a whole, as it was last seen, and when that changed.
//!
//! Entries expire by themselves, so nobody is there when a backend heals: whoever asks first afterwards
//! finds it out. Any thread may call anything; nobody waits but for a line of the history.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64};

use parking_lot::Mutex;

use crate::due::Due;
use crate::time::Time;

/// A change of a backend's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether it is sick from then on.
    pub sick: bool,
    pub at: Time,
}

/// What was seen of a backend's health so far.
#[derive(Debug)]
pub struct Health {
    sick: AtomicBool,
    /// The `now` of who last saw it change, in milliseconds; 0 before.
    since: AtomicI64,
    gauge: Due,
    history: Mutex<VecDeque<Transition>>,
}

impl Health {
    /// Transitions that are remembered.
    const HISTORY: usize = 32;
    /// A clock that is further behind the last transition than any task can be was set back.
    const SET_BACK: i64 = 60_000;

    /// Begins with what is the case.
    pub fn new(sick: bool) -> Health {
        Health {
            sick: AtomicBool::new(sick),
            since: AtomicI64::new(0),
            gauge: Due::default(),
            history: Mutex::new(VecDeque::new()),
        }
    }

    /// What was the case when somebody last took note.
    #[inline]
    pub fn sick(&self) -> bool {
        self.sick.load(Relaxed)
    }

    /// Takes note of what is the case at `now`, since `at`; the transition, for the one who sees it first.
    ///
    /// Tasks take their `now` at different moments. One from before the last transition tells nothing new.
    pub fn see(&self, sick: bool, at: Time, now: Time) -> Option<Transition> {
        let mut history = self.history.lock();
        let behind = self.since.load(Relaxed).saturating_sub(now.millis());
        if self.sick.load(Relaxed) == sick || (1..Self::SET_BACK).contains(&behind) {
            return None;
        }
        // What it is since then may be older than what changed last.
        let known = history.back().is_some_and(|last| at <= last.at);
        let transition = Transition { sick, at: if known { now } else { at } };
        if history.len() >= Self::HISTORY {
            history.pop_front();
        }
        history.push_back(transition);
        self.since.store(now.millis(), Relaxed);
        self.sick.store(sick, Relaxed);
        Some(transition)
    }

    /// The last transitions, in order.
    pub fn history(&self) -> Vec<Transition> {
        self.history.lock().iter().copied().collect()
    }

    /// Whether it was not sick, and the gauge is not due.
    #[inline]
    pub fn is_calm(&self, now: Time) -> bool {
        !self.sick() && !self.gauge.is_due(now)
    }

    /// Whether the gauge is to be moved: true for one caller a second.
    #[inline]
    pub fn gauge_due(&self, now: Time) -> bool {
        self.gauge.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_transition_is_told_once_and_kept() {
        let health = Health::new(false);
        assert_eq!(health.see(false, at(1), at(1)), None);
        let (sick, healed) = (Transition { sick: true, at: at(5) }, Transition { sick: false, at: at(9) });
        assert_eq!((health.see(true, at(5), at(5)), health.see(true, at(6), at(6))), (Some(sick), None));
        assert_eq!((health.see(false, at(9), at(12)), health.see(false, at(10), at(10))), (Some(healed), None));
        assert_eq!(health.history(), [sick, healed]);
    }

    #[test]
    fn a_task_from_before_a_transition_does_not_undo_it() {
        let health = Health::new(true);
        assert!(health.see(false, at(100_000), at(100_000)).is_some());
        assert_eq!(health.see(true, at(99_999), at(99_999)), None);
        assert!(health.see(true, at(100_000), at(100_000)).is_some());
        // Further back than a task can be: the clock was set back, and nothing else will come for long.
        assert!(health.see(false, at(40_000), at(40_000)).is_some());
    }

    #[test]
    fn only_the_last_transitions_are_kept() {
        let health = Health::new(false);
        for n in 1..=100 {
            assert!(health.see(n % 2 == 1, at(n), at(n)).is_some());
        }
        let history = health.history();
        assert_eq!((history.len(), history.last().map(|last| last.at)), (Health::HISTORY, Some(at(100))));
    }

    #[test]
    fn it_is_calm_while_it_is_not_sick_and_the_gauge_is_not_due() {
        let health = Health::new(false);
        assert!(!health.is_calm(at(500)));
        assert!(health.gauge_due(at(500)));
        assert!(health.is_calm(at(500)) && health.is_calm(at(1499)));
        assert!(!health.is_calm(at(1500)));
        assert!(health.gauge_due(at(1500)));
        assert!(health.see(true, at(1600), at(1600)).is_some());
        assert!(!health.is_calm(at(1600)));
    }
}
