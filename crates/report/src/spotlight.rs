// SPDX-License-Identifier: BSD-2-Clause
//! Copies for Spotlight, Sentry's tool for local development (develop.sentry.dev/sdk/expected-features/spotlight).
//!
//! A copy is best effort. It follows the real delivery, whose outcome and numbers it does not touch, takes at
//! most a second, and after a failure there is none for a while.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ureq::http::Uri;

use crate::dsn::parse_address;
use crate::journal::Topic;
use crate::outbox::Outbox;
use crate::packer::Parcel;
use crate::stats::Counter;
use crate::transport::{Failure, Post, Transport};

/// For a whole copy, its connection included.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// Where Spotlight listens unless it was told otherwise.
const DEFAULT_URL: &str = "http://localhost:8969/stream";

/// A text that says neither whether there are copies nor where they go. It is not quoted: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpotlight;

impl fmt::Display for NoSpotlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("spotlight must be true, false or a URL, expected http://<host>[:<port>]/<path>")
    }
}

impl std::error::Error for NoSpotlight {}

/// Where copies go by the argument in VCL; `None` if there are none.
pub fn url(argument: &str) -> Result<Option<String>, NoSpotlight> {
    match argument {
        "" | "false" | "0" => Ok(None),
        "true" | "1" => Ok(Some(DEFAULT_URL.to_owned())),
        url if is_url(url) => Ok(Some(url.to_owned())),
        _ => Err(NoSpotlight),
    }
}

/// Whether it can be posted to. Userinfo, which would not be sent, is refused with the host.
fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split('/').next());
    authority.is_some_and(|authority| parse_address(authority).is_ok()) && text.parse::<Uri>().is_ok()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_a_word_or_a_url() {
        let default = Ok(Some("http://localhost:8969/stream".to_owned()));
        for (argument, expected) in [
            ("", Ok(None)),
            ("false", Ok(None)),
            ("0", Ok(None)),
            ("true", default.clone()),
            ("1", default),
            ("http://10.0.0.1:8969/stream", Ok(Some("http://10.0.0.1:8969/stream".to_owned()))),
            ("https://spotlight.example", Ok(Some("https://spotlight.example".to_owned()))),
            ("http://[::1]:8969/stream", Ok(Some("http://[::1]:8969/stream".to_owned()))),
            ("yes", Err(NoSpotlight)),
            ("localhost:8969", Err(NoSpotlight)),
            ("ftp://h/stream", Err(NoSpotlight)),
            ("http:///stream", Err(NoSpotlight)),
            ("http://h:0/stream", Err(NoSpotlight)),
            ("http://u:p@h/stream", Err(NoSpotlight)),
            ("http://h/a b", Err(NoSpotlight)),
        ] {
            assert_eq!(url(argument), expected, "{argument}");
        }
    }
}
