// SPDX-License-Identifier: BSD-2-Clause
//! What an answer is wanted for.

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The CLI, or VCL about the backend as a whole: nothing is refused by the answer.
    Nobody,
    /// A task that wants to know.
    Question,
    /// A task that is going to fetch if it may.
    Fetch,
}
