// SPDX-License-Identifier: BSD-2-Clause
//! The flushes that wait until the entries before them have reached their end, and what they are told.

use std::mem;
use std::time::Instant;

/// Flushes that may wait at a time; further ones return at once, or a stall would park the thread pool.
const MAX_WAITERS: usize = 2;

/// A flush in progress.
struct Waiter {
    id: u64,
    /// It waits for the entries with lower numbers.
    below: u64,
    /// How many of those are still on their way.
    left: usize,
    /// One of them was dropped.
    lost: bool,
    deadline: Instant,
}

/// The flushes of one queue. Their owner wakes them.
#[derive(Default)]
pub(super) struct Waiters {
    list: Vec<Waiter>,
    next: u64,
    /// An entry was dropped that no flush was waiting for: the next one is told.
    lost: bool,
}

impl Waiters {
    pub fn is_full(&self) -> bool {
        self.list.len() >= MAX_WAITERS
    }

    /// Whether an entry was dropped since the last flush that was told; told now.
    pub fn take_lost(&mut self) -> bool {
        mem::take(&mut self.lost)
    }

    /// One more, which waits for the `left` events below that number. Returns what it is known by.
    pub fn join(&mut self, below: u64, left: usize, deadline: Instant) -> u64 {
        let (id, lost) = (self.next, self.take_lost());
        self.next += 1;
        self.list.push(Waiter { id, below, left, lost, deadline });
        id
    }

    /// Whether all that it waits for was delivered; `None` while some are on their way.
    pub fn outcome(&self, id: u64) -> Option<bool> {
        let Some(waiter) = self.list.iter().find(|waiter| waiter.id == id) else { return Some(false) };
        (waiter.left == 0).then_some(!waiter.lost)
    }

    /// It does not wait any more.
    pub fn part(&mut self, id: u64) {
        self.list.retain(|waiter| waiter.id != id);
    }

    /// Tells those who wait for the entry `seq` that it has reached its end; whether one of them has nothing left to wait for.
    pub fn tell(&mut self, seq: u64, delivered: bool) -> bool {
        let (mut told, mut done) = (false, false);
        for waiter in self.list.iter_mut().filter(|waiter| seq < waiter.below) {
            waiter.left = waiter.left.saturating_sub(1);
            waiter.lost |= !delivered;
            told = true;
            done |= waiter.left == 0;
        }
        self.lost |= !delivered && !told;
        done
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.list.iter().map(|waiter| waiter.deadline)
    }
}
