// SPDX-License-Identifier: BSD-2-Clause
use std::thread;

use proptest::prelude::*;

use super::*;

const GROWING: Terms = Terms { max_ttl: 110.0, half_open: false };
const TRIALS: Terms = Terms { max_ttl: 0.0, half_open: true };
const BOTH: Terms = Terms { max_ttl: 110.0, half_open: true };
const MIDDLE: f64 = 0.5;

fn digest(n: u64) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_le_bytes());
    digest
}

fn at(seconds: f64) -> Time {
    Time::from_seconds(1_790_000_000.0 + seconds)
}

/// Rounded: it went through a double.
fn granted(offenders: &Offenders, ttl: f64, now: f64) -> f64 {
    (offenders.offend(&digest(1), ttl, at(now), &GROWING, MIDDLE) * 1000.0).round() / 1000.0
}

#[test]
fn repeated_offences_double_the_term_up_to_the_maximum() {
    let offenders = Offenders::new(10);
    let mut now = 0.0;
    for expected in [10.0, 20.0, 40.0, 80.0, 100.0, 100.0] {
        assert_eq!(granted(&offenders, 10.0, now), expected);
        now += expected + 1.0;
    }
    // Another object begins anew.
    assert_eq!(offenders.offend(&digest(2), 10.0, at(now), &GROWING, MIDDLE), 10.0);
}

#[test]
fn what_fails_while_it_is_denied_is_the_same_offence() {
    let offenders = Offenders::new(10);
    assert_eq!(granted(&offenders, 10.0, 0.0), 10.0);
    assert_eq!(granted(&offenders, 10.0, 5.0), 10.0);
    // Denied until 15 now.
    assert_eq!(granted(&offenders, 10.0, 14.0), 10.0);
    assert_eq!(granted(&offenders, 10.0, 25.0), 20.0);
}

#[test]
fn a_term_without_offence_halves_it() {
    let offenders = Offenders::new(10);
    for (now, expected) in [(0.0, 10.0), (11.0, 20.0), (32.0, 40.0), (73.0, 80.0)] {
        assert_eq!(granted(&offenders, 10.0, now), expected);
    }
    // Ends at 153; 80 s and 40 s later it has been halved twice, to 20.
    assert_eq!(granted(&offenders, 10.0, 153.0 + 121.0), 40.0);
    assert_eq!(granted(&offenders, 10.0, 153.0 + 121.0 + 40.0 + 79.0), 10.0);
}

#[test]
fn a_longer_request_is_granted_as_it_is() {
    let offenders = Offenders::new(10);
    assert_eq!(granted(&offenders, 10.0, 0.0), 10.0);
    assert_eq!(granted(&offenders, 500.0, 11.0), 500.0);
    let offenders = Offenders::new(10);
    assert_eq!(granted(&offenders, 10.0, 0.0), 10.0);
    // More than double.
    assert_eq!(granted(&offenders, 50.0, 11.0), 50.0);
    assert_eq!(granted(&offenders, f64::INFINITY, 62.0), f64::INFINITY);
}

#[test]
fn jitter_stays_within_a_tenth_and_the_maximum() {
    for (random, first, longest) in [(0.0, 9.0, 90.0), (1.0, 11.0, 110.0)] {
        let offenders = Offenders::new(10);
        assert!((offenders.offend(&digest(1), 10.0, at(0.0), &GROWING, random) - first).abs() < 1e-9);
        let mut now = 20.0;
        for _ in 0..6 {
            let granted = offenders.offend(&digest(1), 10.0, at(now), &GROWING, random);
            assert!(granted <= longest + 1e-9, "{granted}");
            now += granted + 1.0;
        }
        assert!((offenders.offend(&digest(1), 10.0, at(now), &GROWING, random) - longest).abs() < 1e-9);
    }
}

#[test]
fn after_the_denial_there_is_one_trial_at_a_time() {
    let (offenders, [one, two]) = (Offenders::new(10), [1, 2].map(Task::numbered));
    assert_eq!(offenders.offend(&digest(1), 10.0, at(0.0), &TRIALS, MIDDLE), 10.0);
    // That is the list's to say.
    assert_eq!(offenders.begin(&digest(1), one, at(10.0)), Standing::Clear);
    assert_eq!(offenders.standing(&digest(1), None, at(10.1)), Standing::Trial);
    assert_eq!(offenders.begin(&digest(1), one, at(10.1)), Standing::Trial);
    assert_eq!(offenders.begin(&digest(1), two, at(10.1)), Standing::Busy);
    assert_eq!(offenders.standing(&digest(1), None, at(10.1)), Standing::Busy);
    assert_eq!(offenders.standing(&digest(1), Some(one), at(10.1)), Standing::Trial);
    assert_eq!(offenders.begin(&digest(2), two, at(10.1)), Standing::Clear);
    // Its task ends and has said nothing.
    offenders.end(&digest(1), two);
    assert_eq!(offenders.begin(&digest(1), two, at(10.1)), Standing::Busy);
    offenders.end(&digest(1), one);
    assert_eq!(offenders.begin(&digest(1), two, at(10.2)), Standing::Trial);
    // It fails.
    assert_eq!(offenders.offend(&digest(1), 10.0, at(10.3), &TRIALS, MIDDLE), 10.0);
    assert_eq!(offenders.begin(&digest(1), one, at(20.4)), Standing::Trial);
    // It succeeds.
    assert!(offenders.succeed(&digest(1), at(20.5), &TRIALS));
    assert!(!offenders.succeed(&digest(1), at(20.5), &TRIALS));
    for task in [one, two] {
        assert_eq!(offenders.begin(&digest(1), task, at(20.5)), Standing::Clear);
    }
    assert_eq!(offenders.ledger.lock().order.len(), 0);
}

#[test]
fn a_trial_with_a_long_answer_is_a_success_until_it_fails() {
    let (offenders, [one, two]) = (Offenders::new(10), [1, 2].map(Task::numbered));
    offenders.offend(&digest(1), 10.0, at(0.0), &TRIALS, MIDDLE);
    assert_eq!(offenders.begin(&digest(1), one, at(11.0)), Standing::Trial);
    offenders.answer(&digest(1), two, at(11.0));
    assert_eq!(offenders.begin(&digest(1), two, at(40.0)), Standing::Busy, "another one's answer");
    offenders.answer(&digest(1), one, at(40.0));
    assert_eq!(offenders.begin(&digest(1), two, at(49.9)), Standing::Busy);
    assert_eq!(offenders.begin(&digest(1), two, at(50.0)), Standing::Clear);
    // It fails in the end.
    assert_eq!(offenders.offend(&digest(1), 10.0, at(60.0), &TRIALS, MIDDLE), 10.0);
    assert_eq!(offenders.begin(&digest(1), two, at(71.0)), Standing::Trial);
    offenders.answer(&digest(1), two, at(71.0));
    // Nothing comes of it: the next trial is not settled by its answer.
    offenders.end(&digest(1), two);
    assert_eq!(offenders.begin(&digest(1), one, at(72.0)), Standing::Trial);
    assert_eq!(offenders.begin(&digest(1), two, at(90.0)), Standing::Busy);
}

#[test]
fn a_success_that_was_under_way_clears_nothing() {
    let offenders = Offenders::new(10);
    offenders.offend(&digest(1), 10.0, at(0.0), &TRIALS, MIDDLE);
    assert!(!offenders.succeed(&digest(1), at(10.0), &TRIALS));
    assert_eq!(offenders.standing(&digest(1), None, at(11.0)), Standing::Trial);
    offenders.forget(&digest(1), at(11.0));
    assert_eq!(offenders.standing(&digest(1), None, at(11.0)), Standing::Clear);
}

#[test]
fn a_success_ends_the_trials_and_the_term_is_still_remembered() {
    let offenders = Offenders::new(10);
    offenders.offend(&digest(1), 10.0, at(0.0), &BOTH, MIDDLE);
    offenders.succeed(&digest(1), at(11.0), &BOTH);
    assert_eq!(offenders.standing(&digest(1), None, at(11.0)), Standing::Clear);
    assert!((offenders.offend(&digest(1), 10.0, at(12.0), &BOTH, MIDDLE) - 20.0).abs() < 1e-9);
}

#[test]
fn memory_ends() {
    let offenders = Offenders::new(10);
    offenders.offend(&digest(1), 10.0, at(0.0), &TRIALS, MIDDLE);
    let end = 10.0 + TRIAL_ENDS;
    assert_eq!(offenders.standing(&digest(1), None, at(end)), Standing::Trial);
    assert_eq!(offenders.standing(&digest(1), None, at(end + 0.1)), Standing::Clear);
    // The next to come sweeps.
    offenders.offend(&digest(2), 10.0, at(end + 0.1), &TRIALS, MIDDLE);
    assert_eq!(offenders.ledger.lock().order.len(), 1);
}

#[test]
fn everybody_is_forgotten_at_once() {
    let offenders = Offenders::new(10);
    for n in 1..=2 {
        offenders.offend(&digest(n), 10.0, at(0.0), &BOTH, MIDDLE);
    }
    offenders.clear();
    assert_eq!(offenders.standing(&digest(1), None, at(11.0)), Standing::Clear);
    // The first offence of the one, and the other is not back by it.
    assert!((offenders.offend(&digest(1), 10.0, at(11.0), &BOTH, MIDDLE) - 10.0).abs() < 1e-9);
    assert_eq!(offenders.standing(&digest(1), None, at(22.0)), Standing::Trial);
    assert_eq!(offenders.standing(&digest(2), None, at(22.0)), Standing::Clear);
}

#[test]
fn who_was_forgotten_leaves_the_place_to_others() {
    let offenders = Offenders::new(40);
    for n in 0..40 {
        offenders.offend(&digest(n), f64::INFINITY, at(0.0), &TRIALS, MIDDLE);
    }
    offenders.clear();
    for n in 40..80 {
        offenders.offend(&digest(n), 10.0, at(1.0), &TRIALS, MIDDLE);
    }
    for n in 0..80 {
        let expected = if n < 40 { Standing::Clear } else { Standing::Trial };
        assert_eq!(offenders.standing(&digest(n), None, at(12.0)), expected, "{n}");
    }
}

#[test]
fn at_the_bound_whose_memory_ends_first_goes() {
    let offenders = Offenders::new(2);
    for (n, ttl) in [(1, 20.0), (2, 10.0), (3, 30.0), (4, 5.0)] {
        offenders.offend(&digest(n), ttl, at(0.0), &TRIALS, MIDDLE);
    }
    let known = [1, 2, 3, 4].map(|n| offenders.standing(&digest(n), None, at(31.0)) == Standing::Trial);
    assert_eq!(known, [true, false, true, false]);
    assert_eq!(Offenders::new(0).offend(&digest(1), 10.0, at(0.0), &TRIALS, MIDDLE), 10.0);
}

#[test]
fn of_many_threads_one_at_a_time_is_on_trial() {
    let offenders = Offenders::new(10);
    offenders.offend(&digest(1), 10.0, at(0.0), &TRIALS, MIDDLE);
    let on_trial = std::sync::atomic::AtomicU64::new(0);
    let trials = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        for n in 1..=4 {
            let (offenders, on_trial, trials, task) = (&offenders, &on_trial, &trials, Task::numbered(n));
            scope.spawn(move || {
                for _ in 0..5_000 {
                    if offenders.begin(&digest(1), task, at(11.0)) == Standing::Trial {
                        assert_eq!(on_trial.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        trials.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        on_trial.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        offenders.end(&digest(1), task);
                    }
                }
            });
        }
    });
    assert!(trials.into_inner() > 0);
}

#[derive(Clone, Debug)]
enum Step {
    Offend(u64, f64),
    Succeed(u64),
    Begin(u64, u64),
    End(u64, u64),
    Wait(f64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..4u64, 1..40u32).prop_map(|(n, ttl)| Step::Offend(n, f64::from(ttl))),
        2 => (0..4u64).prop_map(Step::Succeed),
        4 => (0..4u64, 1..4u64).prop_map(|(n, task)| Step::Begin(n, task)),
        2 => (0..4u64, 1..4u64).prop_map(|(n, task)| Step::End(n, task)),
        3 => (0..60u32).prop_map(|seconds| Step::Wait(f64::from(seconds))),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    /// Against a model of trials alone, and what holds of every term.
    #[test]
    fn does_what_the_model_does(steps in steps(), growing in any::<bool>(), random in 0.0..1.0f64) {
        let terms = Terms { max_ttl: if growing { 110.0 } else { 0.0 }, half_open: true };
        let (offenders, mut now) = (Offenders::new(10), 0.0);
        // Of each object that is not clear: until when it is denied, whose trial it is.
        let mut model: [Option<(Time, Option<u64>)>; 4] = [None; 4];
        for step in steps {
            match step {
                Step::Offend(n, ttl) => {
                    let granted = offenders.offend(&digest(n), ttl, at(now), &terms, random);
                    let longest = if growing { 110.0 } else { ttl };
                    prop_assert!(granted >= ttl * 0.9 - 1e-9 && granted <= longest);
                    let until = at(now).plus(granted);
                    let known = &mut model[n as usize];
                    *known = Some((known.map_or(until, |known| known.0.max(until)), None));
                }
                Step::Succeed(n) => {
                    offenders.succeed(&digest(n), at(now), &terms);
                    model[n as usize] = model[n as usize].filter(|known| at(now) <= known.0);
                }
                Step::Begin(n, task) => {
                    let standing = offenders.begin(&digest(n), Task::numbered(task), at(now));
                    let expected = match &mut model[n as usize] {
                        Some((until, trial)) if at(now) > *until => {
                            if *trial.get_or_insert(task) == task { Standing::Trial } else { Standing::Busy }
                        }
                        _ => Standing::Clear,
                    };
                    prop_assert_eq!(standing, expected);
                }
                Step::End(n, task) => {
                    offenders.end(&digest(n), Task::numbered(task));
                    if let Some(known) = &mut model[n as usize] {
                        known.1 = known.1.filter(|owner| *owner != task);
                    }
                }
                Step::Wait(seconds) => now += seconds,
            }
        }
    }
}
