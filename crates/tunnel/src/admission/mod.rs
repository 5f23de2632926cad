// SPDX-License-Identifier: BSD-2-Clause
//! What may pass: requests before their bodies are read ([`gate`]), and how many of those are being read ([`readers`]).

mod gate;
mod readers;

pub use gate::Gate;
pub use readers::{Reader, Readers};
