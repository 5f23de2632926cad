// SPDX-License-Identifier: BSD-2-Clause
//! What a request's thread writes down of an event: bytes that are copied once.

pub mod content;
pub mod fields;
pub mod fingerprint;
pub mod level;
pub mod numbers;
pub mod record;
pub mod removals;
pub mod room;
pub mod scope;
pub mod task_log;
