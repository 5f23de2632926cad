// SPDX-License-Identifier: BSD-2-Clause
//! A connection to the first address of a name that takes one.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockAddr;
use ureq::Timeout;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Either, Transport};

use super::attempt::connect;
use super::socket::{SocketTransport, nonzero};
use super::under_way::UnderWay;

/// For an address, however little time there is.
const LEAST: Duration = Duration::from_millis(10);

/// Connects to the addresses that the name has, one after the other. A transport that is there already, as one
/// through a proxy, stays as it is.
#[derive(Debug)]
pub(crate) struct TcpConnector(pub Arc<UnderWay>);

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, SocketTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        if let Some(chained) = chained {
            return Ok(Some(Either::A(chained)));
        }
        let limit = nonzero(&details.timeout)?;
        let connect = |address, limit| connect(&SockAddr::from(address), limit, &self.0);
        let socket = connect_any(&details.addrs, limit, connect).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => ureq::Error::Timeout(Timeout::Connect),
            _ => error.into(),
        })?;
        socket.set_tcp_nodelay(true)?;
        Ok(Some(Either::B(SocketTransport::new(socket, self.0.clone(), details))))
    }
}

/// The first that connects. Each address but the last gets half of the time that is left, so that one that swallows
/// packets leaves some to the others. The error is the last one.
fn connect_any<T>(
    addresses: &[SocketAddr],
    limit: Option<Duration>,
    mut connect: impl FnMut(SocketAddr, Option<Duration>) -> io::Result<T>,
) -> io::Result<T> {
    let begin = Instant::now();
    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = limit.map(|limit| limit.saturating_sub(begin.elapsed()));
        if last.is_some() && left.is_some_and(|left| left.is_zero()) {
            break;
        }
        let share = if index + 1 < addresses.len() { 2 } else { 1 };
        match connect(*address, left.map(|left| (left / share).max(LEAST))) {
            Err(error) if is_of_the_address(&error) => last = Some(error),
            outcome => return outcome,
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::ConnectionRefused.into()))
}

/// Whether another address may fare better.
fn is_of_the_address(error: &io::Error) -> bool {
    use ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(error.kind(), AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut)
        // A machine without IPv6.
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    #[test]
    fn each_address_but_the_last_gets_half_of_the_time() {
        let mut shares = Vec::new();
        let refused = connect_any(&addresses(3), Some(SECOND * 8), |address, limit| {
            shares.push((address.port(), limit.unwrap().as_secs_f64().round()));
            Err::<(), _>(ErrorKind::ConnectionRefused.into())
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(shares, [(1, 4.0), (2, 4.0), (3, 8.0)]);
    }

    #[test]
    fn the_first_that_connects_is_taken_and_what_is_no_fault_of_the_address_ends_it() {
        let mut tried = Vec::new();
        let connected = connect_any(&addresses(3), None, |address, limit| {
            tried.push((address.port(), limit));
            match address.port() {
                1 => Err(ErrorKind::NetworkUnreachable.into()),
                2 => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
                port => Ok(port),
            }
        });
        assert_eq!((connected.unwrap(), tried), (3, vec![(1, None), (2, None), (3, None)]));
        let mut tries = 0;
        let denied = connect_any(&addresses(3), None, |_, _| {
            tries += 1;
            Err::<(), _>(ErrorKind::PermissionDenied.into())
        });
        assert_eq!((denied.unwrap_err().kind(), tries), (ErrorKind::PermissionDenied, 1));
    }

    #[test]
    fn without_time_one_address_is_tried_and_without_addresses_none() {
        let mut tries = 0;
        let silent = |_, limit: Option<Duration>| {
            tries += 1;
            assert_eq!(limit, Some(LEAST));
            Err::<(), _>(ErrorKind::TimedOut.into())
        };
        assert_eq!(connect_any(&addresses(3), Some(Duration::ZERO), silent).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(tries, 1);
        let none = connect_any(&[], None, |_, _| Ok(()));
        assert_eq!(none.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
