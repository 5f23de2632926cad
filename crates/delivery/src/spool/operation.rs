// SPDX-License-Identifier: BSD-2-Clause
//! What the spool's worker is asked, and what it replies. Each operation that has a ticket gets exactly one reply.

use std::sync::Arc;
use std::time::SystemTime;

use protocol::category::Categories;
use protocol::entry::Part;
use protocol::event_id::EventId;
use protocol::reason::Reason;

use super::entry::SpooledEntry;
use crate::counters::Ledger;

/// An entry in words, on its way into the spool.
#[derive(Debug)]
pub struct Written {
    pub at: SystemTime,
    pub id: EventId,
    /// Members of the envelope's header, as [`protocol::envelope::Envelope::members`] has them.
    pub members: Vec<u8>,
    /// The entry's parts, with the framed items of each; a part that was left out has none: it is not kept, and whoever
    /// left it out has counted it.
    pub parts: Vec<(Part, Vec<u8>)>,
    /// Whose it is: it counts there for as long as it is in the spool, whoever sends it.
    pub ledger: Arc<Ledger>,
}

impl Written {
    /// Takes out the parts that have no items.
    pub(super) fn leave_out(&mut self) {
        let mut left = 0;
        let places: Vec<_> = self
            .parts
            .iter()
            .map(|(_, items)| {
                let place = (!items.is_empty()).then_some(left);
                left += usize::from(!items.is_empty());
                place
            })
            .collect();
        self.parts.retain(|(_, items)| !items.is_empty());
        for (part, _) in &mut self.parts {
            part.with = part.with.and_then(|with| places.get(with).copied().flatten());
        }
    }
}

/// What became of an entry that was taken out to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent,
    /// Sent, but for the parts that do not go by [`Part::goes`]: those were dropped.
    SentPartly {
        may: Categories,
        reason: Reason,
    },
    Dropped(Reason),
    /// Not taken by the server. `counts` if it took others right before: then the entry may be the cause; having
    /// failed too often, it is dropped for `reason`.
    Kept {
        counts: bool,
        reason: Reason,
    },
}

/// What the worker says to a client's sender.
#[derive(Debug)]
pub enum Reply {
    /// Whether the entry of that ticket is on disk.
    Kept { ticket: u64, kept: bool },
    /// The oldest entry that nobody else is sending, to be settled; `None` if there is none or the spool cannot be used.
    Taken(Option<SpooledEntry>),
    /// The spool can be used now and could not before, or the other way round, or has something to take where it had nothing, or was just
    /// opened by this client: look at its condition.
    Changed,
}
