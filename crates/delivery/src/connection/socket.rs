// SPDX-License-Identifier: BSD-2-Clause
//! A connected socket, TCP or unix, at the end of ureq's chain of connectors, which asks little of the system.
//!
//! A request on a kept connection takes three calls: is it still open, send, receive. ureq's own needs twelve,
//! and sends head and body as two packets. What is written waits here for what comes next, until somebody wants an answer.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport};

use super::under_way::UnderWay;

/// What is held back at most before it is sent.
const MAX_HELD: usize = 32 * 1024;
/// What is received for one post at most. Of an answer less is read: this bounds what is around it, as chunks, trailers, TLS.
const MAX_RECEIVED: usize = 256 * 1024;
/// Socket timeouts longer than this are set to a multiple of it, so that the next request can have the same.
const TICK: Duration = Duration::from_millis(250);
/// The shortest timeout of a socket.
const LEAST: Duration = Duration::from_millis(1);

/// A connected socket and its buffers.
pub(crate) struct SocketTransport {
    socket: Arc<Socket>,
    under_way: Arc<UnderWay>,
    buffers: LazyBuffers,
    /// Written, but not yet sent.
    held: Vec<u8>,
    /// Why no more can be sent. An answer that has come before is read all the same: it may say why.
    unsent: Option<ErrorKind>,
    /// The timeouts that the socket has.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Nothing was written since the last input.
    answered: bool,
}

impl SocketTransport {
    /// Takes `socket`, which is connected and has no timeouts.
    pub fn new(socket: Arc<Socket>, under_way: Arc<UnderWay>, details: &ConnectionDetails) -> SocketTransport {
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        SocketTransport::of(socket, under_way, buffers)
    }

    fn of(socket: Arc<Socket>, under_way: Arc<UnderWay>, buffers: LazyBuffers) -> SocketTransport {
        SocketTransport {
            socket,
            under_way,
            buffers,
            held: Vec::new(),
            unsent: None,
            read_timeout: None,
            write_timeout: None,
            answered: false,
        }
    }

    /// Sends what is held. `begin` is when the timeout began.
    fn flush(&mut self, timeout: NextTimeout, begin: Instant) -> Result<(), ureq::Error> {
        let sent = match self.unsent {
            None => self.send(timeout, begin),
            Some(_) => Ok(()),
        };
        self.held.clear();
        match sent {
            Err(ureq::Error::Io(error)) if is_closed(&error) => self.unsent = Some(error.kind()),
            other => other?,
        }
        Ok(())
    }

    fn send(&mut self, timeout: NextTimeout, begin: Instant) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let limit = nonzero(&timeout)?;
        let socket = &self.socket;
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
        Ok(())
    }

    fn receive(&mut self) -> io::Result<usize> {
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidData, "what came makes no sense"));
        }
        let amount = (&*self.socket).read(room)?;
        self.answered = true;
        self.buffers.input_appended(amount);
        let received = self.under_way.note(|course| {
            course.received += amount;
            course.received
        });
        if received > MAX_RECEIVED {
            return Err(io::Error::new(ErrorKind::InvalidData, "an answer without end"));
        }
        Ok(amount)
    }
}

impl Transport for SocketTransport {
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
        if let Some(why) = self.unsent {
            // Nothing more will come than what is there.
            self.socket.set_nonblocking(true)?;
            return match self.receive() {
                Ok(amount) if amount > 0 => Ok(true),
                _ => Err(io::Error::from(why).into()),
            };
        }
        loop {
            let left = time_left(limit, begin, timeout.reason)?;
            let socket = &self.socket;
            set_timeout(&mut self.read_timeout, left, |left| socket.set_read_timeout(left))?;
            match self.receive() {
                Ok(amount) => return Ok(amount > 0),
                Err(error) if is_to_be_tried_again(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Open and silent: an idle server has nothing to say. Not looked at behind an answer, when ureq keeps the
    /// connection: it asks again before it uses it.
    fn is_open(&mut self) -> bool {
        if self.unsent.is_some() {
            return false;
        }
        if std::mem::take(&mut self.answered) {
            return true;
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.socket.recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT);
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransport").finish_non_exhaustive()
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

/// Whether the peer has closed the connection.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// Whether only a signal came, or the end of the socket's timeout, which may be shorter than the time that is left.
pub(crate) fn is_to_be_tried_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection, and its peer.
    fn pair() -> (SocketTransport, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = Arc::new(Socket::from(OwnedFd::from(ours)));
        (SocketTransport::of(socket, Arc::default(), LazyBuffers::new(1024, 1024)), theirs)
    }

    fn within(limit: Duration) -> NextTimeout {
        NextTimeout { after: limit.into(), reason: Timeout::Global, ..NextTimeout::default() }
    }

    fn write(connection: &mut SocketTransport, bytes: &[u8], limit: Duration) {
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
    fn an_answer_that_came_before_the_end_is_read_although_nothing_more_can_be_sent() {
        let (mut connection, mut peer) = pair();
        peer.write_all(&[b'x'; 1500]).unwrap();
        drop(peer);
        connection.held = vec![0; MAX_HELD - 1];
        write(&mut connection, b"x", 60 * SECOND);
        write(&mut connection, b"more", 60 * SECOND);
        for left in [1024, 476] {
            assert!(connection.await_input(within(60 * SECOND)).unwrap());
            assert_eq!(connection.buffers().input().len(), left);
            connection.buffers().input_consume(left);
        }
        assert!(!connection.is_open());
        match connection.await_input(within(60 * SECOND)) {
            Err(ureq::Error::Io(error)) => assert!(is_closed(&error), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_more_is_received_for_a_post_than_there_can_be() {
        let (mut connection, mut peer) = pair();
        let writer = thread::spawn(move || while peer.write_all(&[b'x'; 4096]).is_ok() {});
        let mut received = 0;
        while connection.await_input(within(60 * SECOND)).is_ok() {
            received += connection.buffers().input().len();
            let all = connection.buffers().input().len();
            connection.buffers().input_consume(all);
        }
        assert!((MAX_RECEIVED - 1024..=MAX_RECEIVED).contains(&received), "{received}");
        connection.under_way.begin();
        let all = connection.buffers().input().len();
        connection.buffers().input_consume(all);
        assert!(connection.await_input(within(60 * SECOND)).unwrap(), "each post has its own");
        drop(connection);
        writer.join().unwrap();
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
        connection.socket.shutdown(Shutdown::Both).unwrap();
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
