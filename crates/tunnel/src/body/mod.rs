// SPDX-License-Identifier: BSD-2-Clause
//! Bodies as they come from the wire.

mod encoding;

pub use encoding::{Encoding, Unpacked, unpack_zlib};
