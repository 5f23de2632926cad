// SPDX-License-Identifier: BSD-2-Clause
//! The numbers of a client's name, for as long as the process lives: a client that is closed and one that takes its place
//! under the same name count on in the same ledger. Any thread adds, without a lock.
//!
//! varnishstat reads shared memory without asking us, so nothing could copy the numbers at the moment they are
//! looked at: those of errors are kept there, in [`Cells`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::category::Category;
use protocol::entry::Part;

use super::counter::{COUNTERS, Counter};
use super::tally::{TALLIES, Tally};

/// A place for a number outside of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Of errors.
    Tally(Tally),
    Counter(Counter),
}

/// Where numbers are kept, if not here.
pub trait Cells: Send + Sync {
    /// The cell; `None` keeps the number here.
    fn cell(&self, cell: Cell) -> Option<&AtomicU64>;
}

/// The numbers of one name.
pub struct Ledger {
    cells: Option<Arc<dyn Cells>>,
    counters: [AtomicU64; COUNTERS],
    tallies: Box<[[AtomicU64; TALLIES]; Category::ALL.len()]>,
}

impl Ledger {
    /// All zero; `cells` are expected to be.
    pub fn new(cells: Option<Arc<dyn Cells>>) -> Ledger {
        Ledger {
            cells,
            counters: [const { AtomicU64::new(0) }; COUNTERS],
            tallies: Box::new([const { [const { AtomicU64::new(0) }; TALLIES] }; Category::ALL.len()]),
        }
    }

    fn counter(&self, counter: Counter) -> Option<&AtomicU64> {
        let outside = self.cells.as_ref().and_then(|cells| cells.cell(Cell::Counter(counter)));
        outside.or_else(|| self.counters.get(counter as usize))
    }

    fn tally(&self, category: Category, tally: Tally) -> Option<&AtomicU64> {
        let outside = self.cells.as_ref().filter(|_| category == Category::Error);
        let outside = outside.and_then(|cells| cells.cell(Cell::Tally(tally)));
        outside.or_else(|| self.tallies.get(category as usize)?.get(tally.place()))
    }

    /// Adds to a counter or gauge.
    pub fn add(&self, counter: Counter, number: u64) {
        if let Some(cell) = self.counter(counter) {
            cell.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Takes away from a gauge.
    pub fn sub(&self, gauge: Counter, number: u64) {
        if let Some(cell) = self.counter(gauge) {
            cell.fetch_sub(number, Ordering::Relaxed);
        }
    }

    pub fn get(&self, counter: Counter) -> u64 {
        self.counter(counter).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Adds `quantity` of a category.
    pub fn tell(&self, category: Category, tally: Tally, quantity: u64) {
        if let Some(cell) = self.tally(category, tally) {
            cell.fetch_add(quantity, Ordering::Relaxed);
        }
    }

    /// Adds each of the parts to the tally of its category.
    pub fn add_parts(&self, parts: &[Part], tally: Tally) {
        parts.iter().for_each(|part| self.tell(part.category, tally, part.quantity));
    }

    /// Takes each of the parts away from the gauge of its category.
    pub fn sub_parts(&self, parts: &[Part], gauge: Tally) {
        for part in parts {
            if let Some(cell) = self.tally(part.category, gauge) {
                cell.fetch_sub(part.quantity, Ordering::Relaxed);
            }
        }
    }

    pub fn told(&self, category: Category, tally: Tally) -> u64 {
        self.tally(category, tally).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
