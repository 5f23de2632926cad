// SPDX-License-Identifier: BSD-2-Clause
//! What a request says before its body.

mod head;

pub use head::Request;
