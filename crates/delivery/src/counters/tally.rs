// SPDX-License-Identifier: BSD-2-Clause
//! What is counted by category. Of each category, but for the moment in which a thread is between two of them:
//! captured + found = sent + dropped, by all reasons + waiting + under way + spooled, and
//! written to the spool + found = sent from the spool + dropped from it + spooled.

use protocol::reason::Reason;

/// A number of each category. All grow, but [`Tally::Waiting`], [`Tally::UnderWay`] and [`Tally::Spooled`], which say what there is now.
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
    /// Under way now: encoded ahead, posted, being spooled.
    UnderWay,
    /// In the spool now.
    Spooled,
    /// Put into the spool.
    SpoolWritten,
    /// Sent from the spool; also in [`Tally::Sent`].
    SpoolSent,
    /// Left the spool without having been sent; also in [`Tally::Dropped`].
    SpoolDropped,
    /// Not captured: it was turned away before anything of it was copied.
    Refused(Reason),
    /// Captured or found, and lost.
    Dropped(Reason),
}

const REASONS: usize = Reason::ALL.len();
/// How many tallies there are.
pub const TALLIES: usize = 9 + 2 * REASONS;

impl Tally {
    /// Its place among all tallies, below [`TALLIES`].
    pub fn place(self) -> usize {
        match self {
            Tally::Captured => 0,
            Tally::Found => 1,
            Tally::Sent => 2,
            Tally::Waiting => 3,
            Tally::UnderWay => 4,
            Tally::Spooled => 5,
            Tally::SpoolWritten => 6,
            Tally::SpoolSent => 7,
            Tally::SpoolDropped => 8,
            Tally::Refused(reason) => 9 + reason as usize,
            Tally::Dropped(reason) => 9 + REASONS + reason as usize,
        }
    }
}
