// SPDX-License-Identifier: BSD-2-Clause
//! What an event says that tells which others are like it: [`fields`] reads that much, [`key`] makes one number of it.

mod fields;
mod key;
mod report;

pub use fields::Fields;
pub use key::Keys;
pub use report::Report;
