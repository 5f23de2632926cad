// SPDX-License-Identifier: BSD-2-Clause
//! What a request carries. It stays with the sender until the outcome is known.

use std::time::Instant;

use protocol::category::{Categories, Category};
use protocol::client_report::Taken;
use protocol::entry::Entry;

use crate::connection::request::Body;
use crate::queue::Queued;
use crate::spool::entry::SpooledEntry;

/// The entry, if there is one.
pub enum Cargo {
    Queued(Queued),
    Spooled(SpooledEntry),
    /// Nothing but a client report.
    Report,
}

impl Cargo {
    pub fn entry(&self) -> Option<&dyn Entry> {
        match self {
            Cargo::Queued(queued) => Some(&*queued.entry),
            Cargo::Spooled(spooled) => Some(spooled),
            Cargo::Report => None,
        }
    }

    /// What it counts as first.
    pub fn category(&self) -> Category {
        self.entry().and_then(|entry| entry.parts().first()).map_or(Category::Error, |part| part.category)
    }
}

/// The entry, the report that rides with it, and where they go, by the place of the route.
pub struct Load {
    pub cargo: Cargo,
    pub report: Option<Taken>,
    pub route: usize,
    /// The categories that go.
    pub may: Categories,
}

impl Load {
    /// Whether it came from a spool: from that of its route's project.
    pub fn is_spooled(&self) -> bool {
        matches!(self.cargo, Cargo::Spooled(_))
    }
}

/// A load in words.
pub struct Encoded {
    pub load: Load,
    pub body: Body,
    pub at: Instant,
}
