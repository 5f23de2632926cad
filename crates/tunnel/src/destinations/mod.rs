// SPDX-License-Identifier: BSD-2-Clause
//! Where a tunnel sends to: the DSNs that the VCL and a file name, and no others.

mod list;
mod sdk;
mod text;
mod upstream;

pub use list::{Found, List, Listed};
pub use sdk::path as sdk_path;
pub use text::{BadDsn, BadLine, Source, read_argument, read_file};
pub use upstream::{Upstream, UpstreamError};
