// SPDX-License-Identifier: BSD-2-Clause
//! What the process has one of: its members by their settings, what they are made in, and its end.

mod environment;
mod exit;
mod registry;

pub use environment::{Log, SHARED, clock, environment, http};
pub use registry::{Lease, Member, Registry};
