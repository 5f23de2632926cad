// SPDX-License-Identifier: BSD-2-Clause
//! `import saintmode`: the glue between VCL and the denylist. `vmod.vcc` is the interface.
//!
//! [`vcl`]: the entries from C, one short function per $Function and $Method. [`object`]: a saintmode
//! object, which is a director. [`attempt`]: the objects that served a fetch. [`scope`]: what VCL told of one task. [`counters`]: what varnishstat shows.

mod attempt;
mod counters;
mod object;
mod scope;
mod vcl;

include!(concat!(env!("OUT_DIR"), "/export.rs"));
