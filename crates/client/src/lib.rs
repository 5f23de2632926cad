// SPDX-License-Identifier: BSD-2-Clause
//! A client: what is said of an error, and how it gets to Sentry, put together for whoever captures.
//!
//! [`client`] is what a program holds; [`connectors`], how its envelopes are posted.
#![forbid(unsafe_code)]

mod client;
mod connectors;

pub use client::Client;
pub use connectors::Connectors;
