// SPDX-License-Identifier: BSD-2-Clause
//! `import sentry`: the glue between VCL and the Sentry core. `vmod.vcc` is the interface.
//!
//! [`vcl`]: the entries from C, one short function per $Function and $Method. [`capture`]: from a task to a
//! record. [`scope`]: what tasks and VCLs add to events. [`client`]: a client as a VCL has it, by its
//! arguments. [`settings`]: those arguments as C passes them. [`registry`]: the clients of the process.
//! [`lifecycle`]: what is reported without a call. [`counters`]: what varnishstat shows.

mod capture;
mod client;
mod counters;
mod lifecycle;
mod registry;
mod scope;
mod settings;
mod vcl;

include!(concat!(env!("OUT_DIR"), "/export.rs"));
