// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of a request, and what the client is told of it.

mod outcome;
mod reply;

pub use outcome::{Outcome, Refusal};
pub use reply::Answer;
