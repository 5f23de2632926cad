// SPDX-License-Identifier: BSD-2-Clause
//! Reports errors from the shared log of Varnish to Sentry.

mod config;
mod filter;
mod log;
mod report;

fn main() {}
