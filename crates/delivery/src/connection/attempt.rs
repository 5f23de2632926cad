// SPDX-License-Identifier: BSD-2-Clause
//! An attempt to connect, TCP or unix, that ends in time, and that another thread can end.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::socket::is_to_be_tried_again;
use super::under_way::UnderWay;

/// The shortest timeout of a socket.
const LEAST: Duration = Duration::from_millis(1);
/// How long connecting waits before it looks whether it was aborted: where a socket does not listen to its shutdown.
const SLICE: Duration = Duration::from_millis(50);

/// Connects to `address` within `limit`, unless the post under way is aborted.
pub(crate) fn connect(address: &SockAddr, limit: Option<Duration>, under_way: &UnderWay) -> io::Result<Arc<Socket>> {
    let begin = Instant::now();
    let aborted = || io::Error::from(ErrorKind::ConnectionAborted);
    let socket = Arc::new(Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?);
    under_way.hold(&socket).map_err(|_| aborted())?;
    loop {
        let left = limit.map_or(SLICE, |limit| limit.saturating_sub(begin.elapsed()));
        // On Linux this bounds connect(), which then goes on where it was. Zero would be no bound.
        socket.set_write_timeout(Some(left.clamp(LEAST, SLICE)))?;
        match socket.connect(address) {
            _ if under_way.is_aborted() => return Err(aborted()),
            Err(error) if is_pending(&error) && !left.is_zero() => {}
            Err(error) if is_pending(&error) => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    socket.set_write_timeout(None)?;
    Ok(socket)
}

/// Whether only a signal came, or the end of the socket's timeout: TCP has its own ways to say so.
fn is_pending(error: &io::Error) -> bool {
    is_to_be_tried_again(error) || matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EALREADY))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An address that neither accepts nor refuses, as long as the sockets are kept.
    fn silent_address() -> (SockAddr, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = vec![listener];
        for _ in 0..8 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            kept.push(socket);
        }
        (address, kept)
    }

    #[test]
    fn connecting_takes_its_time_and_no_longer() {
        let under_way = UnderWay::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = SockAddr::from(listener.local_addr().unwrap());
        let socket = connect(&address, Some(60 * SECOND), &under_way).unwrap();
        assert_eq!(socket.write_timeout().unwrap(), None);
        drop(listener);
        let refused = connect(&address, None, &under_way).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        let (silent, _kept) = silent_address();
        let (limit, begin) = (SLICE * 7 / 2, Instant::now());
        let error = connect(&silent, Some(limit), &under_way).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!((limit..limit + 20 * SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    }

    #[test]
    fn connecting_is_broken_off_by_an_abort() {
        let (silent, _kept) = silent_address();
        let under_way = UnderWay::default();
        under_way.begin();
        let begin = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(SLICE * 3);
                assert!(under_way.abort());
            });
            let error = connect(&silent, None, &under_way).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        });
        assert!(begin.elapsed() < 20 * SECOND, "{:?}", begin.elapsed());
    }
}
