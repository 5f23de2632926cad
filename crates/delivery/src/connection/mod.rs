// SPDX-License-Identifier: BSD-2-Clause
//! Connections: each posts what the sender hands it, one request after the other, and says what came of it.
//!
//! [`worker`] is what the sender has, a [`transport`] what it works with: [`http`], or a [`dry_run`], whose words are [`scrubbed`]. The way of a
//! post is that of ureq's chain: [`resolver`], [`proxy`], [`tcp`] or [`unix_socket`], [`tls`], and bounds around them.

mod answer;
mod attempt;
mod bounded;
pub mod certificates;
pub mod dry_run;
mod field;
pub mod gzip;
mod head;
pub mod http;
mod look_up;
mod no_proxy;
pub mod proxy;
pub mod request;
pub mod resolver;
pub(crate) mod scrubbed;
mod socket;
mod tcp;
mod tls;
mod tls_error;
pub mod transport;
mod under_way;
mod unix_socket;
mod verifier;
pub mod way;
pub mod worker;

pub use gzip::Compressor;
pub use worker::Connection;
