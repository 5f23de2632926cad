// SPDX-License-Identifier: BSD-2-Clause
//! An entry in the queue, or on its way from it.

use std::slice;
use std::sync::Arc;

use protocol::category::Categories;
use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part, weight};

use crate::counters::{Ledger, Tally};

/// An entry, and what became of it so far.
pub struct Queued {
    pub entry: Box<dyn Entry>,
    /// Where it counts.
    pub ledger: Arc<Ledger>,
    /// How often it was posted.
    pub posts: u32,
    /// How many of those posts reached the server, and failed there.
    pub tries: u32,
    /// The categories of it that are not lost yet.
    pub may: Categories,
    /// Its place among all entries of this queue, from 0 on.
    pub(super) seq: u64,
    /// Its place among those that failed, from 0 on.
    pub(super) order: u64,
    /// The memory it takes.
    pub(super) size: usize,
}

impl Queued {
    pub(super) fn new(entry: Box<dyn Entry>, ledger: Arc<Ledger>) -> Queued {
        let size = size_of::<Queued>() + entry.size();
        Queued { entry, ledger, posts: 0, tries: 0, may: Categories::ALL, seq: 0, order: 0, size }
    }

    /// Where it goes, if that is not where its client sends to.
    pub fn dsn(&self) -> Option<&Arc<Dsn>> {
        self.entry.dsn()
    }

    /// The parts that are not lost.
    pub fn left(&self) -> impl Iterator<Item = &Part> {
        going(self.entry.parts(), self.may)
    }

    /// Leaves those parts out for good that do not go if only these categories may. It is on its way.
    pub fn narrow(&mut self, may: Categories) {
        let lost = self.left().filter(|part| !part.goes(self.entry.parts(), may));
        lost.for_each(|part| self.ledger.sub_parts(slice::from_ref(part), Tally::UnderWay));
        self.may = may;
    }

    /// Adds what is left to a gauge.
    pub(super) fn count_in(&self, gauge: Tally) {
        self.left().for_each(|part| self.ledger.tell(part.category, gauge, part.quantity));
    }

    /// Takes what is left away from a gauge.
    pub(super) fn count_out(&self, gauge: Tally) {
        self.left().for_each(|part| self.ledger.sub_parts(slice::from_ref(part), gauge));
    }

    pub(super) fn weight(&self) -> usize {
        weight(&*self.entry)
    }
}

/// Those of `parts` that go if only these categories may.
pub fn going(parts: &[Part], may: Categories) -> impl Iterator<Item = &Part> {
    parts.iter().filter(move |part| part.goes(parts, may))
}
