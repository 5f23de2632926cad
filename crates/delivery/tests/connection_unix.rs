// SPDX-License-Identifier: BSD-2-Clause
//! A server at a unix socket: posts, trouble and aborts as on TCP.

mod authority;
mod fixture_connection;
mod receiver;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use authority::Authority;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Failure, Target};
use delivery::connection::transport::{Connector, Transport};
use delivery::connection::way::{Roots, Way};
use fixture_connection::{SLACK, body, options, post, status, target, unreached};
use receiver::{Act, Receiver};
use socket2::{Domain, SockAddr, Socket, Type};

/// A folder for a socket, gone with the test.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("unix-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Place(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("relay.sock")
    }

    fn receiver(&self, acts: impl IntoIterator<Item = Act>) -> Receiver {
        Receiver::at(&self.socket(), acts, Arc::new(Ok))
    }

    /// Nothing may be looked up.
    fn options(&self) -> HttpOptions {
        HttpOptions { way: Way { unix_socket: Some(self.socket()), ..Way::default() }, ..options() }
    }

    fn transport(&self) -> Box<dyn Transport> {
        HttpConnector::new(self.options()).transport()
    }

    /// A listener at which one waits to be accepted, and more have no room.
    fn full(&self) -> [Socket; 2] {
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(self.socket()).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let waiting = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        waiting.connect(&SockAddr::unix(self.socket()).unwrap()).unwrap();
        [listener, waiting]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sentry(scheme: &str) -> Target {
    target(&format!("{scheme}://sentry.example:8000/prefix/api/42/envelope/"))
}

#[test]
fn posts_arrive_on_one_kept_connection_with_the_host_of_the_dsn() {
    let place = Place::new("kept");
    let server = place.receiver([]);
    let mut transport = place.transport();
    for _ in 0..20 {
        assert_eq!(status(&mut *transport, &sentry("http")), Ok(200));
    }
    let requests = server.rest();
    assert_eq!((requests.len(), server.connections()), (20, 1));
    let first = requests.first().unwrap();
    assert_eq!(first.line, "POST /prefix/api/42/envelope/ HTTP/1.1");
    assert_eq!(first.headers.get("host").map(String::as_str), Some("sentry.example:8000"));
}

#[test]
fn tls_goes_over_the_socket_and_is_verified_for_the_host_of_the_dsn() {
    for (name, good) in [("sentry.example", true), ("elsewhere.example", false)] {
        let place = Place::new(name);
        let authority = Authority::new(&format!("unix-{name}"));
        let server = Receiver::at(&place.socket(), [], authority.wrap(name));
        let mut options = place.options();
        options.way.roots = Roots::File(authority.file.clone());
        let tried = status(&mut *HttpConnector::new(options).transport(), &sentry("https"));
        if good {
            assert_eq!(tried, Ok(200));
        } else {
            let text = "the server's certificate is not for sentry.example, it is for elsewhere.example";
            assert_eq!(unreached(tried.unwrap_err()), text);
        }
        assert_eq!(server.rest().len(), usize::from(good));
    }
}

#[test]
fn a_socket_that_is_absent_or_that_nobody_listens_at_is_named_and_found_when_it_is_there() {
    let place = Place::new("absent");
    let path = place.socket();
    let mut transport = place.transport();
    let mut tried = || status(&mut *transport, &sentry("http")).map_err(unreached);
    assert_eq!(tried(), Err(format!("unix_socket {}: No such file or directory (os error 2)", path.display())));
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(tried(), Err(format!("unix_socket {}: Connection refused (os error 111)", path.display())));
    fs::remove_file(&path).unwrap();
    let server = place.receiver([]);
    assert_eq!((tried(), server.rest().len()), (Ok(200), 1));
}

#[test]
fn a_server_that_does_not_accept_is_given_up_at_the_connect_timeout() {
    let place = Place::new("backlog");
    let _full = place.full();
    let limit = Duration::from_millis(300);
    let mut transport = HttpConnector::new(HttpOptions { connect_timeout: limit, ..place.options() }).transport();
    let begin = Instant::now();
    let error = unreached(status(&mut *transport, &sentry("http")).unwrap_err());
    assert_eq!(error, format!("unix_socket {}: nobody accepts", place.socket().display()));
    assert!((limit..limit + SLACK).contains(&begin.elapsed()));
}

#[test]
fn an_abort_ends_connecting_and_waiting() {
    let place = Place::new("abort");
    let full = place.full();
    let mut transport = place.transport();
    let abort = transport.aborter();
    let begin = Instant::now();
    let aborted = thread::scope(|scope| {
        let posting = scope.spawn(|| post(&mut *transport, &sentry("http")).result);
        thread::sleep(Duration::from_millis(150));
        abort.abort();
        posting.join().unwrap()
    });
    assert_eq!(aborted, Err(Failure::Unreached("aborted".to_owned())));
    drop(full);
    fs::remove_file(place.socket()).unwrap();
    let server = place.receiver([Act::Silence]);
    let (aborted, _) = thread::scope(|scope| {
        let posting = scope.spawn(|| post(&mut *transport, &sentry("http")).result);
        let request = server.next();
        abort.abort();
        (posting.join().unwrap(), request)
    });
    assert_eq!(aborted, Err(Failure::Broken("aborted".to_owned())));
    assert!(begin.elapsed() < SLACK);
    assert_eq!(status(&mut *transport, &sentry("http")), Ok(200));
}

#[test]
fn an_answer_that_does_not_come_ends_at_the_timeout() {
    let place = Place::new("silent");
    let _server = place.receiver([]).then_always(Act::Silence);
    let posted = place.transport().post(&sentry("http"), &body(10), Duration::from_millis(300));
    assert_eq!(posted.result, Err(Failure::Broken("timeout: global".to_owned())));
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_nothing() {
    let place = Place::new("closed");
    let server = place.receiver([Act::AnswerAndClose(200), Act::AnswerAndClose(200)]);
    let mut transport = place.transport();
    for _ in 0..3 {
        assert_eq!(status(&mut *transport, &sentry("http")), Ok(200));
    }
    assert_eq!(server.connections(), 3);
}
