// SPDX-License-Identifier: BSD-2-Clause
//! What came of a fetch: observed, judged whose doing it was, and told to the objects that served it, at once or at the end of the body.

mod judgement;
mod observe;
mod outcome;
mod settlement;

pub use observe::{backend_failed, observe};
pub use settlement::settle_before;
