// SPDX-License-Identifier: BSD-2-Clause
//! The object as a director of the server's: how it comes and goes, and what it answers.

mod answers;
mod lifecycle;

pub use lifecycle::{begin, register, rest, retire};
