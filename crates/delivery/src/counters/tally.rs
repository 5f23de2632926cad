// SPDX-License-Identifier: BSD-2-Clause
//! What is counted by category. With nothing under way, of each category:
//! captured + found = sent + dropped, by all reasons + waiting + spooled.

use protocol::reason::Reason;

/// A number of each category. All grow, but [`Tally::Waiting`] and [`Tally::Spooled`], which say what there is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tally {
    /// Taken from a caller, to be delivered.
    Captured,
    /// Found in the spool when it was opened: of an earlier process.
    Found,
    /// Accepted by the server.
    Sent,
    /// In the queue now.
    Waiting,
    /// In the spool now.
    Spooled,
    /// Not captured: it was turned away before anything of it was copied.
    Refused(Reason),
    /// Captured or found, and lost.
    Dropped(Reason),
}

const REASONS: usize = Reason::ALL.len();
/// How many tallies there are.
pub const TALLIES: usize = 5 + 2 * REASONS;

impl Tally {
    /// Its place among all tallies, below [`TALLIES`].
    pub fn place(self) -> usize {
        match self {
            Tally::Captured => 0,
            Tally::Found => 1,
            Tally::Sent => 2,
            Tally::Waiting => 3,
            Tally::Spooled => 4,
            Tally::Refused(reason) => 5 + reason as usize,
            Tally::Dropped(reason) => 5 + REASONS + reason as usize,
        }
    }
}
