// SPDX-License-Identifier: BSD-2-Clause
//! The settings of a client, checked. Clients with equal settings are one client, whichever VCL asks.
//!
//! VCL says them by section, a call each, in any order. Each call checks all it says, so that nothing is left that could
//! fail when the client is made: that is when [`Settings::new`](sections::Settings::new) puts the [`sections`] together, and
//! the environment's [`variables`] count for what none of them said. The sections: [`client`], [`privacy`], [`server`], queue and spool ([`waiting`]),
//! [`traces`], [`copies`] for Spotlight; [`path`] for the files that they name. Those of a [`tunnel`] are put together in the same way.
#![forbid(unsafe_code)]

pub mod client;
pub mod copies;
pub mod path;
pub mod privacy;
pub mod sections;
pub mod server;
pub mod traces;
pub mod tunnel;
pub mod variables;
pub mod waiting;
