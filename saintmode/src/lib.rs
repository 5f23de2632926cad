// SPDX-License-Identifier: BSD-2-Clause
//! `import saintmode`: the glue between VCL and the denylist. `vmod.vcc` is the interface.
//!
//! In the order of a call, each only knows those after it: [`vcl`], the entries from C, one short function per $Function
//! and $Method. [`view`], what there is to see of an object. [`director`], the object as a director of the server's. [`fetch`],
//! what came of a fetch. [`admission`], whether there may be one. [`task`], what a task keeps. [`backend`], how healthy it is and where it
//! leads to. [`object`], the object by itself: its list and its policy. [`counters`], what varnishstat shows; [`clock`], what time it is.

mod admission;
mod backend;
mod clock;
mod counters;
mod director;
mod fetch;
mod object;
mod task;
mod vcl;
mod view;

include!(concat!(env!("OUT_DIR"), "/export.rs"));
