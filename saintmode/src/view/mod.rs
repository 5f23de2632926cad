// SPDX-License-Identifier: BSD-2-Clause
//! What there is to see of the objects of a VCL.

mod json;
pub mod page;
mod report;
mod status;

pub use report::report;
pub use status::status;
