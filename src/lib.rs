// SPDX-License-Identifier: BSD-2-Clause
//! `import sentry`: the glue between VCL and the Sentry core. `vmod.vcc` is the interface.
//!
//! [`vcl`]: the entries from C, one short function per $Function and $Method. [`capture`]: from a task to a
//! record. [`watch`]: what makes a record at the end of a task. [`task_log`], [`tags`]: the records of its log.
//! [`story`]: what an event tells of the cache's part in the task. [`scope`]: what tasks and VCLs add to events. [`client`]: a client as a VCL has it, by its
//! arguments. [`settings`]: those arguments as C passes them. [`registry`]: the clients of the process.
//! [`lifecycle`]: what is reported without a call. [`counters`]: what varnishstat shows.

mod capture;
mod client;
mod counters;
mod lifecycle;
mod registry;
mod scope;
mod settings;
mod story;
mod tags;
mod task_log;
mod trace;
mod vcl;
mod watch;

include!(concat!(env!("OUT_DIR"), "/export.rs"));
