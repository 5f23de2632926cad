// SPDX-License-Identifier: BSD-2-Clause
//! A server at a unix socket: delivery, trouble and end as on TCP.

mod authority;
mod fixture;
mod receiver;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authority::Authority;
use fixture::{Bench, Setup};
use receiver::{Act, PATIENCE, Receiver, eventually};
use report::stats::Counter;
use report::way::Roots;
use socket2::{Domain, SockAddr, Socket, Type};

/// What a loaded machine may add to a wait.
const SLACK: Duration = Duration::from_secs(10);

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

    /// A client of `scheme://sentry.example`, which listens here. Nothing may be looked up.
    fn setup(&self, scheme: &str) -> Setup {
        let mut setup = Setup::new(&format!("{scheme}://{}@sentry.example:8000/prefix/42", receiver::KEY));
        setup.settings.server.way.unix_socket = Some(self.socket());
        setup
    }

    /// The error of the first try.
    fn refusal(&self, bench: &Bench) -> String {
        bench.capture();
        eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
        eventually("the event is back in the queue", || bench.status()["queue"]["events"] == 1);
        assert_eq!(bench.dropped(), []);
        bench.assert_discreet();
        bench.status()["last_error"].as_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn events_arrive_on_one_kept_connection_with_the_host_of_the_dsn() {
    let place = Place::new("kept");
    let server = place.receiver([]);
    let bench = place.setup("http").start();
    for _ in 0..20 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
    let requests = server.rest();
    assert_eq!((requests.len(), server.connections()), (20, 1));
    let first = requests.first().unwrap();
    assert_eq!(first.line, "POST /prefix/api/42/envelope/ HTTP/1.1");
    assert_eq!(first.headers.get("host").map(String::as_str), Some("sentry.example:8000"));
    bench.assert_discreet();
}

#[test]
fn tls_goes_over_the_socket_and_is_verified_for_the_host_of_the_dsn() {
    for (name, sent) in [("sentry.example", 1), ("elsewhere.example", 0)] {
        let place = Place::new(name);
        let authority = Authority::new(&format!("unix-{name}"));
        let server = Receiver::at(&place.socket(), [], authority.wrap(name));
        let mut setup = place.setup("https");
        setup.settings.server.way.roots = Roots::File(authority.file.clone());
        let bench = setup.start();
        if sent == 0 {
            let error = place.refusal(&bench);
            assert!(error.starts_with("io: invalid peer certificate"), "{error}");
        } else {
            bench.capture();
            assert!(bench.client.flush(PATIENCE));
        }
        assert_eq!((bench.count(Counter::Sent), server.rest().len()), (sent, sent as usize));
    }
}

#[test]
fn a_socket_that_is_absent_or_that_nobody_listens_at_is_named_and_found_when_it_is_there() {
    let place = Place::new("absent");
    let bench = place.setup("http").start();
    let path = place.socket();
    let expected = format!("unix_socket {}: No such file or directory (os error 2)", path.display());
    assert_eq!(place.refusal(&bench), expected);

    drop(UnixListener::bind(&path).unwrap());
    bench.clock.turn(Duration::from_secs(61));
    bench.client.flush(Duration::from_millis(1));
    let refused = format!("unix_socket {}: Connection refused (os error 111)", path.display());
    eventually("it is refused", || bench.status()["last_error"] == *refused);

    fs::remove_file(&path).unwrap();
    let server = place.receiver([]);
    bench.clock.turn(Duration::from_secs(61));
    assert!(bench.client.flush(PATIENCE));
    assert_eq!((server.rest().len(), bench.count(Counter::Sent)), (1, 1));
}

#[test]
fn a_server_that_does_not_accept_is_given_up_at_the_connect_timeout() {
    let place = Place::new("backlog");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(place.socket()).unwrap()).unwrap();
    listener.listen(0).unwrap();
    // As many as the kernel holds for a backlog of none.
    let waiting = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    waiting.connect(&SockAddr::unix(place.socket()).unwrap()).unwrap();

    let mut setup = place.setup("http");
    (setup.settings.server.connect_timeout, setup.settings.server.timeout) =
        (Duration::from_secs_f64(0.3), Duration::from_secs_f64(300.0));
    let bench = setup.start();
    let begin = Instant::now();
    assert_eq!(place.refusal(&bench), format!("unix_socket {}: nobody accepts", place.socket().display()));
    assert!(begin.elapsed() < SLACK);
}

#[test]
fn an_answer_that_does_not_come_ends_at_the_timeout() {
    let place = Place::new("silent");
    let _server = place.receiver([]).then_always(Act::Silence);
    let mut setup = place.setup("http");
    setup.settings.server.timeout = Duration::from_secs_f64(0.3);
    let bench = setup.start();
    assert_eq!(place.refusal(&bench), "timeout: global");
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_no_event_and_no_pause() {
    let place = Place::new("closed");
    let server = place.receiver([Act::AnswerAndClose(200), Act::AnswerAndClose(200)]);
    let bench = place.setup("http").start();
    for sent in 1..=3 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
        assert_eq!(bench.count(Counter::Sent), sent);
    }
    assert_eq!((server.connections(), bench.count(Counter::Unanswered)), (3, 0));
}

#[test]
fn the_end_of_the_client_breaks_off_a_request_under_way() {
    let place = Place::new("end");
    let server = place.receiver([]).then_always(Act::Silence);
    let mut setup = place.setup("http");
    setup.settings.server.timeout = Duration::from_secs_f64(300.0);
    setup.settings.server.shutdown_timeout = Duration::from_secs_f64(0.2);
    let bench = setup.start();
    bench.capture();
    server.next();
    let Bench { client, clock, .. } = bench;
    let begin = Instant::now();
    drop(client);
    eventually("the sender ends", || Arc::strong_count(&clock) == 1);
    assert!(begin.elapsed() < SLACK);
}
