// SPDX-License-Identifier: BSD-2-Clause
//! What a task keeps until its end: what is set for it, its trace, and who watches it.

mod scope;
mod state;
mod traces;

pub use scope::change;
pub use state::{Audience, ClientTask, STATES, TaskState};
pub use traces::{lines, op_of, request_of};
