// SPDX-License-Identifier: BSD-2-Clause
//! What the operator says, in TOML.

pub mod document;
pub mod problem;
