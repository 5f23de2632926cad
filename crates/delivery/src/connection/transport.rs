// SPDX-License-Identifier: BSD-2-Clause
//! How a body is posted: over HTTP, into the log, or into a test's hands.

use std::sync::Arc;
use std::time::Duration;

use super::request::{Answer, Body, Failure, Target};

/// What came of one post.
#[derive(Debug)]
pub struct Posted {
    pub result: Result<Answer, Failure>,
    /// As [`super::request::Outcome::reconnects`].
    pub reconnects: u32,
}

/// One connection to the server, opened when it is needed and kept between posts. One thread has it.
pub trait Transport: Send {
    /// Says that a post follows: from here on an abort is one of it. Who calls [`Transport::post`] alone need not.
    fn begin(&mut self) {}

    /// Posts, and waits for the answer, both together no longer than `timeout`.
    fn post(&mut self, target: &Target, body: &Body, timeout: Duration) -> Posted;

    /// For another thread to end the post under way.
    fn aborter(&self) -> Arc<dyn Abort>;
}

/// Ends what a [`Transport`] does.
pub trait Abort: Send + Sync {
    /// Makes the post under way fail at once, whatever it waits for, name look-up and TLS handshake included; the transport may be used again after it.
    /// Without one under way nothing happens.
    fn abort(&self);
}

/// Makes transports, all with the same way to servers.
pub trait Connector: Send + Sync {
    /// One more; nothing is opened yet.
    fn transport(&self) -> Box<dyn Transport>;
}
