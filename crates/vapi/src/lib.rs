// SPDX-License-Identifier: BSD-2-Clause
//! The boundary to libvarnishapi, which reads the log of a running server.
//!
//! [`log`]: a log and its query. [`sink`]: who is told what is in it, and [`place`] where. [`server`]: the server whose log it is. [`tags`]: the names of records.
//! [`process`]: what a program needs that Rust's library has not.
//!
//! `vapi.h` declares the C side; each `extern` block here is its counterpart. The library ends the process where it finds itself wrong
//! (it asserts): what it asserts of its caller is kept here, and what it asserts of a file is looked for before (`look`).

mod lineage;
pub mod log;
mod look;
pub mod place;
pub mod process;
pub mod server;
pub mod sink;
pub mod tags;
