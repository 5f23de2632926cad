// SPDX-License-Identifier: BSD-2-Clause
//! What browsers report that has no cause in the site.

mod filter;
mod kinds;

pub use filter::{Filter, Sight};
pub use kinds::Noise;
