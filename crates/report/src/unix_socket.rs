// SPDX-License-Identifier: BSD-2-Clause
//! HTTP to a server, or a proxy in front of it, that listens at a unix socket on this machine.
//!
//! Stands in ureq's chain where a TCP connection would be made, with TLS after it if the DSN says https.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use event::lifecycle::owner::owner;
use socket2::{Domain, SockAddr, Socket, Type};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, RustlsConnector, Transport};

use crate::connection::{Connection, Unconnected, nonzero};

/// Whether a socket can have this path at all: the system bounds its length.
pub(crate) fn is_possible(path: &Path) -> bool {
    SockAddr::unix(path).is_ok()
}

/// What connects to the socket at `path`, and speaks TLS there if the URL wants it.
pub(crate) fn connector(path: PathBuf) -> impl Connector<(), Out: Transport> {
    UnixConnector(path).chain(RustlsConnector::default())
}

/// Why nobody was reached at the socket.
fn unconnected(path: &Path, error: &io::Error) -> Unconnected {
    let path = path.display();
    Unconnected(match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("unix_socket {path}: nobody accepts"),
        ErrorKind::PermissionDenied => {
            format!("unix_socket {path}: {error}, it must be open for writing to {}", owner())
        }
        _ => format!("unix_socket {path}: {error}"),
    })
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
        let socket = connect(path, timeout).map_err(|error| unconnected(path, &error))?;
        Ok(Some(Connection::new(socket, details)?))
    }
}

/// Connects, waiting for at most `timeout` while more wait to be accepted than the server has room for.
fn connect(path: &Path, timeout: Option<Duration>) -> io::Result<Socket> {
    let begin = Instant::now();
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    loop {
        // On Linux this bounds connect(), too. Zero would be no bound.
        let left = timeout.map(|timeout| timeout.saturating_sub(begin.elapsed()).max(Duration::from_millis(1)));
        socket.set_write_timeout(left)?;
        match socket.connect(&address) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(()) => return Ok(socket),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_from_connecting_is_said_with_the_socket_and_for_a_permission_the_user() {
        let path = Path::new("/run/relay.sock");
        let of = |kind: ErrorKind| unconnected(path, &kind.into()).to_string();
        assert_eq!(of(ErrorKind::WouldBlock), "unix_socket /run/relay.sock: nobody accepts");
        assert_eq!(of(ErrorKind::NotFound), "unix_socket /run/relay.sock: entity not found");
        let denied =
            format!("unix_socket /run/relay.sock: permission denied, it must be open for writing to {}", owner());
        assert_eq!(of(ErrorKind::PermissionDenied), denied);
    }
}
