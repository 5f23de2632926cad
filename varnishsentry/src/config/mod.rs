// SPDX-License-Identifier: BSD-2-Clause
//! What the operator says, in TOML.
//!
//! [`load`] reads the files, each as a [`document`]; a [`worker`] is read section by section, as [`values`] of what the [`schema`] knows. What is
//! wrong is a [`problem`] with its place. [`builtin`]: what is an event without being asked for; [`filters`]: what the operator adds; [`sample`]: all there is to say.

pub mod builtin;
pub mod document;
pub mod filters;
pub mod load;
pub mod problem;
pub mod sample;
pub mod schema;
pub mod values;
pub mod worker;
