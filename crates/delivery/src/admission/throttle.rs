// SPDX-License-Identifier: BSD-2-Clause
//! The throttle: each key passes so many times per window, whatever else happens.
//!
//! Too many keys let more events pass, never fewer: one that lost its place in the table starts anew, and
//! the token bucket bounds those. Nothing counted is lost with it: what was held back went into counters
//! and client report at once, the table only remembers it for the key's next event.

use std::time::{Duration, Instant};

use super::key_table::{KeyTable, SLOTS};
use crate::epoch::{self, Epoch};
use protocol::reason::Reason;

/// One key's window, which opened at its slot's time.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// Held back since the last event of this key that passed, over as many windows as it took.
    held: u64,
    /// Passed in this window.
    passed: u32,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes; `suppressed` events of its key were held back since the last one that passed.
    Passed { suppressed: u64 },
    /// Its key has passed as often as it may in this window, or the further questions said no and why.
    Refused(Reason),
}

/// The windows of the keys seen last.
pub struct Throttle {
    epoch: Epoch,
    limit: u32,
    window: u64,
    windows: KeyTable<Window>,
}

impl Throttle {
    /// A key passes `limit` times per `window`, counted from its first event; a `limit` of 0 throttles
    /// nothing. `seed` spreads the keys, so that nobody can aim at one set.
    pub fn new(limit: u32, window: Duration, seed: u64, epoch: Epoch) -> Throttle {
        Throttle::with_slots(SLOTS, limit, window, seed, epoch)
    }

    /// As [`Throttle::new`], with room for so many keys.
    pub fn with_slots(slots: usize, limit: u32, window: Duration, seed: u64, epoch: Epoch) -> Throttle {
        let limit = if limit == 0 { u32::MAX } else { limit };
        Throttle { epoch, limit, window: epoch::nanos(window), windows: KeyTable::new(slots, seed) }
    }

    /// Judges one event of `key`. `further` is asked only if the throttle lets it pass, and its "no"
    /// counts as held back. The window is charged for what passes, and for what the sample rate takes out
    /// of that; not for what the client's rate refuses.
    pub fn judge(&self, key: u64, now: Instant, further: impl FnOnce() -> Result<(), Reason>) -> Verdict {
        const THROTTLED: Verdict = Verdict::Refused(Reason::Throttled);
        let now = self.epoch.nanos(now);
        let judged = self.windows.with(key, now, |slot| {
            if slot.age(now) >= self.window {
                slot.restart(now);
                slot.state.passed = 0;
            }
            let window = &mut slot.state;
            if window.passed >= self.limit {
                window.held = window.held.saturating_add(1);
                return THROTTLED;
            }
            if let Err(reason) = further() {
                window.held = window.held.saturating_add(1);
                window.passed += u32::from(reason == Reason::SampleRate);
                return Verdict::Refused(reason);
            }
            window.passed += 1;
            Verdict::Passed { suppressed: std::mem::take(&mut window.held) }
        });
        judged.unwrap_or(THROTTLED)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const THROTTLED: Verdict = Verdict::Refused(Reason::Throttled);
    const WINDOW: Duration = Duration::from_secs(60);

    fn throttle(limit: u32, start: Instant) -> Throttle {
        Throttle::new(limit, WINDOW, 7, Epoch::new(start))
    }

    #[test]
    fn ten_pass_per_window_and_the_next_one_tells_how_many_did_not() {
        let start = Instant::now();
        let throttle = throttle(10, start);
        for _ in 0..10 {
            assert_eq!(throttle.judge(1, start, || Ok(())), Verdict::Passed { suppressed: 0 });
        }
        for after in [0, 1, 59] {
            assert_eq!(throttle.judge(1, start + Duration::from_secs(after), || Ok(())), THROTTLED);
        }
        assert_eq!(throttle.judge(2, start, || Ok(())), Verdict::Passed { suppressed: 0 }, "another key has its own");
        assert_eq!(throttle.judge(1, start + WINDOW, || Ok(())), Verdict::Passed { suppressed: 3 });
        assert_eq!(throttle.judge(1, start + WINDOW, || Ok(())), Verdict::Passed { suppressed: 0 });
    }

    #[test]
    fn a_denied_event_is_told_later_and_leaves_the_window_as_it_was() {
        let start = Instant::now();
        let throttle = throttle(1, start);
        for _ in 0..5 {
            assert_eq!(throttle.judge(1, start, || Err(Reason::MaxRate)), Verdict::Refused(Reason::MaxRate));
        }
        assert_eq!(throttle.judge(1, start, || Ok(())), Verdict::Passed { suppressed: 5 });
        assert_eq!(throttle.judge(1, start, || panic!("asked for a throttled event")), THROTTLED);
    }

    #[test]
    fn an_event_sampled_out_is_told_later_and_has_used_up_its_place() {
        let start = Instant::now();
        let throttle = throttle(2, start);
        let sampled = throttle.judge(1, start, || Err(Reason::SampleRate));
        assert_eq!(sampled, Verdict::Refused(Reason::SampleRate));
        assert_eq!(throttle.judge(1, start, || Ok(())), Verdict::Passed { suppressed: 1 });
        assert_eq!(throttle.judge(1, start, || Ok(())), THROTTLED);
    }

    #[test]
    fn a_limit_of_zero_throttles_nothing() {
        let start = Instant::now();
        let throttle = throttle(0, start);
        assert!((0..10_000).all(|_| throttle.judge(1, start, || Ok(())) != THROTTLED));
    }

    #[test]
    fn more_keys_than_slots_pass_rather_than_vanish() {
        let start = Instant::now();
        let throttle = throttle(1, start);
        let passed = (0..100_000).filter(|key| throttle.judge(*key, start, || Ok(())) != THROTTLED).count();
        assert_eq!(passed, 100_000);
    }

    proptest! {
        #[test]
        fn every_event_passes_or_is_told(
            limit in 1_u32..5,
            events in prop::collection::vec((0_u64..6, 0_u64..20, prop::option::of(Just(()))), 1..400),
        ) {
            let start = Instant::now();
            let throttle = throttle(limit, start);
            let mut after = 0;
            // Per key: passed, held back, told. Few keys, so none loses its slot.
            let mut seen: HashMap<u64, (u64, u64, u64)> = HashMap::new();
            let mut windows: HashMap<(u64, u64), u32> = HashMap::new();
            let mut opened: HashMap<u64, u64> = HashMap::new();
            for (key, step, allowed) in &events {
                after += step;
                let begin = opened.entry(*key).or_insert(after);
                if after - *begin >= WINDOW.as_secs() {
                    *begin = after;
                }
                let entry = seen.entry(*key).or_default();
                match throttle.judge(*key, start + Duration::from_secs(after), || allowed.ok_or(Reason::MaxRate)) {
                    Verdict::Passed { suppressed } => {
                        entry.0 += 1;
                        entry.2 += suppressed;
                        prop_assert_eq!(entry.1, entry.2, "all that was held back is told");
                        let in_window = windows.entry((*key, *begin)).or_default();
                        *in_window += 1;
                        prop_assert!(*in_window <= limit);
                    }
                    Verdict::Refused(_) => entry.1 += 1,
                }
            }
            let total: u64 = seen.values().map(|(passed, held, _)| passed + held).sum();
            prop_assert_eq!(total, events.len() as u64);
        }
    }
}
