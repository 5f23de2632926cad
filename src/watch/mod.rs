// SPDX-License-Identifier: BSD-2-Clause
//! What is looked for in a task's log.

mod builtin;
mod tags;
mod watching;

pub use builtin::{install, rule};
pub use tags::{TAGS, time, wanted};
pub use watching::Watching;
