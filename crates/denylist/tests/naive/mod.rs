// SPDX-License-Identifier: BSD-2-Clause
//! A model of the list that is too simple to be wrong, and the comparison of the two.
#![allow(dead_code)] // Each test binary, and the fuzz target, uses its own part.

use denylist::{Denied, Denylist, Digest, Time, Verdict};

/// Few objects, so that they meet again.
pub const OBJECTS: u8 = 12;

pub fn digest(object: u8) -> Digest {
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

/// What may be done to a list; times are in seconds.
#[derive(Clone, Debug)]
pub enum Step {
    Deny(u8, f64),
    Wait(f64),
    /// Until an object's entry is at its end and still live (0) or just over (0.001).
    WaitFor(u8, f64),
    Allow(u8),
    Clear,
    SetThreshold(u64),
    Ask,
}

pub fn today() -> Time {
    Time::from_seconds(1_790_000_000.0)
}

pub fn objects_denied(list: &Denylist, now: Time) -> Vec<u8> {
    (0..OBJECTS).filter(|object| list.verdict(Some(&digest(*object)), now) == Verdict::ObjectDenied).collect()
}

/// Does `steps` to a list and to the model, which must say the same. A second list with threshold 0 gets the same
/// entries: it must count them and deny none.
pub fn compare(threshold: u64, max_entries: usize, steps: impl IntoIterator<Item = Step>) {
    let (list, off) = (Denylist::new(threshold, max_entries), Denylist::new(0, max_entries));
    let mut model = Model { threshold, max_entries, entries: Vec::new() };
    let mut now = today();
    for step in steps {
        match step {
            Step::Deny(object, ttl) => {
                let until = now.plus(ttl);
                let (denied, firsts) = model.deny(object, until, now);
                assert_eq!(list.deny(&digest(object), until, now), denied);
                assert_eq!(off.deny(&digest(object), until, now), denied);
                // Which of several that end together is evicted is not promised; exactly one is.
                let left = objects_denied(&list, now);
                let gone: Vec<_> = firsts.iter().filter(|first| !left.contains(first)).collect();
                assert_eq!(gone.len(), usize::from(denied == Denied::New { evicted: true }));
                model.entries.retain(|entry| !gone.contains(&&entry.0));
            }
            Step::Wait(seconds) => now = now.plus(seconds),
            Step::WaitFor(object, more) => {
                let entry = model.entries.iter().find(|entry| entry.0 == object && entry.1 < Time::NEVER);
                now = entry.map_or(now, |entry| entry.1.max(now).plus(more));
            }
            Step::Allow(object) => {
                let allowed = model.allow(object, now);
                assert_eq!(list.allow(&digest(object), now), allowed);
                assert_eq!(off.allow(&digest(object), now), allowed);
            }
            Step::Clear => {
                assert_eq!(list.clear(now), model.live(now));
                assert_eq!(off.clear(now), model.live(now));
                model.entries.clear();
            }
            Step::SetThreshold(threshold) => {
                list.set_threshold(threshold, now);
                model.threshold = threshold;
            }
            Step::Ask => {
                for object in (0..OBJECTS).map(Some).chain([None]) {
                    let asked = object.map(digest);
                    assert_eq!(list.verdict(asked.as_ref(), now), model.verdict(object, now));
                    assert_eq!(off.verdict(asked.as_ref(), now), Verdict::Healthy);
                }
            }
        }
        assert_eq!(list.live(now), model.live(now));
        assert_eq!(off.live(now), model.live(now));
    }
}
