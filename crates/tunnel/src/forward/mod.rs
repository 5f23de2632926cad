// SPDX-License-Identifier: BSD-2-Clause
//! What is sent on of an envelope: [`parts`] it counts as, the number that is told in it ([`suppressed`]), header lines of its request ([`lines`]), and all of it as an [`entry`](Forward).

mod entry;
mod lines;
mod parts;
mod suppressed;

pub use entry::{Forward, Origin};
pub use lines::lines;
pub use parts::Sorted;
pub use suppressed::tell;
