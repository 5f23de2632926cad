// SPDX-License-Identifier: BSD-2-Clause
//! HTTP to a server, or a proxy in front of it, that listens at a unix socket on this machine.
//!
//! Stands in ureq's chain where a TCP connection would be made, with TLS after it if the DSN says https.
//! A peer that is gone must not raise SIGPIPE, which std prevents on TCP only: varnishd ignores that signal.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, ShutdownHandle, Transport,
};

use crate::owner::owner;

/// Whether a socket can have this path at all: the system bounds its length.
pub(crate) fn is_possible(path: &Path) -> bool {
    SockAddr::unix(path).is_ok()
}

/// What connects to the socket at `path`, and speaks TLS there if the URL wants it.
pub(crate) fn connector(path: PathBuf) -> impl Connector<(), Out: Transport> {
    UnixConnector(path).chain(RustlsConnector::default())
}

/// Why there is no connection. The server has not seen anything then.
#[derive(Debug)]
pub(crate) struct Unconnected(String);

impl fmt::Display for Unconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Unconnected {}

impl Unconnected {
    fn new(path: &Path, error: &io::Error) -> Unconnected {
        let path = path.display();
        Unconnected(match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("unix_socket {path}: nobody accepts"),
            ErrorKind::PermissionDenied => {
                format!("unix_socket {path}: {error}, it must be open for writing to {}", owner())
            }
            _ => format!("unix_socket {path}: {error}"),
        })
    }
}

/// Looks nothing up: the address is the socket's.
#[derive(Debug)]
pub(crate) struct NoLookUp;

impl Resolver for NoLookUp {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}

#[derive(Debug)]
struct UnixConnector(PathBuf);

impl Connector<()> for UnixConnector {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Connection>, ureq::Error> {
        let UnixConnector(path) = self;
        let timeout = nonzero(&details.timeout)?;
        let stream = connect(path, timeout).map_err(|error| Unconnected::new(path, &error));
        let stream = Arc::new(Stream(stream.map_err(|error| ureq::Error::Other(Box::new(error)))?));
        let handle: Weak<Stream> = Arc::downgrade(&stream);
        (details.register_shutdown)(handle)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Connection { stream, buffers }))
    }
}

/// Connects, waiting for at most `timeout` while more wait to be accepted than the server has room for.
fn connect(path: &Path, timeout: Option<Duration>) -> io::Result<UnixStream> {
    let begin = Instant::now();
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    loop {
        // On Linux this bounds connect(), too. Zero would be no bound.
        let left = timeout.map(|timeout| timeout.saturating_sub(begin.elapsed()).max(Duration::from_millis(1)));
        socket.set_write_timeout(left)?;
        match socket.connect(&address) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(()) => return Ok(UnixStream::from(OwnedFd::from(socket))),
            Err(error) => return Err(error),
        }
    }
}

/// The time there is for what comes next; `None` without a bound, an error if there is none left.
fn nonzero(timeout: &NextTimeout) -> Result<Option<Duration>, ureq::Error> {
    if timeout.after.is_zero() {
        return Err(ureq::Error::Timeout(timeout.reason));
    }
    Ok(timeout.not_zero().map(|left| *left))
}

/// A socket that another thread can shut down.
struct Stream(UnixStream);

impl ShutdownHandle for Stream {
    fn shutdown(&self) {
        // An error means that it is closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// As ureq's own of TCP.
struct Connection {
    stream: Arc<Stream>,
    buffers: LazyBuffers,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let mut stream = &self.stream.0;
        stream.set_write_timeout(nonzero(&timeout)?)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        stream.write_all(output).map_err(|error| timed_out(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let (limit, begin) = (nonzero(&timeout)?, Instant::now());
        let mut stream = &self.stream.0;
        loop {
            let left = limit.map(|limit| limit.saturating_sub(begin.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
            stream.set_read_timeout(left)?;
            match stream.read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error, timeout.reason)),
            }
        }
    }

    /// Open and silent: an idle server has nothing to say.
    fn is_open(&mut self) -> bool {
        let mut stream = &self.stream.0;
        if stream.set_nonblocking(true).is_err() {
            return false;
        }
        let is_silent = matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        is_silent && stream.set_nonblocking(false).is_ok()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
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
    fn what_keeps_from_connecting_is_said_with_the_socket_and_for_a_permission_the_user() {
        let path = Path::new("/run/relay.sock");
        let of = |kind: ErrorKind| Unconnected::new(path, &kind.into()).to_string();
        assert_eq!(of(ErrorKind::WouldBlock), "unix_socket /run/relay.sock: nobody accepts");
        assert_eq!(of(ErrorKind::NotFound), "unix_socket /run/relay.sock: entity not found");
        let denied =
            format!("unix_socket /run/relay.sock: permission denied, it must be open for writing to {}", owner());
        assert_eq!(of(ErrorKind::PermissionDenied), denied);
    }
}
