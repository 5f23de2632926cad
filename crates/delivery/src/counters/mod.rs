// SPDX-License-Identifier: BSD-2-Clause
//! What is counted: by category ([`Tally`]), and of all together ([`Counter`]), in the [`Ledger`] of a client's name.

mod counter;
mod ledger;
mod tally;

pub use counter::{COUNTERS, Counter};
pub use ledger::{Cell, Cells, Ledger};
pub use tally::{TALLIES, Tally};
