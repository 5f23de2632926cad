// SPDX-License-Identifier: BSD-2-Clause
//! What became of a task's request in a tunnel, for VCL to ask until the task ends.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Instant;

use tunnel::answer::Answer;

use super::core::Tunnel;

/// The answer of one tunnel, with its texts as VCL takes them.
pub struct Answered {
    tunnel: Arc<Tunnel>,
    answer: Answer,
    body: Vec<u8>,
    text: CString,
}

impl Answered {
    pub fn new(tunnel: Arc<Tunnel>, answer: Answer) -> Answered {
        let body = answer.response().into_owned();
        // An image is no text.
        let text = CString::new(body.clone()).unwrap_or_default();
        Answered { tunnel, answer, body, text }
    }

    pub fn is_of(&self, tunnel: &Arc<Tunnel>) -> bool {
        Arc::ptr_eq(&self.tunnel, tunnel)
    }

    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as a text; empty if it is none.
    pub fn text(&self) -> &CString {
        &self.text
    }

    /// The limits as they are now.
    pub fn rate_limits(&self) -> Option<String> {
        self.answer.rate_limits(Instant::now())
    }
}
