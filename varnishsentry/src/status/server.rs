// SPDX-License-Identifier: BSD-2-Clause
//! The least of HTTP that tells how the daemon is: at a unix socket, and at a loopback port if the operator wants one.
//!
//! A thread for each takes one client after the other. A client has a bounded time and may send a bounded head; whoever dawdles keeps nobody
//! waiting but others who look.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::metrics::metrics;
use super::snapshot::Snapshot;
use super::watched::{Watched, Workers};
use crate::config::load::Status;
use crate::stream::Stream;

/// For a whole exchange.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request's head.
const MAX_HEAD: usize = 4096;
/// Who may look: user and group.
const MODE: u32 = 0o660;

/// A place where it listens, not yet served.
pub enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

/// Binds what the operator wants; `Err` names the place that cannot be had.
pub fn bind(status: &Status) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    if let Some(path) = &status.socket {
        let listener = bind_unix(path).map_err(|error| format!("status.socket {}: {error}", path.display()))?;
        listeners.push(Listener::Unix(listener, path.clone()));
    }
    if let Some(address) = status.listen {
        let listener = TcpListener::bind(address).map_err(|error| format!("status.listen {address}: {error}"))?;
        listeners.push(Listener::Tcp(listener));
    }
    Ok(listeners)
}

/// A socket that nobody serves any more is taken over, one that somebody serves is not, and what is no socket is left alone.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Ok(about) = fs::symlink_metadata(path) {
        if !about.file_type().is_socket() {
            return Err(io::Error::other("there is something that is no socket"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::other("another varnishsentry serves it"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

/// What is served, until it is dropped.
pub struct Server {
    is_over: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, Place)>,
}

enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Server {
    /// Serves at these places.
    pub fn start(listeners: Vec<Listener>, workers: &Arc<Workers>) -> io::Result<Server> {
        let mut server = Server { is_over: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        for listener in listeners {
            let (workers, is_over) = (Arc::clone(workers), Arc::clone(&server.is_over));
            let builder = thread::Builder::new().name("vs-status".to_owned());
            let (thread, place) = match listener {
                Listener::Unix(listener, path) => {
                    let accept = move || listener.accept().map(|(stream, _)| stream);
                    (builder.spawn(move || serve(accept, &workers, &is_over))?, Place::Unix(path))
                }
                Listener::Tcp(listener) => {
                    let place = Place::Tcp(listener.local_addr()?);
                    let accept = move || listener.accept().map(|(stream, _)| stream);
                    (builder.spawn(move || serve(accept, &workers, &is_over))?, place)
                }
            };
            server.threads.push((thread, place));
        }
        Ok(server)
    }

    /// Where it listens by TCP: the port may have been left to the system.
    pub fn address(&self) -> Option<SocketAddr> {
        self.threads.iter().find_map(|(_, place)| match place {
            Place::Tcp(address) => Some(*address),
            Place::Unix(_) => None,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        for (thread, place) in self.threads.drain(..) {
            // Whoever waits for a client gets one.
            let is_woken = match &place {
                Place::Unix(path) => UnixStream::connect(path).is_ok(),
                Place::Tcp(address) => TcpStream::connect_timeout(address, PATIENCE).is_ok(),
            };
            if is_woken {
                let _ = thread.join();
            }
            if let Place::Unix(path) = place {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn serve<S: Stream>(accept: impl Fn() -> io::Result<S>, workers: &Workers, is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        match accept() {
            // Whoever goes away is not told why.
            Ok(mut stream) if !is_over.load(Ordering::SeqCst) => drop(answer(&mut stream, workers)),
            Ok(_) => {}
            // No descriptors, most likely: not again at once.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

pub fn answer<S: Stream>(stream: &mut S, workers: &Workers) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut piece = [0; 512];
    // What was looked at before needs no second look, but for where an end may have begun.
    let mut seen = 0_usize;
    while !is_whole(head.get(seen.saturating_sub(3)..).unwrap_or_default()) {
        seen = head.len();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > MAX_HEAD {
            return Ok(());
        }
        stream.bound(left)?;
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            len => head.extend_from_slice(piece.get(..len).unwrap_or_default()),
        }
    }
    stream.bound(PATIENCE)?;
    let Page { status, kind, body } = page(&head, workers);
    let is_head = head.starts_with(b"HEAD ");
    let answer_head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(answer_head.as_bytes())?;
    if !is_head {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}

fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|at| at == b"\r\n\r\n") || head.windows(2).any(|at| at == b"\n\n")
}

struct Page {
    status: &'static str,
    kind: &'static str,
    body: String,
}

const TEXT: &str = "text/plain; charset=utf-8";

fn page(head: &[u8], workers: &Workers) -> Page {
    let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let plain = |status, body: String| Page { status, kind: TEXT, body };
    if method != b"GET" && method != b"HEAD" {
        return plain("405 Method Not Allowed", "only GET and HEAD\n".to_owned());
    }
    let now = Instant::now();
    let all = |obstacles: Vec<String>| match obstacles.is_empty() {
        true => plain("200 OK", "ok\n".to_owned()),
        false => plain("503 Service Unavailable", obstacles.concat()),
    };
    match target.split(|byte| *byte == b'?').next().unwrap_or_default() {
        b"/healthz" => {
            let stuck = workers.all().into_iter().filter(|worker| !worker.is_alive(now));
            all(stuck.map(|worker| format!("worker {}: the reader is stuck\n", worker.name())).collect())
        }
        b"/readyz" => {
            let told = |worker: &Watched| Some(format!("worker {}: {}\n", worker.name(), worker.obstacle(now)?));
            all(workers.all().iter().filter_map(told).collect())
        }
        b"/metrics" => Page {
            status: "200 OK",
            kind: "text/plain; version=0.0.4; charset=utf-8",
            body: metrics(&Snapshot::of(workers, now)),
        },
        b"/status" => {
            let body = serde_json::to_string(&Snapshot::of(workers, now)).unwrap_or_default();
            Page { status: "200 OK", kind: "application/json", body }
        }
        _ => plain("404 Not Found", "there are /healthz, /readyz, /metrics and /status\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::SystemTime;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vs-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn workers() -> Arc<Workers> {
        Arc::new(Workers::new(SystemTime::now()))
    }

    fn ask(mut stream: impl Read + Write, request: &str) -> String {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn each_page_is_at_both_places_and_others_are_not() {
        let folder = folder("pages");
        let socket = folder.join("s");
        let status = Status { socket: Some(socket.clone()), listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))) };
        let server = Server::start(bind(&status).unwrap(), &workers()).unwrap();
        let address = server.address().unwrap();
        for (request, begin, end) in [
            (
                "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n",
                "\r\n\r\nok\n",
            ),
            ("GET /readyz?x HTTP/1.0\n\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nok\n"),
            (
                "GET /metrics HTTP/1.1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                "\n",
            ),
            (
                "GET /status HTTP/1.1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
                "\"workers\":[]}",
            ),
            ("HEAD /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\nConnection: close\r\n\r\n"),
            ("POST /status HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "only GET and HEAD\n"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "and /status\n"),
            ("\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "only GET and HEAD\n"),
        ] {
            for answer in [
                ask(UnixStream::connect(&socket).unwrap(), request),
                ask(TcpStream::connect(address).unwrap(), request),
            ] {
                assert!(answer.starts_with(begin) && answer.ends_with(end), "{answer} to {request}");
            }
        }
        drop(server);
        assert!(!socket.exists() && TcpStream::connect(address).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    /// Says this, one byte at a time.
    struct Slow(&'static [u8], Vec<u8>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let end = buffer.len().min(1);
            self.0.read(&mut buffer[..end])
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Slow {
        fn bound(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_head_ends_where_it_ends_however_slowly_it_comes() {
        for head in [&b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nmore"[..], b"GET /healthz\n\nmore"] {
            let mut slow = Slow(head, Vec::new());
            answer(&mut slow, &workers()).unwrap();
            assert_eq!(slow.0, b"more");
            assert!(slow.1.starts_with(b"HTTP/1.1 200 OK"));
        }
    }

    #[test]
    fn a_head_without_end_and_one_that_breaks_off_are_given_up() {
        let status = Status { socket: None, listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))) };
        let server = Server::start(bind(&status).unwrap(), &workers()).unwrap();
        let address = server.address().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut long = TcpStream::connect(address).unwrap();
        // Whether all of it can be written is up to the one who closes.
        let _ = long.write_all(&vec![b'x'; 100_000]);
        let answer = ask(TcpStream::connect(address).unwrap(), "GET /healthz HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    #[test]
    fn a_socket_is_taken_over_only_from_nobody() {
        let folder = folder("socket");
        let socket = folder.join("s");
        let status = Status { socket: Some(socket.clone()), listen: None };
        drop(UnixListener::bind(&socket).unwrap());
        let server = Server::start(bind(&status).unwrap(), &workers()).unwrap();
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, MODE);
        let told = format!("status.socket {}: another varnishsentry serves it", socket.display());
        assert_eq!(bind(&status).err(), Some(told));
        drop(server);
        fs::write(&socket, "text").unwrap();
        let told = format!("status.socket {}: there is something that is no socket", socket.display());
        assert_eq!(bind(&status).err(), Some(told));
        let missing = Status { socket: Some(folder.join("none/s")), listen: None };
        assert!(bind(&missing).err().unwrap().ends_with("No such file or directory (os error 2)"));
        fs::remove_dir_all(folder).unwrap();
    }
}
