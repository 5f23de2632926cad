// SPDX-License-Identifier: BSD-2-Clause
//! A server that does to each request what the test's script says, and hands the test what it read.
//!
//! One thread accepts, one serves each connection; they end when the [`Receiver`] is dropped.
#![allow(dead_code)] // Each test binary uses its own part.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far above anything a loaded machine needs; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// A whole answer: status, further header lines, body.
    Answer(u16, Vec<String>, String),
    /// As [`Act::Answer`], after which the connection is closed without having said so.
    AnswerAndClose(u16),
    /// The request is read, and answered with that status when the test says so, or is over.
    Hold(u16),
    /// The request is read, and nothing is ever said.
    Silence,
    /// Headers that promise a body which never comes.
    StallInBody(u16),
    /// An answer without end, one byte at a time.
    Trickle(Duration),
    /// The connection is reset before the request is read.
    Reset,
    /// The connection is closed after the request was read.
    HangUp,
}

impl Act {
    pub fn ok() -> Act {
        Act::status(200)
    }

    pub fn status(status: u16) -> Act {
        Act::Answer(status, Vec::new(), "{}".to_owned())
    }

    pub fn with_header(status: u16, line: &str) -> Act {
        Act::Answer(status, vec![line.to_owned()], "{}".to_owned())
    }
}

/// A request as it was read.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

/// An envelope item: header and payload.
pub type Item = (Value, Value);

impl Request {
    /// The envelope's header and items, taken apart by hand as the protocol's grammar says.
    pub fn envelope(&self) -> (Value, Vec<Item>) {
        let mut plain = Vec::new();
        match self.headers.get("content-encoding").map(String::as_str) {
            Some("gzip") => {
                flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut plain).expect("gzip");
            }
            Some(other) => panic!("content-encoding {other}"),
            None => plain.clone_from(&self.body),
        }
        let (head, mut rest) = line(&plain);
        let mut items = Vec::new();
        while !rest.is_empty() {
            let (item, after) = line(rest);
            let length = item["length"].as_u64().map(|length| usize::try_from(length).expect("length"));
            let length = length.unwrap_or_else(|| after.iter().position(|b| *b == b'\n').unwrap_or(after.len()));
            let (payload, after) = after.split_at(length);
            items.push((item, serde_json::from_slice(payload).expect("payload")));
            rest = after.strip_prefix(b"\n").unwrap_or(after);
        }
        (head, items)
    }

    /// The id of the event in it, if there is one.
    pub fn event_id(&self) -> Option<String> {
        self.envelope().0["event_id"].as_str().map(str::to_owned)
    }

    /// Quantities by reason, of the client report in it; empty if there is none.
    pub fn client_report(&self) -> HashMap<String, u64> {
        let (_, items) = self.envelope();
        let report = items.iter().find(|(head, _)| head["type"] == "client_report");
        let discarded = report.and_then(|(_, payload)| payload["discarded_events"].as_array().cloned());
        let entries = discarded.unwrap_or_default().into_iter().map(|entry| {
            assert_eq!(entry["category"], "error");
            let reason = entry["reason"].as_str().expect("reason").to_owned();
            (reason, entry["quantity"].as_u64().expect("quantity"))
        });
        entries.collect()
    }
}

fn line(bytes: &[u8]) -> (Value, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    (serde_json::from_slice(line).expect("header"), rest.get(1..).unwrap_or(&[]))
}

/// The requests under [`Act::Hold`].
#[derive(Default)]
struct Held {
    /// How many there were so far, and how many of them may go.
    arrived: usize,
    released: usize,
    now: usize,
    most: usize,
}

struct Script {
    held: Mutex<Held>,
    released: Condvar,
    acts: Mutex<VecDeque<Act>>,
    rest: Mutex<Act>,
    requests: Mutex<mpsc::Sender<Request>>,
    connections: AtomicUsize,
    /// Set when the receiver is dropped: stalled connections wait for it.
    over: Mutex<bool>,
    ended: Condvar,
}

impl Script {
    fn hold(&self) {
        let mut held = self.held.lock().unwrap();
        let number = held.arrived;
        held.arrived += 1;
        held.now += 1;
        held.most = held.most.max(held.now);
        let deadline = Instant::now() + PATIENCE;
        while number >= held.released && Instant::now() < deadline && !*self.over.lock().unwrap() {
            held = self.released.wait_timeout(held, Duration::from_millis(100)).unwrap().0;
        }
        held.now -= 1;
    }

    /// Waits for the end of the test, or for `time`; whether the test has ended.
    fn pause(&self, time: Duration) -> bool {
        let over = self.over.lock().unwrap();
        *self.ended.wait_timeout_while(over, time, |over| !*over).unwrap().0
    }
}

/// The server.
pub struct Receiver {
    /// Where it listens; nobody's if it does at a unix socket.
    pub address: SocketAddr,
    path: Option<PathBuf>,
    script: Arc<Script>,
    requests: mpsc::Receiver<Request>,
}

/// Turns an accepted connection into what is read and written: TLS, or as it is.
pub type Wrap = Arc<dyn Fn(Box<dyn Stream>) -> io::Result<Box<dyn Stream>> + Send + Sync>;

pub trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl Receiver {
    /// Serves `acts` in turn, one per request, then answers 200.
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Receiver {
        Receiver::wrapped(acts, Arc::new(Ok))
    }

    pub fn wrapped(acts: impl IntoIterator<Item = Act>, wrap: Wrap) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let streams = iter::repeat_with(move || listener.accept()).flatten();
        Receiver::start(address, None, acts, wrap, streams.map(|(stream, _)| Box::new(stream) as Box<dyn Stream>))
    }

    /// As [`Receiver::wrapped`], at a unix socket.
    pub fn at(path: &Path, acts: impl IntoIterator<Item = Act>, wrap: Wrap) -> Receiver {
        let listener = UnixListener::bind(path).expect("bind");
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let streams = iter::repeat_with(move || listener.accept()).flatten();
        let streams = streams.map(|(stream, _)| Box::new(stream) as Box<dyn Stream>);
        Receiver::start(nobody, Some(path.to_owned()), acts, wrap, streams)
    }

    fn start(
        address: SocketAddr,
        path: Option<PathBuf>,
        acts: impl IntoIterator<Item = Act>,
        wrap: Wrap,
        streams: impl Iterator<Item = Box<dyn Stream>> + Send + 'static,
    ) -> Receiver {
        let (sender, requests) = mpsc::channel();
        let script = Arc::new(Script {
            held: Mutex::default(),
            released: Condvar::new(),
            acts: Mutex::new(acts.into_iter().collect()),
            rest: Mutex::new(Act::ok()),
            requests: Mutex::new(sender),
            connections: AtomicUsize::new(0),
            over: Mutex::new(false),
            ended: Condvar::new(),
        });
        let shared = script.clone();
        thread::spawn(move || {
            for stream in streams {
                if *shared.over.lock().unwrap() {
                    return;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, wrap) = (shared.clone(), wrap.clone());
                thread::spawn(move || serve(&shared, stream, number, &wrap));
            }
        });
        Receiver { address, path, script, requests }
    }

    /// What happens to all requests when the script is over.
    pub fn then_always(self, act: Act) -> Receiver {
        *self.script.rest.lock().unwrap() = act;
        self
    }

    /// As [`Receiver::then_always`], while it runs.
    pub fn turn_to(&self, act: Act) {
        *self.script.rest.lock().unwrap() = act;
    }

    /// Adds to the script.
    pub fn push(&self, act: Act) {
        self.script.acts.lock().unwrap().push_back(act);
    }

    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.script.held.lock().unwrap().now
    }

    /// How many requests were held at a time, at most, since the last call.
    pub fn most_held(&self) -> usize {
        let mut held = self.script.held.lock().unwrap();
        let now = held.now;
        std::mem::replace(&mut held.most, now)
    }

    /// Has as many requests answered, those that came first.
    pub fn release(&self, number: usize) {
        self.script.held.lock().unwrap().released += number;
        self.script.released.notify_all();
    }

    /// The next request; fails the test if none comes.
    pub fn next(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).expect("a request")
    }

    /// What has been read and not been asked for yet.
    pub fn rest(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.script.connections.load(Ordering::SeqCst)
    }

    pub fn dsn(&self) -> String {
        format!("http://{KEY}:{SECRET}@{}/42", self.address)
    }
}

/// The key and the secret of every DSN in these tests; no log line and no status may hold them.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";
pub const SECRET: &str = "fedcba9876543210fedcba9876543210";

impl Drop for Receiver {
    fn drop(&mut self) {
        *self.script.over.lock().unwrap() = true;
        self.script.ended.notify_all();
        // The accepting thread looks at `over` when someone comes.
        match &self.path {
            Some(path) => drop(UnixStream::connect(path)),
            None => drop(TcpStream::connect(self.address)),
        }
    }
}

fn serve(script: &Script, stream: Box<dyn Stream>, number: usize, wrap: &Wrap) {
    let Ok(stream) = wrap(stream) else { return };
    let mut stream = BufReader::with_capacity(1, stream);
    loop {
        // The act is taken when a request begins, so that an idle connection uses none up.
        match stream.fill_buf() {
            Ok([]) | Err(_) => return,
            Ok(_) => {}
        }
        let scripted = script.acts.lock().unwrap().pop_front();
        let act = scripted.unwrap_or_else(|| script.rest.lock().unwrap().clone());
        if matches!(act, Act::Reset) {
            // Unread bytes make the kernel reset rather than close.
            return;
        }
        let Ok(request) = read_request(&mut stream, number) else { return };
        let _ = script.requests.lock().unwrap().send(request);
        if !play(script, stream.get_mut(), &act).unwrap_or(false) {
            return;
        }
    }
}

fn read_request(stream: &mut BufReader<Box<dyn Stream>>, connection: usize) -> io::Result<Request> {
    let mut head = String::new();
    stream.read_line(&mut head)?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Request { line: head.trim_end().to_owned(), headers, body, connection })
}

/// Does what the act says; whether the connection goes on.
fn play(script: &Script, stream: &mut impl Write, act: &Act) -> io::Result<bool> {
    match act {
        Act::Answer(status, lines, body) => {
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} Said\r\n{lines}Content-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes())?;
            stream.flush()?;
            Ok(true)
        }
        Act::AnswerAndClose(status) => {
            write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n")?;
            stream.flush()?;
            Ok(false)
        }
        Act::Hold(status) => {
            script.hold();
            play(script, stream, &Act::status(*status))
        }
        Act::Silence => {
            script.pause(PATIENCE);
            Ok(false)
        }
        Act::StallInBody(status) => {
            write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: 100\r\n\r\n{{")?;
            stream.flush()?;
            script.pause(PATIENCE);
            Ok(false)
        }
        Act::Trickle(pause) => {
            stream.write_all(b"HTTP/1.1 200 Said\r\nX-Slow: ")?;
            while !script.pause(*pause) {
                stream.write_all(b"x")?;
                stream.flush()?;
            }
            Ok(false)
        }
        Act::Reset | Act::HangUp => Ok(false),
    }
}

/// Waits until `claim` holds; fails the test if it never does.
pub fn eventually(what: &str, mut claim: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !claim() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
