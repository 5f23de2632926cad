// SPDX-License-Identifier: BSD-2-Clause
//! The numbers of a client's name, for as long as the process lives: a client that is closed and one that takes its place
//! under the same name count on in the same ledger. Any thread adds, without a lock.
//!
//! varnishstat reads shared memory without asking us, so nothing could copy the numbers at the moment they are
//! looked at: a copy of what it shows is kept there, in [`Cells`].
//!
//! A name that sends to several projects has a ledger for each of them, which is a part of its own: what is counted there counts in the whole, too.

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
    /// Of all categories together that are [`Cells::has`].
    Tally(Tally),
    Counter(Counter),
}

/// Where numbers are kept, too, or instead.
pub trait Cells: Send + Sync {
    /// The cell. A tally's has a copy of it; a counter is there and not here.
    fn cell(&self, cell: Cell) -> Option<&AtomicU64>;

    /// Whether what counts as that category is among the tallies.
    fn has(&self, category: Category) -> bool;
}

/// The numbers of one name.
pub struct Ledger {
    cells: Option<Arc<dyn Cells>>,
    /// What it is a part of.
    whole: Option<Arc<Ledger>>,
    counters: [AtomicU64; COUNTERS],
    tallies: Box<[[AtomicU64; TALLIES]; Category::ALL.len()]>,
}

impl Ledger {
    /// All zero; `cells` are expected to be.
    pub fn new(cells: Option<Arc<dyn Cells>>) -> Ledger {
        Ledger::with(cells, None)
    }

    /// A part of `whole`, all zero.
    pub fn part_of(whole: Arc<Ledger>) -> Ledger {
        Ledger::with(None, Some(whole))
    }

    fn with(cells: Option<Arc<dyn Cells>>, whole: Option<Arc<Ledger>>) -> Ledger {
        Ledger {
            cells,
            whole,
            counters: [const { AtomicU64::new(0) }; COUNTERS],
            tallies: Box::new([const { [const { AtomicU64::new(0) }; TALLIES] }; Category::ALL.len()]),
        }
    }

    fn counter(&self, counter: Counter) -> Option<&AtomicU64> {
        let outside = self.cells.as_ref().and_then(|cells| cells.cell(Cell::Counter(counter)));
        outside.or_else(|| self.counters.get(counter as usize))
    }

    fn tally(&self, category: Category, tally: Tally) -> Option<&AtomicU64> {
        self.tallies.get(category as usize)?.get(tally.place())
    }

    /// Both places of a tally.
    fn tallies(&self, category: Category, tally: Tally) -> impl Iterator<Item = &AtomicU64> {
        let cells = self.cells.as_ref().filter(|cells| cells.has(category));
        let copy = cells.and_then(|cells| cells.cell(Cell::Tally(tally)));
        self.tally(category, tally).into_iter().chain(copy)
    }

    /// Adds to a counter or gauge.
    pub fn add(&self, counter: Counter, number: u64) {
        if let Some(cell) = self.counter(counter) {
            cell.fetch_add(number, Ordering::Relaxed);
        }
        if let Some(whole) = &self.whole {
            whole.add(counter, number);
        }
    }

    /// Takes away from a gauge.
    pub fn sub(&self, gauge: Counter, number: u64) {
        if let Some(cell) = self.counter(gauge) {
            cell.fetch_sub(number, Ordering::Relaxed);
        }
        if let Some(whole) = &self.whole {
            whole.sub(gauge, number);
        }
    }

    pub fn get(&self, counter: Counter) -> u64 {
        self.counter(counter).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Adds `quantity` of a category.
    pub fn tell(&self, category: Category, tally: Tally, quantity: u64) {
        for cell in self.tallies(category, tally) {
            cell.fetch_add(quantity, Ordering::Relaxed);
        }
        if let Some(whole) = &self.whole {
            whole.tell(category, tally, quantity);
        }
    }

    /// Adds each of the parts to the tally of its category.
    pub fn add_parts(&self, parts: &[Part], tally: Tally) {
        parts.iter().for_each(|part| self.tell(part.category, tally, part.quantity));
    }

    /// Takes each of the parts away from the gauge of its category.
    pub fn sub_parts(&self, parts: &[Part], gauge: Tally) {
        for part in parts {
            for cell in self.tallies(part.category, gauge) {
                cell.fetch_sub(part.quantity, Ordering::Relaxed);
            }
        }
        if let Some(whole) = &self.whole {
            whole.sub_parts(parts, gauge);
        }
    }

    /// The sum of all categories that count items, and not bytes.
    pub fn told_of_items(&self, tally: Tally) -> u64 {
        Category::ALL
            .into_iter()
            .filter(|category| !category.is_bytes())
            .map(|category| self.told(category, tally))
            .sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_in_a_part_counts_in_the_whole() {
        let whole = Arc::new(Ledger::new(None));
        let parts = [Ledger::part_of(whole.clone()), Ledger::part_of(whole.clone())];
        let error = [Part::new(Category::Error, 1)];
        for part in &parts {
            part.add_parts(&error, Tally::Waiting);
            part.add(Counter::QueueEntries, 2);
        }
        let [one, other] = &parts;
        one.sub_parts(&error, Tally::Waiting);
        one.sub(Counter::QueueEntries, 1);
        let told = |ledger: &Ledger| (ledger.told(Category::Error, Tally::Waiting), ledger.get(Counter::QueueEntries));
        assert_eq!([told(one), told(other), told(&whole)], [(0, 1), (1, 2), (1, 3)]);
    }
}
