// SPDX-License-Identifier: BSD-2-Clause
//! What became of all requests: counted by [`counts`], told by [`json`].

mod counts;
mod json;

pub use counts::Counts;
pub use json::{Figures, ProjectFigures, json};
