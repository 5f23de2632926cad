// SPDX-License-Identifier: BSD-2-Clause
//! What the programs of `make bench` share. `benches/bench` runs them and tells what the figures mean.
//!
//! [`sample`]: the event that is captured everywhere; [`browser`]: the one that browsers send. [`ours`], [`sdk`]: the two that capture it.
//! [`meter`]: CPU time and allocations. [`connection`]: a client of the server that is measured. The programs themselves are in `src/bin`.

pub mod browser;
pub mod connection;
pub mod meter;
pub mod ours;
pub mod sample;
pub mod sdk;
