// SPDX-License-Identifier: BSD-2-Clause
//! Copies for Spotlight, Sentry's tool for local development (develop.sentry.dev/sdk/expected-features/spotlight).
//!
//! A copy is best effort. It follows the real delivery, whose outcome and numbers it does not touch, takes at
//! most a second, and after a failure there is none for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::journal::Topic;
use crate::outbox::Outbox;
use crate::packer::Parcel;
use crate::stats::Counter;
use crate::transport::{Failure, Post, Transport};

/// For a whole copy, its connection included.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// What became of the last copy.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Until when Spotlight is left alone.
    pub until: Option<Instant>,
    pub last_error: Option<String>,
}

/// Sends the copies of one client.
pub struct Spotlight {
    url: String,
    transport: Arc<dyn Transport>,
    trouble: Mutex<Trouble>,
}

impl Spotlight {
    pub fn new(url: String, transport: Arc<dyn Transport>) -> Spotlight {
        Spotlight { url, transport, trouble: Mutex::default() }
    }

    /// Sends a copy of what was posted, unless Spotlight is left alone or the client's time is over.
    pub fn copy(&self, body: &Parcel, outbox: &Outbox) {
        let now = outbox.clock.now();
        let limit = outbox.queue.drain_deadline().map_or(TIMEOUT, |at| at.saturating_duration_since(now).min(TIMEOUT));
        if limit.is_zero() || self.trouble().until.is_some_and(|until| now < until) {
            return;
        }
        // Without a DSN's key, which is none of its business.
        let post =
            Post { url: &self.url, auth: "", content_encoding: body.encoding, body: &body.bytes, meanwhile: None };
        let problem = match self.transport.post(&post, limit) {
            Ok(answer) if (200..300).contains(&answer.status) => {
                outbox.stats.add(Counter::SpotlightSent, 1);
                return;
            }
            Ok(answer) => format!("http {}", answer.status),
            Err(Failure::Unreached(text) | Failure::Broken(text)) => text,
        };
        let now = outbox.clock.now();
        outbox.stats.add(Counter::SpotlightFailures, 1);
        let seconds = PAUSE.as_secs();
        outbox.note(Topic::Spotlight, now, format_args!("no copy for spotlight, {problem}, next try in {seconds} s"));
        *self.trouble.lock() = Trouble { until: Some(now + PAUSE), last_error: Some(problem) };
    }

    pub fn trouble(&self) -> Trouble {
        self.trouble.lock().clone()
    }

    pub fn abort(&self) {
        self.transport.abort();
    }
}
