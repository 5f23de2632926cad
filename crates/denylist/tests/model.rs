// SPDX-License-Identifier: BSD-2-Clause
//! The list against a model that is too simple to be wrong, with a clock that is turned by hand.

mod naive;

use denylist::{Denied, Denylist};
use naive::{OBJECTS, Step, compare, digest, objects_denied, today};
use proptest::prelude::*;

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

proptest! {
    #[test]
    fn does_what_the_model_does(threshold in 1..8u64, max_entries in 0..10usize, steps in steps()) {
        compare(threshold, max_entries, steps);
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
