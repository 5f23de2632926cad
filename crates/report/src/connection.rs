// SPDX-License-Identifier: BSD-2-Clause
//! A connected socket, TCP or unix, at the end of ureq's chain of connectors, which asks little of the system.
//!
//! A request on a kept connection takes three calls: is it still open, send, receive. ureq's own needs twelve,
//! and sends head and body as two packets. What is written waits here for what comes next, until somebody wants an answer.

use std::error::Error as StdError;
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

/// Why there is no connection. The server has not seen anything then.
#[derive(Debug)]
pub(crate) struct Unconnected(pub String);

impl fmt::Display for Unconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Unconnected {}

impl From<Unconnected> for ureq::Error {
    fn from(cause: Unconnected) -> ureq::Error {
        ureq::Error::Other(Box::new(cause))
    }
}

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
        Ok(Connection::of(stream, buffers))
    }

    fn of(stream: Arc<Stream>, buffers: LazyBuffers) -> Connection {
        Connection { stream, buffers, held: Vec::new(), read_timeout: None, write_timeout: None, answered: false }
    }

    /// Sends what is held. `begin` is when the timeout began.
    fn flush(&mut self, timeout: NextTimeout, begin: Instant) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let limit = nonzero(&timeout)?;
        let socket = &self.stream.0;
        let mut rest = self.held.as_slice();
        while !rest.is_empty() {
            let left = time_left(limit, begin, timeout.reason)?;
            set_timeout(&mut self.write_timeout, left, |left| socket.set_write_timeout(left))?;
            // A peer that is gone is an error, not a signal.
            match socket.send_with_flags(rest, libc::MSG_NOSIGNAL) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) if is_to_be_tried_again(&error) => {}
                Err(error) => return Err(error.into()),
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
        if self.held.len() < MAX_HELD { Ok(()) } else { self.flush(timeout, Instant::now()) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let begin = Instant::now();
        self.flush(timeout, begin)?;
        let timeout = timeout.for_read();
        let limit = nonzero(&timeout)?;
        // It takes some milliseconds at most; but where only as many are left, the answer comes first.
        if limit.is_none_or(|limit| limit >= TICK) {
            do_pending();
        }
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
                Err(error) if is_to_be_tried_again(&error) => {}
                Err(error) => return Err(error.into()),
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

/// Whether only a signal came, or the end of the socket's timeout, which may be shorter than the time that is left.
fn is_to_be_tried_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::meanwhile::{Meanwhile, during};

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection, and its peer.
    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Connection::of(Arc::new(Stream(OwnedFd::from(ours).into())), LazyBuffers::new(1024, 1024)), theirs)
    }

    fn within(limit: Duration) -> NextTimeout {
        NextTimeout { after: limit.into(), reason: Timeout::Global, ..NextTimeout::default() }
    }

    fn write(connection: &mut Connection, bytes: &[u8], limit: Duration) {
        connection.buffers().output().get_mut(..bytes.len()).unwrap().copy_from_slice(bytes);
        connection.transmit_output(bytes.len(), within(limit)).unwrap();
    }

    #[test]
    fn what_is_written_goes_out_at_once_before_an_answer_is_awaited() {
        let (mut connection, mut peer) = pair();
        write(&mut connection, b"head ", 60 * SECOND);
        write(&mut connection, b"body", 60 * SECOND);
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "held");
        peer.write_all(b"answer").unwrap();
        assert!(connection.await_input(within(60 * SECOND)).unwrap());
        assert_eq!(connection.buffers().input(), b"answer");
        let mut received = [0; 20];
        assert_eq!(peer.read(&mut received).unwrap(), 9, "in one piece");
        assert!(connection.is_open(), "as behind any answer");
        assert!(connection.is_open(), "and silent");
        peer.write_all(b"?").unwrap();
        assert!(!connection.is_open(), "nobody asked");
        drop(peer);
        assert!(!connection.is_open());
    }

    #[test]
    fn what_can_be_done_meanwhile_is_left_where_time_is_short() {
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        let work = Meanwhile::new(move || flag.store(true, Ordering::Relaxed));
        for (limit, is_done) in [(TICK / 2, false), (60 * SECOND, true)] {
            let (mut connection, mut peer) = pair();
            peer.write_all(b"answer").unwrap();
            assert!(during(Some(&work), || connection.await_input(within(limit))).unwrap());
            assert_eq!(done.load(Ordering::Relaxed), is_done, "{limit:?}");
        }
    }

    #[test]
    fn an_answer_is_awaited_for_the_whole_time_and_no_longer() {
        let (mut connection, _peer) = pair();
        let (limit, begin) = (SECOND * 13 / 10, Instant::now());
        let error = connection.await_input(within(limit)).unwrap_err();
        assert!(matches!(error, ureq::Error::Timeout(Timeout::Global)), "{error}");
        assert!((limit..limit + 20 * SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    }

    #[test]
    fn to_send_and_to_wait_have_one_time_together() {
        let (mut connection, mut peer) = pair();
        // More than the system takes before somebody reads.
        connection.held = vec![0; 4 * 1024 * 1024];
        let reader = thread::spawn(move || {
            thread::sleep(3 * SECOND);
            let mut all = vec![0; 4 * 1024 * 1024];
            peer.read_exact(&mut all).map(|()| peer)
        });
        let begin = Instant::now();
        assert!(matches!(connection.await_input(within(4 * SECOND)), Err(ureq::Error::Timeout(Timeout::Global))));
        assert!(begin.elapsed() < 6 * SECOND, "{:?}", begin.elapsed());
        connection.stream.shutdown();
        let _ = reader.join().unwrap();
    }

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
