// SPDX-License-Identifier: BSD-2-Clause
//! What is read, as plain data: it knows nothing of Varnish's libraries, and whoever reads knows nothing of what is made of it.
//!
//! [`tags`]: the names of records. [`group`]: transactions that belong together, and their records. [`source`]: what else there is to be told of a log and its
//! server. [`counters`]: the server's counters. [`consumer`]: who is told.

#![forbid(unsafe_code)]

pub mod consumer;
pub mod counters;
pub mod group;
pub mod source;
pub mod tags;
