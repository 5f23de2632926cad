// SPDX-License-Identifier: BSD-2-Clause
//! How much room the next record of a client will need, by what the last ones took.
//!
//! Any thread asks and tells, without a lock; of what two tell at the same time, one may get lost.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a record of which nothing is known yet: a request of a browser, and what is told of its task.
const FIRST: usize = 2048;

/// The size that most of a client's records have.
pub struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Room {
        Room(AtomicUsize::new(FIRST))
    }
}

impl Room {
    /// Bytes that the next record will most likely fit into.
    pub fn guess(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes note of a record of `len` bytes. Larger ones count for more, for to grow costs more than to have
    /// room left; but a single one must not make all that follow it much too large.
    pub fn learn(&self, len: usize) {
        let guess = self.guess();
        // An eighth more, for no two requests are of the same length.
        let wanted = len.saturating_add(len / 8);
        let learnt = if wanted > guess { guess + (wanted - guess) / 4 } else { guess - (guess - wanted) / 16 };
        if learnt != guess {
            self.0.store(learnt, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sizes: impl IntoIterator<Item = usize>) -> Room {
        let room = Room::default();
        sizes.into_iter().for_each(|size| room.learn(size));
        room
    }

    #[test]
    fn records_of_one_size_soon_fit_and_fill_most_of_their_room() {
        for size in [0, 1, 100, 1500, 2048, 2300, 16_000, 65_536] {
            let guess = told([size; 100]).guess();
            assert!(guess >= size, "{guess} for {size}");
            assert!(guess - size <= size / 7 + 16, "{guess} for {size}");
        }
    }

    #[test]
    fn of_records_that_differ_most_fit() {
        let sizes = || (0..1000).map(|number| 1500 + number * 7919 % 1000);
        let guess = told(sizes()).guess();
        let fitting = sizes().filter(|size| *size <= guess).count();
        assert!(fitting > 750, "{fitting} of 1000 fit into {guess}");
    }

    #[test]
    fn a_single_large_one_is_soon_forgotten() {
        let before = told([2000; 100]);
        let guess = before.guess();
        before.learn(65_536);
        assert!(before.guess() < 65_536 / 3, "{}", before.guess());
        (0..50).for_each(|_| before.learn(2000));
        assert!(before.guess() < 2 * guess, "{}", before.guess());
    }
}
