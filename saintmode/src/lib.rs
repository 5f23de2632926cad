// SPDX-License-Identifier: BSD-2-Clause
//! `import saintmode`: the glue between VCL and the denylist. `vmod.vcc` is the interface.
//!
//! [`vcl`]: the entries from C, one short function per $Function and $Method. [`object`]: a saintmode
//! object, which is a director. [`attempt`]: the objects that served a fetch. [`scope`]: what VCL told of one task.
//! [`observe`]: what came of a fetch, [`pending`]: when that is not known yet, [`judgement`]: whose doing it was, [`outcome`]: what an object makes of it, [`policy`]: what follows. [`admission`]: who may fetch, [`group`]: who must, [`trial`]: who tries again,
//! [`asked`]: on whose behalf. [`way`]: where a director leads to. [`keep`]: what outlives a VCL.
//! [`transition`]: what is told when an object trips or heals. [`report`]: all there is to see of it, [`json`]: as
//! JSON. [`page`]: what shows it in a browser. [`counters`]: what varnishstat shows.

mod admission;
mod asked;
mod attempt;
mod counters;
mod group;
mod json;
mod judgement;
mod keep;
mod object;
mod observe;
mod outcome;
mod page;
mod pending;
mod policy;
mod report;
mod scope;
mod transition;
mod trial;
mod vcl;
mod way;

include!(concat!(env!("OUT_DIR"), "/export.rs"));
