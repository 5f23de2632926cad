// SPDX-License-Identifier: BSD-2-Clause
//! A connected socket, TCP or unix, at the end of ureq's chain of connectors, which asks little of the system.
//!
//! A request on a kept connection takes three calls: is it still open, send, receive. ureq's own needs twelve,
//! and sends head and body as two packets. What is written waits here for what comes next, until somebody wants an answer.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use socket2::Socket;
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, ShutdownHandle, Transport};

use crate::meanwhile::do_pending;

/// What is held back at most before it is sent.
const MAX_HELD: usize = 32 * 1024;
/// Socket timeouts longer than this are set to a multiple of it, so that the next request can have the same.
const TICK: Duration = Duration::from_millis(250);
/// The shortest timeout of a socket.
const LEAST: Duration = Duration::from_millis(1);

/// A socket that another thread can shut down.
struct Stream(Socket);

impl ShutdownHandle for Stream {
    fn shutdown(&self) {
        // An error means that it is closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A connected socket and its buffers.
pub(crate) struct Connection {
    stream: Arc<Stream>,
    buffers: LazyBuffers,
    /// Written, but not yet sent.
    held: Vec<u8>,
    /// The timeouts that the socket has.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Nothing was written since the last input.
    answered: bool,
}

impl Connection {
    /// Takes `socket`, which is connected, and has no timeouts but maybe one for writing.
    pub fn new(socket: Socket, details: &ConnectionDetails) -> Result<Connection, ureq::Error> {
        socket.set_write_timeout(None)?;
        let stream = Arc::new(Stream(socket));
        let handle: Weak<Stream> = Arc::downgrade(&stream);
        (details.register_shutdown)(handle)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Connection { stream, buffers, held: Vec::new(), read_timeout: None, write_timeout: None, answered: false })
    }

    /// Sends what is held.
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let (limit, begin) = (nonzero(&timeout)?, Instant::now());
        let socket = &self.stream.0;
        let mut rest = self.held.as_slice();
        while !rest.is_empty() {
            let left = time_left(limit, begin, timeout.reason)?;
            set_timeout(&mut self.write_timeout, left, |left| socket.set_write_timeout(left))?;
            // A peer that is gone is an error, not a signal.
            match socket.send_with_flags(rest, libc::MSG_NOSIGNAL) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error, timeout.reason)),
            }
        }
        self.held.clear();
        Ok(())
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.answered = false;
        self.held.extend_from_slice(self.buffers.output().get(..amount).unwrap_or_default());
        if self.held.len() < MAX_HELD { Ok(()) } else { self.flush(timeout) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.flush(timeout)?;
        let timeout = timeout.for_read();
        let (limit, begin) = (nonzero(&timeout)?, Instant::now());
        do_pending();
        let mut socket = &self.stream.0;
        loop {
            let left = time_left(limit, begin, timeout.reason)?;
            set_timeout(&mut self.read_timeout, left, |left| socket.set_read_timeout(left))?;
            match socket.read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.answered = true;
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error, timeout.reason)),
            }
        }
    }

    /// Open and silent: an idle server has nothing to say. Not looked at behind an answer, when ureq keeps the
    /// connection: it asks again before it uses it.
    fn is_open(&mut self) -> bool {
        if std::mem::take(&mut self.answered) {
            return true;
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.stream.0.recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT);
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The time there is for what comes next; `None` without a bound, an error if there is none left.
pub(crate) fn nonzero(timeout: &NextTimeout) -> Result<Option<Duration>, ureq::Error> {
    if timeout.after.is_zero() {
        return Err(ureq::Error::Timeout(timeout.reason));
    }
    Ok(timeout.not_zero().map(|left| *left))
}

/// What is left of `limit`, which began at `begin`; an error if that is nothing.
fn time_left(limit: Option<Duration>, begin: Instant, reason: Timeout) -> Result<Option<Duration>, ureq::Error> {
    let left = limit.map(|limit| limit.saturating_sub(begin.elapsed()));
    if left.is_some_and(|left| left.is_zero()) { Err(ureq::Error::Timeout(reason)) } else { Ok(left) }
}

/// Sets a timeout of the socket to `left`, or a little less, if it has another one.
fn set_timeout(
    current: &mut Option<Duration>,
    left: Option<Duration>,
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> io::Result<()> {
    let wanted = left.map(in_ticks);
    if *current != wanted {
        set(wanted)?;
        *current = wanted;
    }
    Ok(())
}

/// `left` in whole ticks, if it is more than a few of them; never less than a socket can have, to which no
/// microseconds at all are no bound.
fn in_ticks(left: Duration) -> Duration {
    let ticks = left.as_millis() / TICK.as_millis();
    match u32::try_from(ticks) {
        Ok(ticks) if ticks >= 4 => TICK * ticks,
        _ => left.max(LEAST),
    }
}

fn timed_out(error: io::Error, reason: Timeout) -> ureq::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ureq::Error::Timeout(reason),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_at_most_what_is_left_and_the_next_request_has_the_same() {
        let millis = Duration::from_millis;
        for (left, set) in [(9_999, 9_750), (9_760, 9_750), (1_000, 1_000), (999, 999), (1, 1)] {
            assert_eq!(in_ticks(millis(left)), millis(set));
        }
        assert_eq!(in_ticks(Duration::from_nanos(1)), LEAST, "none would be without end");
        assert_eq!(in_ticks(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn the_system_is_asked_for_a_timeout_only_if_it_is_another_one() {
        let (mut current, mut asked) = (None, Vec::new());
        for left in [None, Some(9_999), Some(9_998), Some(40), Some(40), None] {
            let left = left.map(Duration::from_millis);
            set_timeout(&mut current, left, |left| {
                asked.push(left);
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(asked, [Some(Duration::from_millis(9_750)), Some(Duration::from_millis(40)), None]);
        let refused = set_timeout(&mut current, Some(TICK), |_| Err(ErrorKind::Other.into()));
        assert!(refused.is_err() && current.is_none());
    }
}
