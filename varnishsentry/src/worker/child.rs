// SPDX-License-Identifier: BSD-2-Clause
//! The life of varnishd's child, from outside: whether an end was meant is for the manager's counters to say.
//!
//! A child that panicked is known by the text that it left. Of any other end the manager counts what it was: only if it calls it a death is it one. That may be seen before the
//! end, for a log is read to its end first.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use transaction::counters::Counters;
use transaction::source::{Child, SourceEvent};

use crate::report::news::News;
use crate::report::panic::Panic;

/// The manager's counters of ends that nobody asked for.
const DEATHS: [&str; 3] = ["MGT.child_died", "MGT.child_dump", "MGT.child_panic"];
/// For how long an end is remembered that the manager has not counted yet.
const MEMORY: Duration = Duration::from_secs(60);
/// For how long a death is remembered whose end was not seen yet: no longer, for another end may be one that was meant.
const SOON: Duration = Duration::from_secs(10);

/// What is known of the child.
#[derive(Debug, Default)]
pub struct ChildLife {
    /// How many deaths the manager has counted.
    deaths: Option<u64>,
    /// One that ended without a panic's text.
    gone: Option<(Option<Child>, SystemTime)>,
    /// When a death was seen to be counted whose end was not.
    counted: Option<SystemTime>,
}

impl ChildLife {
    /// What an event of the source tells.
    pub fn happened(&mut self, event: &SourceEvent, at: SystemTime) -> Option<News<'static>> {
        match event {
            SourceEvent::ChildSeen { child: Some(child), is_new: true, .. } => Some(News::Started { pid: child.pid }),
            SourceEvent::ChildGone { child, panic: Some(text) } => {
                // The counters will tell of the same, if they have not.
                let more = u64::from(!self.has_counted(at));
                self.deaths = self.deaths.map(|deaths| deaths + more);
                Some(died(*child, at, Some(Panic::new(text))))
            }
            SourceEvent::ChildGone { child, panic: None } if self.has_counted(at) => Some(died(*child, at, None)),
            SourceEvent::ChildGone { child, panic: None } => {
                self.gone = Some((*child, at));
                None
            }
            SourceEvent::ManagerGone => {
                *self = ChildLife::default();
                None
            }
            _ => None,
        }
    }

    /// What the counters tell.
    pub fn look(&mut self, counters: &Counters, at: SystemTime) -> Option<News<'static>> {
        // A panic counts as a panic and as a death.
        let deaths = DEATHS.iter().filter_map(|name| counters.get(name)).max()?;
        let is_more = self.deaths.replace(deaths).is_some_and(|before| deaths > before);
        let Some((child, when)) = self.gone else {
            self.counted = is_more.then_some(at).or(self.counted);
            return None;
        };
        if is_more {
            self.gone = None;
            return Some(died(child, when, None));
        }
        if at.duration_since(when).is_ok_and(|since| since > MEMORY) {
            self.gone = None;
        }
        None
    }

    /// Whether the manager has counted the death that is seen now.
    fn has_counted(&mut self, now: SystemTime) -> bool {
        self.counted.take().is_some_and(|at| now.duration_since(at).is_ok_and(|since| since <= SOON))
    }
}

fn died(child: Option<Child>, at: SystemTime, panic: Option<Panic>) -> News<'static> {
    let now = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = child.map_or(0, |child| now.saturating_sub(child.started));
    News::Died { pid: child.map_or(0, |child| child.pid), seconds, panic }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn counted(deaths: u64, panics: u64) -> Counters {
        let mut counters = Counters::default();
        counters.push("MGT.child_died", deaths);
        counters.push("MGT.child_dump", 0);
        counters.push("MGT.child_panic", panics);
        counters
    }

    fn gone(panic: Option<&str>) -> SourceEvent {
        SourceEvent::ChildGone { child: Some(Child { pid: 7, started: 100 }), panic: panic.map(str::to_owned) }
    }

    fn told(news: Option<News<'_>>) -> Option<(u64, u64, Option<String>)> {
        match news? {
            News::Died { pid, seconds, panic } => Some((pid, seconds, panic.map(|panic| panic.what()))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_end_is_a_death_if_the_manager_counts_it() {
        let mut life = ChildLife::default();
        assert_eq!(told(life.look(&counted(3, 1), at(100))), None, "deaths of before");
        assert_eq!(told(life.happened(&gone(None), at(160))), None);
        assert_eq!(told(life.look(&Counters::default(), at(161))), None);
        assert_eq!(told(life.look(&counted(4, 1), at(162))), Some((7, 60, None)));
        assert_eq!(told(life.look(&counted(4, 1), at(163))), None);
    }

    #[test]
    fn an_end_that_was_meant_is_none() {
        let mut life = ChildLife::default();
        life.look(&counted(3, 1), at(100));
        life.happened(&gone(None), at(160));
        assert_eq!(told(life.look(&counted(3, 1), at(161))), None);
        assert_eq!(told(life.look(&counted(3, 1), at(230))), None);
        assert_eq!(told(life.look(&counted(4, 1), at(231))), None, "another one, of which nothing was seen");
        assert_eq!(told(life.happened(&gone(None), at(242))), None);
        assert_eq!(told(life.look(&counted(4, 1), at(243))), None);
    }

    #[test]
    fn a_death_may_be_counted_before_its_end_is_seen() {
        let mut life = ChildLife::default();
        life.look(&counted(3, 1), at(100));
        assert_eq!(told(life.look(&counted(4, 1), at(160))), None);
        assert_eq!(told(life.look(&counted(4, 1), at(161))), None);
        assert_eq!(told(life.happened(&gone(None), at(162))), Some((7, 62, None)));
        assert_eq!(told(life.look(&counted(4, 1), at(163))), None, "it is told");
        assert_eq!(told(life.happened(&gone(None), at(164))), None, "one that was meant");
        assert_eq!(told(life.look(&counted(5, 1), at(165))), Some((7, 64, None)), "or was it");
        life.look(&counted(6, 2), at(170));
        assert!(told(life.happened(&gone(Some("")), at(171))).is_some());
        assert_eq!(told(life.happened(&gone(None), at(172))), None);
        assert_eq!(told(life.look(&counted(7, 2), at(172))), Some((7, 72, None)), "the one before was counted once");
    }

    #[test]
    fn a_panic_is_told_at_once_and_once() {
        let mut life = ChildLife::default();
        life.look(&counted(0, 0), at(100));
        let panic = "Assert error in x(), y.c line 1:\n  Condition(z) not true.\nversion = v\n";
        let what = "Assert error in x(), y.c line 1: Condition(z) not true.";
        assert_eq!(told(life.happened(&gone(Some(panic)), at(103))), Some((7, 3, Some(what.to_owned()))));
        assert_eq!(told(life.look(&counted(1, 1), at(104))), None);
        assert_eq!(told(life.happened(&gone(Some("")), at(110))), Some((7, 10, Some("no text".to_owned()))));
    }

    #[test]
    fn with_a_new_manager_all_counts_anew() {
        let mut life = ChildLife::default();
        life.look(&counted(3, 1), at(100));
        life.happened(&gone(None), at(101));
        life.happened(&SourceEvent::ManagerGone, at(101));
        assert_eq!(told(life.look(&counted(5, 1), at(102))), None);
    }
}
