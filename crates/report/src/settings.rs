// SPDX-License-Identifier: BSD-2-Clause
//! The settings of a client, checked. Clients with equal settings are one client, whichever VCL asks.
//!
//! VCL says them by section, a call each, in any order. Each call checks all it says, so that nothing is left that could
//! fail when the client is made: that is when [`Settings::new`] puts the sections together, and the environment counts
//! for what none of them said.

mod client;
mod copies;
mod privacy;
mod range;
mod sections;
mod server;
mod traces;
mod waiting;

pub use client::{ClientArguments, ClientError, ClientSection, ClientSettings, DsnSource, NoName, name};
pub use copies::{Copies, NoSpotlight};
pub use privacy::{PrivacySectionError, PrivacySettings};
pub use range::{OutOfRange, RelativePath, path};
pub(crate) use range::{number, seconds};
pub use sections::{LifecycleSettings, Sections, Settings};
pub use server::{ServerArguments, ServerError, ServerSettings};
pub use traces::{NoOrganization, TraceSettings};
pub use waiting::{QueueSettings, SpoolError, SpoolSettings};
