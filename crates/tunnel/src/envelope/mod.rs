// SPDX-License-Identifier: BSD-2-Clause
//! Envelopes of others, taken apart without touching what is in them.
//! <https://develop.sentry.dev/sdk/data-model/envelopes/>

mod header;
mod item;
mod kind;
mod problem;
mod reader;

pub use header::Header;
pub use item::Item;
pub use kind::Kind;
pub use problem::Problem;
pub use reader::{Reading, read};
