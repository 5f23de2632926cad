// SPDX-License-Identifier: BSD-2-Clause
//! The list against a model that is too simple to be wrong, with a clock that is turned by hand.

use denylist::{Denied, Denylist, Digest, Time, Verdict};
use proptest::prelude::*;

/// Few objects, so that they meet again.
const OBJECTS: u8 = 12;

fn digest(object: u8) -> Digest {
    [object; 32]
}

/// The live entries in any order.
struct Model {
    threshold: u64,
    max_entries: usize,
    entries: Vec<(u8, Time)>,
}

impl Model {
    /// Returns what is to be seen, and of which objects one must be gone for it.
    fn deny(&mut self, object: u8, until: Time, now: Time) -> (Denied, Vec<u8>) {
        self.entries.retain(|entry| now <= entry.1);
        if until < now {
            return (Denied::Over, Vec::new());
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.0 == object) {
            let denied = if until > entry.1 { Denied::Extended } else { Denied::Kept };
            entry.1 = entry.1.max(until);
            return (denied, Vec::new());
        }
        let first = self.entries.iter().map(|entry| entry.1).min();
        if self.entries.len() < self.max_entries {
            self.entries.push((object, until));
            return (Denied::New { evicted: false }, Vec::new());
        }
        if first.is_none_or(|first| until < first) {
            return (Denied::Refused, Vec::new());
        }
        let firsts = self.entries.iter().filter(|entry| Some(entry.1) == first).map(|entry| entry.0).collect();
        self.entries.push((object, until));
        (Denied::New { evicted: true }, firsts)
    }

    fn allow(&mut self, object: u8, now: Time) -> bool {
        let denied = self.entries.iter().any(|entry| entry.0 == object && now <= entry.1);
        self.entries.retain(|entry| entry.0 != object);
        denied
    }

    fn live(&self, now: Time) -> u64 {
        self.entries.iter().filter(|entry| now <= entry.1).count() as u64
    }

    fn verdict(&self, object: Option<u8>, now: Time) -> Verdict {
        if self.threshold == 0 {
            Verdict::Healthy
        } else if self.entries.iter().any(|entry| Some(entry.0) == object && now <= entry.1) {
            Verdict::ObjectDenied
        } else if self.live(now) >= self.threshold {
            Verdict::ThresholdReached
        } else {
            Verdict::Healthy
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Deny(u8, f64),
    Wait(f64),
    /// Until an object's entry is at its end and still live (0) or just over (0.001).
    WaitFor(u8, f64),
    Allow(u8),
    Clear,
    SetThreshold(u64),
    Ask,
}

fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0..20u16).prop_map(|millis| f64::from(millis) / 1000.0),
        2 => 0.0..3600.0,
        1 => 0.0..30.0 * 86400.0,
    ]
}

fn ttl() -> impl Strategy<Value = f64> {
    prop_oneof![12 => seconds(), 1 => Just(-0.001), 1 => Just(f64::INFINITY), 1 => Just(86400.0 * 3650.0)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..OBJECTS, ttl()).prop_map(|(object, ttl)| Step::Deny(object, ttl)),
        2 => seconds().prop_map(Step::Wait),
        2 => (0..OBJECTS, prop_oneof![Just(0.0), Just(0.001)]).prop_map(|(object, more)| Step::WaitFor(object, more)),
        1 => (0..OBJECTS).prop_map(Step::Allow),
        1 => Just(Step::Clear),
        1 => (1..8u64).prop_map(Step::SetThreshold),
        3 => Just(Step::Ask),
    ];
    prop::collection::vec(step, 1..120)
}

fn today() -> Time {
    Time::from_seconds(1_790_000_000.0)
}

fn objects_denied(list: &Denylist, now: Time) -> Vec<u8> {
    (0..OBJECTS).filter(|object| list.verdict(Some(&digest(*object)), now) == Verdict::ObjectDenied).collect()
}

proptest! {
    /// A second list with threshold 0 gets the same entries: it must count them and deny none.
    #[test]
    fn does_what_the_model_does(threshold in 1..8u64, max_entries in 0..10usize, steps in steps()) {
        let (list, off) = (Denylist::new(threshold, max_entries), Denylist::new(0, max_entries));
        let mut model = Model { threshold, max_entries, entries: Vec::new() };
        let mut now = today();
        for step in steps {
            match step {
                Step::Deny(object, ttl) => {
                    let until = now.plus(ttl);
                    let (denied, firsts) = model.deny(object, until, now);
                    prop_assert_eq!(list.deny(&digest(object), until, now), denied);
                    prop_assert_eq!(off.deny(&digest(object), until, now), denied);
                    // Which of several that end together is evicted is not promised; exactly one is.
                    let left = objects_denied(&list, now);
                    let gone: Vec<_> = firsts.iter().filter(|first| !left.contains(first)).collect();
                    prop_assert_eq!(gone.len(), usize::from(denied == Denied::New { evicted: true }));
                    model.entries.retain(|entry| !gone.contains(&&entry.0));
                }
                Step::Wait(seconds) => now = now.plus(seconds),
                Step::WaitFor(object, more) => {
                    let entry = model.entries.iter().find(|entry| entry.0 == object && entry.1 < Time::NEVER);
                    now = entry.map_or(now, |entry| entry.1.max(now).plus(more));
                }
                Step::Allow(object) => {
                    let allowed = model.allow(object, now);
                    prop_assert_eq!(list.allow(&digest(object), now), allowed);
                    prop_assert_eq!(off.allow(&digest(object), now), allowed);
                }
                Step::Clear => {
                    prop_assert_eq!(list.clear(now), model.live(now));
                    prop_assert_eq!(off.clear(now), model.live(now));
                    model.entries.clear();
                }
                Step::SetThreshold(threshold) => {
                    list.set_threshold(threshold, now);
                    model.threshold = threshold;
                }
                Step::Ask => {
                    for object in (0..OBJECTS).map(Some).chain([None]) {
                        let asked = object.map(digest);
                        prop_assert_eq!(list.verdict(asked.as_ref(), now), model.verdict(object, now));
                        prop_assert_eq!(off.verdict(asked.as_ref(), now), Verdict::Healthy);
                    }
                }
            }
            prop_assert_eq!(list.live(now), model.live(now));
            prop_assert_eq!(off.live(now), model.live(now));
        }
    }

    /// Entries over at the latest `now` that denied something may be back or not; the others are exact.
    #[test]
    fn a_clock_that_jumps_loses_only_what_had_expired(
        steps in prop::collection::vec((0..OBJECTS, ttl(), -50_000..50_000i32), 1..200),
    ) {
        let list = Denylist::new(u64::MAX, 100);
        let (mut now, mut latest) = (today(), today());
        // The longest time each object was given in its present life.
        let mut untils = [None; OBJECTS as usize];
        for (object, ttl, jump) in steps {
            now = now.plus(f64::from(jump) / 1000.0);
            latest = latest.max(now);
            let until = now.plus(ttl);
            let known = &mut untils[usize::from(object)];
            match list.deny(&digest(object), until, now) {
                Denied::New { evicted: false } => *known = Some(until),
                Denied::Extended => *known = (*known).max(Some(until)),
                Denied::Kept => prop_assert!(*known >= Some(until)),
                Denied::Over => prop_assert!(until < now),
                other => prop_assert!(false, "{:?} of a list that is never full", other),
            }
            let denied = objects_denied(&list, now);
            prop_assert_eq!(list.live(now), denied.len() as u64);
            for object in 0..OBJECTS {
                let until = untils[usize::from(object)];
                prop_assert!(!denied.contains(&object) || until >= Some(now));
                prop_assert!(denied.contains(&object) || until < Some(latest));
            }
        }
    }
}
