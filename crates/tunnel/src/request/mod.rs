// SPDX-License-Identifier: BSD-2-Clause
//! What a request says before its body: the [`Request`], where it goes ([`Target`]), whose it is ([`Named`]).

mod head;
mod named;
mod target;

pub use head::Request;
pub use named::{Named, Nameless};
pub use target::{Endpoint, Target};
