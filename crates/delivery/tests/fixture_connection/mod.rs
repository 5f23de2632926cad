// SPDX-License-Identifier: BSD-2-Clause
//! Transports on real sockets, and a server that writes whatever bytes a test wants.
#![allow(dead_code)] // Each test binary uses its own part.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use delivery::clock::Clock;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Answer, Body, Failure, Target};
use delivery::connection::resolver::LookUp;
use delivery::connection::transport::{Connector, Posted, Transport};
use delivery::connection::way::Way;

use super::receiver::PATIENCE;

/// What a loaded machine may add to a wait.
pub const SLACK: Duration = Duration::from_secs(20);

/// The time as it is.
pub struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Nothing in these tests asks for a real name.
pub fn no_look_up() -> LookUp {
    Arc::new(|host, _| Err(io::Error::other(format!("looked up {host}"))))
}

/// A look-up that finds `addresses` for any name.
pub fn look_up(addresses: &[SocketAddr]) -> LookUp {
    let addresses = addresses.to_vec();
    Arc::new(move |_, _| Ok(addresses.clone()))
}

/// Options patient enough for a loaded machine.
pub fn options() -> HttpOptions {
    HttpOptions {
        connect_timeout: PATIENCE,
        timeout: PATIENCE,
        way: Way::default(),
        look_up: no_look_up(),
        clock: Arc::new(RealClock),
    }
}

pub fn connector() -> HttpConnector {
    HttpConnector::new(options())
}

pub fn target(url: &str) -> Target {
    Target { url: url.to_owned(), auth: auth() }
}

/// Where a server of this machine takes envelopes.
pub fn target_at(address: SocketAddr) -> Target {
    target(&format!("http://{address}/api/42/envelope/"))
}

pub fn auth() -> String {
    let (key, secret) = (super::receiver::KEY, super::receiver::SECRET);
    format!("Sentry sentry_version=7, sentry_client=t/1, sentry_key={key}, sentry_secret={secret}")
}

/// An envelope of that many bytes, more or less.
pub fn body(size: usize) -> Body {
    Body {
        bytes: format!("{{\"event_id\":\"{}\"}}\n", "x".repeat(size)).into_bytes(),
        encoding: None,
        ..Body::default()
    }
}

pub fn post(transport: &mut dyn Transport, target: &Target) -> Posted {
    transport.post(target, &body(10), PATIENCE)
}

/// The status.
pub fn status(transport: &mut dyn Transport, target: &Target) -> Result<u16, Failure> {
    post(transport, target).result.map(|answer| answer.status)
}

/// What a fresh transport is answered.
pub fn answer(target: &Target) -> Answer {
    post(&mut *connector().transport(), target).result.expect("an answer")
}

/// Why a fresh transport of `connector` was not answered, and that it was not.
pub fn failure(connector: &dyn Connector, target: &Target) -> Failure {
    post(&mut *connector.transport(), target).result.expect_err("no answer")
}

/// The text of a failure after which the server has not seen the request.
pub fn unreached(failure: Failure) -> String {
    match failure {
        Failure::Unreached(text) => text,
        Failure::Broken(text) => panic!("may have been seen: {text}"),
    }
}

/// Does what a test says with each connection.
pub struct RawServer {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    /// Bytes that were written for a connection when it ended.
    pub written: mpsc::Receiver<usize>,
}

/// A connection of a [`RawServer`].
pub struct Raw {
    stream: BufReader<TcpStream>,
    written: usize,
    over: Arc<AtomicBool>,
}

impl RawServer {
    pub fn new(serve: impl Fn(&mut Raw) -> io::Result<()> + Send + Sync + 'static) -> RawServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (sender, written) = mpsc::channel();
        let (count, ended, serve) = (connections.clone(), over.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let (serve, sender, over) = (serve.clone(), sender.clone(), ended.clone());
                thread::spawn(move || {
                    let mut raw = Raw { stream: BufReader::new(stream), written: 0, over };
                    let _ = serve(&mut raw);
                    let _ = sender.send(raw.written);
                });
            }
        });
        RawServer { address, connections, over, written }
    }

    pub fn target(&self) -> Target {
        target_at(self.address)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

impl Raw {
    /// Reads one request whose length is given; an error at the end of the connection.
    pub fn request(&mut self) -> io::Result<Vec<u8>> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())?;
        self.written += text.len();
        Ok(())
    }

    /// Says it until nobody listens any more.
    pub fn say_without_end(&mut self, text: &str) -> io::Result<()> {
        while !self.over.load(Ordering::SeqCst) {
            self.say(text)?;
        }
        Ok(())
    }

    /// Keeps the connection open until the other side closes it.
    pub fn stall(&mut self) -> io::Result<()> {
        while self.stream.read(&mut [0; 4096])? > 0 {}
        Ok(())
    }
}

/// An address that neither accepts nor refuses; it stays so as long as the sockets are kept.
pub fn silent_address() -> (SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut kept = vec![listener];
    // Linux takes one more than asked for, and lets the rest knock.
    for _ in 0..8 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        kept.push(socket);
    }
    (address.as_socket().unwrap(), kept)
}
