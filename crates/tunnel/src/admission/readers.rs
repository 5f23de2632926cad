// SPDX-License-Identifier: BSD-2-Clause
//! How many bodies are being read: each may take its whole size, and a slow client takes its time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many places.
#[derive(Debug)]
pub struct Readers {
    most: usize,
    reading: AtomicUsize,
}

/// One of the places, until it is dropped.
#[derive(Debug)]
pub struct Reader<'r>(&'r Readers);

impl Readers {
    pub fn new(most: usize) -> Readers {
        Readers { most, reading: AtomicUsize::new(0) }
    }

    /// A place, if there is one.
    pub fn enter(&self) -> Option<Reader<'_>> {
        let entered = self
            .reading
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |reading| (reading < self.most).then_some(reading + 1));
        entered.is_ok().then(|| Reader(self))
    }

    /// How many places are taken.
    pub fn reading(&self) -> usize {
        self.reading.load(Ordering::Relaxed)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_reader_has_gone() {
        let readers = Readers::new(2);
        let first = readers.enter();
        let second = readers.enter();
        assert!(first.is_some() && second.is_some() && readers.enter().is_none());
        assert_eq!(readers.reading(), 2);
        drop(first);
        assert!(readers.enter().is_some());
        assert_eq!(readers.reading(), 1);
    }
}
