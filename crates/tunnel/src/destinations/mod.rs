// SPDX-License-Identifier: BSD-2-Clause
//! Where a tunnel sends to: the DSNs that the VCL and a file name, and no others.

mod text;

pub use text::BadLine;
