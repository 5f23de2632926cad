// SPDX-License-Identifier: BSD-2-Clause
//! What a connection is asked, and what it says came of it. Exactly one [`Outcome`] comes back for each [`Request`].

use std::sync::Arc;
use std::time::Duration;

use protocol::request_headers::RequestHeaders;

/// Tells a request from all others of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Where envelopes go, and the key that lets them in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub url: String,
    /// The value of `X-Sentry-Auth`; empty if there is none to send.
    pub auth: String,
}

/// A body to post, and the header lines that go with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    /// Its `Content-Encoding`.
    pub encoding: Option<&'static str>,
    /// Those of whom it is sent for.
    pub headers: RequestHeaders,
}

/// A request to make.
#[derive(Debug)]
pub struct Request {
    pub ticket: Ticket,
    pub target: Arc<Target>,
    pub body: Body,
    /// For all of it, connecting and every byte of the answer included.
    pub timeout: Duration,
}

/// What the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// `X-Sentry-Rate-Limits`; several lines joined by commas.
    pub rate_limits: Option<String>,
    pub retry_after: Option<String>,
    /// What it gave as the reason for a status that is no 2xx, where to it redirects, what was wrong with the body of a 2xx: one line, no keys.
    pub complaint: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server has not seen the request.
    Unreached(String),
    /// It may have seen it.
    Broken(String),
}

/// What [`Failure::Broken`] says after a panic, which was caught.
pub const PANICKED: &str = "a panic";

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    pub ticket: Ticket,
    pub result: Result<Answer, Failure>,
    /// How often it was written again on a new connection, because the server had closed the kept one without a byte of an answer.
    pub reconnects: u32,
    pub took: Duration,
    /// Comes back, so that its room can be used again; empty after a panic.
    pub body: Body,
}
