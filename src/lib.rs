// SPDX-License-Identifier: BSD-2-Clause
//! `import sentry`: the glue between VCL and the Sentry core. `vmod.vcc` is the interface.
//!
//! In the order of a call, each only knows those after it: [`vcl`], the entries from C, one short function per $Function
//! and $Method. [`lifecycle`], what is reported without a call. [`event`], from a task to a record. [`task`], what a
//! task keeps. [`watch`], what is looked for in a task's log. [`client`] and [`tunnel`], what a VCL says of them, and where
//! the process has them. [`process`], what both need of it. [`counters`], what varnishstat shows.

mod captures;
mod client;
mod counters;
mod lifecycle;
mod process;
mod task;
mod tunnel;
mod vcl;
mod watch;

include!(concat!(env!("OUT_DIR"), "/export.rs"));
