// SPDX-License-Identifier: BSD-2-Clause
//! How the daemon is seen: what is known of each worker ([`watched`]), as JSON ([`snapshot`]), as text ([`text`]), for Prometheus ([`metrics`]), and the little server of HTTP
//! that tells it ([`server`]).

pub mod metrics;
pub mod server;
pub mod snapshot;
pub mod text;
pub mod watched;
