// SPDX-License-Identifier: BSD-2-Clause
//! Lists of DSNs as texts.

use std::fmt;

/// A line of a file that is skipped, and why. It shows as `line 3: dsn has no project id, …`, never with what is in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1 on.
    pub number: usize,
    why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}
