// SPDX-License-Identifier: BSD-2-Clause
//! What the targets of `make fuzz` share. `fuzz/fuzz` runs them and tells what came of it.
//!
//! [`bytes`]: the fuzzer's input as what a target needs. [`body`]: what would be sent of a record, taken apart. [`records`]: those of the log.
//! [`spooled`]: files of the spool, whole and changed. [`strict`]: envelopes, read by the book. [`tags`]: what the module knows of the log's records. The targets themselves are in `src/bin`.

pub mod body;
pub mod bytes;
pub mod records;
pub mod spooled;
pub mod strict;
#[path = "../../src/watch/tags.rs"]
pub mod tags;
