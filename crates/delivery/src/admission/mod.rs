// SPDX-License-Identifier: BSD-2-Clause
//! Which captures pass: by key ([`throttle`], [`threshold`]), by chance ([`sample`]), by number ([`rate`]); all of them asked by the [`Gate`].

mod gate;
mod key_table;
pub mod rate;
pub mod sample;
pub mod threshold;
pub mod throttle;

pub use gate::Gate;
