// SPDX-License-Identifier: BSD-2-Clause
//! What a client is told.

use std::time::Instant;

use super::outcome::Outcome;

/// The answer to one request. Kept by the task that asked, for as long as VCL asks for what is in it.
#[derive(Debug)]
pub struct Answer {
    outcome: Outcome,
}

impl Answer {
    pub fn status(&self) -> u16 {
        todo!()
    }

    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What became of it and why, for a header or the log: `processed`, `ignored: resize_observer`, `refused: item header is not JSON`. Printable ASCII, never a key.
    pub fn result(&self) -> String {
        todo!()
    }

    /// The body: `{"id":"…"}`, `{}`, `{"detail":"…"}`, or the image that a GET of `store/` is answered with, in which there are zeros.
    pub fn response(&self) -> &[u8] {
        todo!()
    }

    /// `application/json` or `image/gif`.
    pub fn content_type(&self) -> &'static str {
        todo!()
    }

    /// The value of `X-Sentry-Rate-Limits`; `None` if nothing is limited that this client sends.
    pub fn rate_limits(&self, now: Instant) -> Option<String> {
        let _ = now;
        todo!()
    }
}
