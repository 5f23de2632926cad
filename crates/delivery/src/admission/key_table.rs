// SPDX-License-Identifier: BSD-2-Clause
//! What is known of the keys seen last, in a table of a size that does not change.
//!
//! Keys share sets of eight slots, and in a full set the slot of the oldest time gives way: a key that lost
//! its slot starts anew.
//!
//! Any thread may call; a set's lock is held for a few comparisons, and no other lock is taken under it.

use parking_lot::Mutex;

/// Slots of a set; keys are spread over the sets.
const WAYS: usize = 8;
/// Slots for the keys of one client: `max_rate` = 20 lets at most 1300 keys pass in a window of a minute.
pub const SLOTS: usize = 4096;

/// One key's place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot<T> {
    key: u64,
    /// The time that it goes by, plus one; 0 while it is free.
    since: u64,
    pub state: T,
}

impl<T> Slot<T> {
    /// How long its time is over at `now`.
    pub fn age(&self, now: u64) -> u64 {
        now.saturating_add(1).saturating_sub(self.since)
    }

    /// Makes `now` its time.
    pub fn restart(&mut self, now: u64) {
        self.since = now.saturating_add(1);
    }
}

/// A state for each key. Times are in nanoseconds since whatever the caller likes.
pub struct KeyTable<T> {
    seed: u64,
    sets: Box<[Mutex<[Slot<T>; WAYS]>]>,
}

impl<T: Copy + Default> KeyTable<T> {
    /// An empty table of at least so many slots. `seed` spreads the keys, so that nobody can aim at one set.
    pub fn new(slots: usize, seed: u64) -> KeyTable<T> {
        let sets = slots.div_ceil(WAYS).max(1);
        KeyTable { seed, sets: (0..sets).map(|_| Mutex::default()).collect() }
    }

    /// Shows `visit` the slot of `key`, with `now` as its time if it was not there. Always `Some`.
    pub fn with<R>(&self, key: u64, now: u64, visit: impl FnOnce(&mut Slot<T>) -> R) -> Option<R> {
        let mut slots = self.sets.get(self.set_of(key))?.lock();
        slot_for(&mut slots, key, now).map(visit)
    }

    fn set_of(&self, key: u64) -> usize {
        // Fibonacci hashing; the high bits are the well mixed ones.
        let mixed = (key ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % self.sets.len()
    }
}

/// The slot of `key`: its own, else a free one, else that of the oldest time.
fn slot_for<T: Default>(slots: &mut [Slot<T>; WAYS], key: u64, now: u64) -> Option<&mut Slot<T>> {
    if let Some(found) = slots.iter().position(|slot| slot.key == key && slot.since > 0) {
        return slots.get_mut(found);
    }
    let slot = slots.iter_mut().min_by_key(|slot| slot.since)?;
    *slot = Slot { key, ..Slot::default() };
    slot.restart(now);
    Some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_full_set_the_oldest_time_gives_way() {
        let mut slots = [Slot::<u32>::default(); WAYS];
        for key in 0..WAYS as u64 {
            slot_for(&mut slots, key, 100 + key).unwrap().state = 1;
        }
        slot_for(&mut slots, 0, 400).unwrap().restart(400);
        assert_eq!(slot_for(&mut slots, 99, 500).unwrap().state, 0, "what the other key had is gone");
        let mut keys = slots.map(|slot| slot.key);
        keys.sort_unstable();
        assert_eq!(keys, [0, 2, 3, 4, 5, 6, 7, 99]);
    }

    #[test]
    fn as_many_keys_as_pass_in_a_minute_are_told_apart_whatever_the_seed() {
        for seed in [0, 7, 0x5555_5555_5555_5555, u64::MAX] {
            let table = KeyTable::<u64>::new(SLOTS, seed);
            for key in 0..1300 {
                table.with(key, key, |slot| slot.state = key + 1);
            }
            let known = (0..1300).filter(|key| table.with(*key, 2000, |slot| slot.state) == Some(key + 1)).count();
            assert!(known >= 1290, "{known} with {seed:x}");
        }
    }

    #[test]
    fn a_slot_of_time_zero_and_key_zero_is_taken() {
        let table = KeyTable::<u32>::new(SLOTS, 0);
        assert_eq!(table.with(0, 0, |slot| (slot.age(5), std::mem::replace(&mut slot.state, 7))), Some((5, 0)));
        assert_eq!(table.with(0, 3, |slot| (slot.age(5), slot.state)), Some((5, 7)));
    }
}
