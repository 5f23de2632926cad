// SPDX-License-Identifier: BSD-2-Clause
//! What the spool's worker is asked, and what it replies. Each operation that has a ticket gets exactly one reply.

use protocol::category::Categories;
use protocol::reason::Reason;

use super::entry::SpooledEntry;

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
