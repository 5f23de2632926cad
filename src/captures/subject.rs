// SPDX-License-Identifier: BSD-2-Clause
//! What an event is about.

use event::rules::watch::Found;

use super::ending::Ending;

/// What is captured.
#[derive(Clone, Copy)]
pub enum Subject<'t> {
    /// A message and what fills its placeholders; a parameter not given is `None`.
    Message {
        text: &'t [u8],
        params: [Option<&'t [u8]>; 4],
    },
    Exception {
        kind: &'t [u8],
        value: &'t [u8],
    },
    /// What was found in the log of a task that is over.
    Log {
        found: &'t Found,
        ending: &'t Ending,
    },
}
