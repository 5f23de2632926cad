// SPDX-License-Identifier: BSD-2-Clause
//! The backend that an object stands for: whether it is healthy, on whose behalf that is asked, and where it leads to.

mod asked;
mod exploration;
mod health;

pub use asked::{Asked, How, ask, ask_way};
pub use exploration::explore_all;
