// SPDX-License-Identifier: BSD-2-Clause
//! What a task keeps until its end: what VCL told of it, whom its attempt went through, its trials, and what it waits for.

pub mod attempt;
mod pending;
pub mod scope;
mod state;
mod trials;

pub use pending::{Pending, Waiting};
pub use scope::Scope;
pub use state::{STATES, State};
pub use trials::{Subject, Trial};
