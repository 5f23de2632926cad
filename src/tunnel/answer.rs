// SPDX-License-Identifier: BSD-2-Clause
//! What became of a task's request in a tunnel, for VCL to ask until the task ends.

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Instant;

use tunnel::answer::Answer;

use super::core::Tunnel;

/// The answer of one tunnel, with its texts as VCL takes them.
pub struct Answered {
    tunnel: Arc<Tunnel>,
    answer: Answer,
    /// With a zero behind it.
    body: Vec<u8>,
}

impl Answered {
    pub fn new(tunnel: Arc<Tunnel>, answer: Answer) -> Answered {
        let response = answer.response();
        let mut body = Vec::with_capacity(response.len() + 1);
        body.extend_from_slice(&response);
        body.push(0);
        Answered { tunnel, answer, body }
    }

    pub fn is_of(&self, tunnel: &Arc<Tunnel>) -> bool {
        Arc::ptr_eq(&self.tunnel, tunnel)
    }

    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    pub fn body(&self) -> &[u8] {
        self.body.split_last().map_or(&[], |(_, body)| body)
    }

    /// The body as a text; empty if it is none, as an image.
    pub fn text(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.body).unwrap_or_default()
    }

    /// The limits as they are now.
    pub fn rate_limits(&self) -> Option<String> {
        self.answer.rate_limits(Instant::now())
    }
}
