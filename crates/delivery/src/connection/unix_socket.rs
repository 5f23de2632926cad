// SPDX-License-Identifier: BSD-2-Clause
//! HTTP to a server, or a proxy in front of it, that listens at a unix socket on this machine.
//!
//! Stands in ureq's chain where a TCP connection would be made, with TLS after it if the DSN says https.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::SockAddr;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};

use super::attempt::connect;
use super::socket::{SocketTransport, nonzero};
use super::under_way::UnderWay;
use crate::owner::owner;

/// Whether a socket can have this path at all: the system bounds its length.
pub(crate) fn is_possible(path: &Path) -> bool {
    SockAddr::unix(path).is_ok()
}

/// Why nobody was reached at the socket.
#[derive(Debug)]
struct Unconnected(String);

impl fmt::Display for Unconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unconnected {}

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

/// Connects to the socket at that path.
#[derive(Debug)]
pub(crate) struct UnixConnector(pub PathBuf, pub Arc<UnderWay>);

impl Connector<()> for UnixConnector {
    type Out = SocketTransport;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<SocketTransport>, ureq::Error> {
        let UnixConnector(path, under_way) = self;
        let limit = nonzero(&details.timeout)?;
        // While more wait to be accepted than the server has room for, this waits too.
        let socket = SockAddr::unix(path).and_then(|address| connect(&address, limit, under_way));
        let socket = socket.map_err(|error| ureq::Error::Other(Box::new(unconnected(path, &error))))?;
        Ok(Some(SocketTransport::new(socket, under_way.clone(), details)))
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
