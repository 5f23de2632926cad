// SPDX-License-Identifier: BSD-2-Clause
//! Events over a real socket to a server that behaves, and to one that does not.

mod fixture;
mod receiver;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fixture::{Bench, Setup, look_up, no_look_up};
use receiver::{Act, PATIENCE, Receiver, eventually};
use report::client_report::Reason;
use report::clock::Clock;
use report::stats::Counter;
use report::transport::{Failure, HttpOptions, HttpTransport, Post, Transport};
use report::way::Way;
use socket2::{Domain, Socket, Type};

fn bench(server: &Receiver) -> Bench {
    Setup::new(&server.dsn()).start()
}

fn impatient(server: &Receiver) -> Bench {
    let mut setup = Setup::new(&server.dsn());
    setup.settings.server.timeout = Duration::from_secs_f64(1.5);
    setup.start()
}

#[test]
fn an_event_arrives_as_the_protocol_wants_it() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    let id = bench.capture();
    let request = server.next();
    assert!(bench.client.flush(PATIENCE));

    assert_eq!(request.line, "POST /api/42/envelope/ HTTP/1.1");
    let version = env!("CARGO_PKG_VERSION");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("content-type"), Some("application/x-sentry-envelope"));
    assert_eq!(header("user-agent"), Some(&*format!("sentry.varnish/{version}")));
    assert_eq!(header("content-length"), Some(&*request.body.len().to_string()));
    assert_eq!(header("host"), Some(&*server.address.to_string()));
    let (key, secret) = (receiver::KEY, receiver::SECRET);
    let auth = format!(
        "Sentry sentry_version=7, sentry_client=sentry.varnish/{version}, sentry_key={key}, sentry_secret={secret}"
    );
    assert_eq!(header("x-sentry-auth"), Some(&*auth));
    let mut names: Vec<_> = request.headers.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = ["accept", "content-length", "content-type", "host", "user-agent", "x-sentry-auth"];
    assert_eq!(names, expected);

    let (head, items) = request.envelope();
    assert_eq!(head["event_id"], *id);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].0["type"], "event");
    assert_eq!(items[0].1["event_id"], *id);
    assert_eq!(items[0].1["logentry"]["message"], "event 0");
    assert_eq!((bench.count(Counter::Captured), bench.count(Counter::Sent)), (1, 1));
    assert_eq!(bench.dropped(), []);
    bench.assert_discreet();
}

#[test]
fn a_large_event_travels_compressed() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    let record = bench.record_of_size(&"long ".repeat(1000));
    bench.client.enqueue(record, Instant::now()).unwrap();
    let request = server.next();
    assert_eq!(request.headers.get("content-encoding").map(String::as_str), Some("gzip"));
    assert!(request.body.len() < 1000);
    assert_eq!(request.envelope().1[0].1["logentry"]["message"].as_str().map(str::len), Some(5000));
}

#[test]
fn events_share_one_connection() {
    let server = Receiver::new([]);
    let bench = bench(&server);
    let ids: Vec<_> = (0..50)
        .map(|_| {
            let id = bench.capture();
            assert!(bench.client.flush(PATIENCE));
            id
        })
        .collect();
    let requests = server.rest();
    let arrived: Vec<_> = requests.iter().filter_map(|request| request.event_id()).collect();
    assert_eq!(arrived, ids);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_closes_idle_connections_costs_neither_event_nor_pause() {
    let server = Receiver::new([]).then_always(Act::AnswerAndClose(200));
    let bench = bench(&server);
    for _ in 0..20 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
    assert_eq!(bench.count(Counter::Sent), 20);
    assert_eq!(bench.count(Counter::Unanswered), 0);
    assert_eq!(server.rest().len(), 20);
}

#[test]
fn a_kept_connection_that_breaks_is_replaced_at_once() {
    let server = Receiver::new([Act::ok(), Act::HangUp]);
    let bench = bench(&server);
    for _ in 0..2 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Unanswered)), (2, 0));
    let ids: Vec<_> = server.rest().iter().filter_map(|request| request.event_id()).collect();
    assert_eq!((ids.len(), &ids[1], server.connections()), (3, &ids[2], 2));
}

#[test]
fn a_stall_ends_at_the_timeout_wherever_it_comes_and_the_event_is_tried_again() {
    let table = [Act::Silence, Act::Trickle(Duration::from_millis(10)), Act::Reset, Act::HangUp];
    for act in table {
        let server = Receiver::new([act.clone()]);
        let bench = impatient(&server);
        let begin = Instant::now();
        let id = bench.capture();
        eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
        assert!(begin.elapsed() < Duration::from_secs(20), "{act:?}");
        assert!(bench.client.flush(PATIENCE), "{act:?}");
        assert_eq!(server.rest().last().and_then(receiver::Request::event_id), Some(id), "{act:?}");
        // A loaded machine may run into the timeout once more.
        let again = bench.count(Counter::Unanswered);
        assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Retries)), (1, again), "{act:?}");
        assert_eq!(bench.dropped(), []);
        bench.assert_discreet();
    }
}

#[test]
fn a_body_that_never_comes_takes_nothing_from_the_status() {
    let server = Receiver::new([Act::StallInBody(200), Act::StallInBody(400)]);
    let bench = impatient(&server);
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    assert_eq!((bench.count(Counter::Answers2xx), bench.count(Counter::Answers4xx)), (1, 1));
    assert_eq!((bench.count(Counter::Sent), bench.dropped()), (1, vec![(Reason::SendError, 1)]));
}

#[test]
fn a_failed_event_comes_again_with_its_id_and_a_fresh_time() {
    let server = Receiver::new([Act::status(503)]);
    let bench = bench(&server);
    let id = bench.capture();
    let first = server.next();
    eventually("the answer is read", || bench.count(Counter::Answers5xx) == 1);
    bench.clock.turn(Duration::from_secs(100));
    assert!(bench.client.flush(PATIENCE));
    let second = server.next();
    assert_eq!([first.event_id(), second.event_id()], [Some(id.clone()), Some(id)]);
    assert_ne!(first.envelope().0["sent_at"], second.envelope().0["sent_at"]);
    assert_eq!(first.envelope().1[0].1["timestamp"], second.envelope().1[0].1["timestamp"]);
    let lines = bench.lines.all();
    assert!(lines[0].starts_with("sentry default: sending failed, http 503: {}, next try in "), "{lines:?}");
    assert_eq!(lines[1], "sentry default: server answers again, after 1 failed tries");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::new([]);
    let server = Receiver::new([Act::with_header(307, &format!("Location: http://{}/", elsewhere.address))]);
    let bench = bench(&server);
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    assert_eq!(bench.dropped(), [(Reason::SendError, 1)]);
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(bench.status()["last_error"], "http 307: {}");
}

#[test]
fn a_refusal_is_told_in_the_servers_words_on_one_line() {
    let server = Receiver::new([
        Act::with_header(403, "X-Sentry-Error: bad\tkey"),
        Act::Answer(400, Vec::new(), format!("line\none {}", "x".repeat(5000))),
        Act::Answer(401, Vec::new(), format!("no such key {}:{}", receiver::KEY, receiver::SECRET)),
    ]);
    let bench = bench(&server);
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    assert_eq!(bench.lines.all(), ["sentry default: event refused, http 403: bad key"]);
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    let error = bench.status()["last_error"].as_str().map(str::to_owned).unwrap();
    assert!(error.starts_with("http 400: line one xxx") && error.len() < 250, "{error}");
    bench.capture();
    assert!(!bench.client.flush(PATIENCE));
    assert_eq!(bench.status()["last_error"], "http 401: no such key [Filtered]:[Filtered]");
    bench.assert_discreet();
}

#[test]
fn an_endless_answer_costs_the_connection_and_nothing_else() {
    let server = Receiver::new([Act::Answer(200, Vec::new(), "x".repeat(1 << 20))]);
    let bench = bench(&server);
    for _ in 0..2 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
    assert_eq!((bench.count(Counter::Sent), server.connections()), (2, 2));
}

#[test]
fn every_address_of_a_name_is_tried() {
    let server = Receiver::new([]);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut setup = Setup::new("http://key@sentry.example/1");
    setup.look_up = look_up(&[closed, closed, server.address]);
    let bench = setup.start();
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(server.next().headers.get("host").map(String::as_str), Some("sentry.example"));
    assert_eq!(bench.count(Counter::Unanswered), 0);
}

/// An address that neither accepts nor refuses; it stays so as long as the sockets are kept.
fn silent_address() -> (SocketAddr, Vec<Socket>) {
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

#[test]
fn a_silent_address_takes_only_its_share_of_the_connect_timeout() {
    let server = Receiver::new([]);
    let (silent, _kept) = silent_address();
    let mut setup = Setup::new("http://key@sentry.example/1");
    setup.settings.server.connect_timeout = Duration::from_secs_f64(3.0);
    setup.look_up = look_up(&[silent, server.address]);
    let bench = setup.start();
    let begin = Instant::now();
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    assert!(begin.elapsed() >= Duration::from_secs(1), "the first address was tried");
    assert_eq!(bench.count(Counter::Unanswered), 0);
}

#[test]
fn a_connection_that_is_not_made_ends_at_the_connect_timeout() {
    let (silent, _kept) = silent_address();
    let mut setup = Setup::new(&format!("http://key@{silent}/1"));
    (setup.settings.server.connect_timeout, setup.settings.server.timeout) =
        (Duration::from_secs_f64(0.3), Duration::from_secs_f64(300.0));
    let bench = setup.start();
    let begin = Instant::now();
    bench.capture();
    eventually("the try ends", || bench.count(Counter::Unanswered) == 1);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(bench.status()["last_error"], "timeout: connect");
}

#[test]
fn a_look_up_that_hangs_delays_nothing_beyond_the_timeout_and_is_the_only_one() {
    let server = Receiver::new([]);
    let (hang, released) = mpsc::channel::<()>();
    let (asked, look_ups) = mpsc::channel();
    let released = std::sync::Mutex::new(released);
    let address = server.address;
    let mut setup = Setup::new("http://key@sentry.example/1");
    setup.settings.server.connect_timeout = Duration::from_secs_f64(0.2);
    setup.look_up = Arc::new(move |host, port| {
        asked.send((host.to_owned(), port, thread::current().name().map(str::to_owned))).unwrap();
        let _ = released.lock().unwrap().recv();
        Ok(vec![address])
    });
    let bench = setup.start();
    bench.capture();
    let begin = Instant::now();
    assert!(!bench.client.flush(Duration::from_millis(600)));
    assert!(begin.elapsed() < Duration::from_secs(20));
    eventually("two tries have failed", || bench.count(Counter::Unanswered) >= 2);
    let name = Some("vmod-sentry-dns".to_owned());
    assert_eq!(look_ups.try_iter().collect::<Vec<_>>(), [("sentry.example".to_owned(), 80, name)]);
    assert_eq!(bench.status()["last_error"], "timeout: resolve");
    hang.send(()).unwrap();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(server.rest().len(), 1);
    assert_eq!(bench.dropped(), []);
}

#[test]
fn a_name_that_does_not_exist_says_why() {
    let setup = Setup::new("http://key@sentry.example/1");
    let bench = setup.start();
    bench.capture();
    eventually("a try fails", || bench.count(Counter::Unanswered) == 1);
    assert_eq!(bench.status()["last_error"], "io: looked up sentry.example");
    assert_eq!(bench.status()["state"], "backoff");
}

/// A clock that panics while `broken`.
#[derive(Default)]
struct Fragile(AtomicBool);

impl Clock for Fragile {
    fn now(&self) -> Instant {
        assert!(!self.0.load(Ordering::SeqCst), "this panic is part of the test");
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

#[test]
fn after_a_panic_nothing_is_left_of_the_old_agent() {
    let server = Receiver::new([]);
    let clock = Arc::new(Fragile::default());
    let transport = HttpTransport::new(HttpOptions {
        connections: 4,
        connect_timeout: PATIENCE,
        timeout: PATIENCE,
        way: Way::default(),
        look_up: no_look_up(),
        clock: clock.clone(),
    });
    let url = format!("http://{}/", server.address);
    let post = Post { url: &url, auth: "Sentry", content_encoding: None, body: b"{}", meanwhile: None };
    let status = || transport.post(&post, PATIENCE).map(|answer| answer.status);
    assert_eq!((status(), status(), server.connections()), (Ok(200), Ok(200), 1));
    clock.0.store(true, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(status)).is_err());
    clock.0.store(false, Ordering::SeqCst);
    assert_eq!((status(), server.connections()), (Ok(200), 2));
    transport.abort();
    assert!(matches!(status(), Err(Failure::Unreached(_) | Failure::Broken(_))));
}

#[test]
fn no_proxy_is_taken_from_the_environment() {
    const INNER: &str = "DELIVERY_HTTP_INNER";
    if std::env::var_os(INNER).is_none() {
        // The variables must be there before the process reads them, and must not disturb other tests.
        let nobody = "http://127.0.0.1:9";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "no_proxy_is_taken_from_the_environment"])
            .env(INNER, "1")
            .envs(["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, nobody)))
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let server = Receiver::new([]);
    let bench = bench(&server);
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    assert!(server.next().line.starts_with("POST /api/"));
}
