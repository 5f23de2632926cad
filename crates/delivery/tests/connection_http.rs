// SPDX-License-Identifier: BSD-2-Clause
//! Posts over a real socket to a server that behaves, and to one that does not.

mod fixture_connection;
mod receiver;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use delivery::clock::Clock;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Body, Failure};
use delivery::connection::transport::Connector;
use fixture_connection::{
    RawServer, SLACK, answer, body, connector, failure, look_up, options, post, silent_address, status, target,
    target_at, unreached,
};
use protocol::request_headers::RequestHeaders;
use receiver::{Act, PATIENCE, Receiver};

#[test]
fn a_post_is_made_as_the_protocol_wants_it() {
    let server = Receiver::new([]);
    let mut transport = connector().transport();
    let packed = Body { bytes: vec![0x1f; 100], encoding: Some("gzip"), ..Body::default() };
    assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
    assert!(transport.post(&target_at(server.address), &packed, PATIENCE).result.is_ok());
    let request = server.next();
    assert_eq!(request.line, "POST /api/42/envelope/ HTTP/1.1");
    let version = env!("CARGO_PKG_VERSION");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("content-type"), Some("application/x-sentry-envelope"));
    assert_eq!(header("user-agent"), Some(&*format!("sentry.varnish/{version}")));
    assert_eq!(header("content-length"), Some(&*request.body.len().to_string()));
    assert_eq!(header("host"), Some(&*server.address.to_string()));
    assert_eq!(header("x-sentry-auth"), Some(&*fixture_connection::auth()));
    let mut names: Vec<_> = request.headers.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "content-type", "host", "user-agent", "x-sentry-auth"]);
    assert_eq!(request.body, body(10).bytes);
    let request = server.next();
    assert_eq!(
        (request.headers.get("content-encoding").map(String::as_str), request.body),
        (Some("gzip"), packed.bytes)
    );
}

#[test]
fn the_lines_of_whom_it_is_sent_for_go_with_it_and_with_no_other() {
    let server = Receiver::new([]);
    let mut transport = connector().transport();
    let lines = "X-Sentry-Forwarded-For: 192.0.2.7\nOrigin: https://shop.example\nUser-Agent: Browser/1 (a; b)\n";
    let headers = RequestHeaders::from_text(lines).unwrap();
    assert!(transport.post(&target_at(server.address), &Body { headers, ..body(10) }, PATIENCE).result.is_ok());
    assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
    let [own, other] = [server.next(), server.next()].map(|request| {
        ["x-sentry-forwarded-for", "origin", "user-agent"].map(|name| request.headers.get(name).cloned())
    });
    let said = ["192.0.2.7", "https://shop.example", "Browser/1 (a; b)"].map(|value| Some(value.to_owned()));
    assert_eq!(own, said);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(other, [None, None, Some(format!("sentry.varnish/{version}"))]);
}

#[test]
fn posts_share_one_connection_whatever_time_they_have() {
    let server = Receiver::new([]);
    let mut transport = connector().transport();
    for number in 0..50 {
        let time = PATIENCE + Duration::from_secs(number % 3);
        let posted = transport.post(&target_at(server.address), &body(5000), time);
        assert!(posted.result.is_ok_and(|answer| answer.status == 200));
    }
    assert_eq!((server.rest().len(), server.connections()), (50, 1));
}

#[test]
fn projects_of_one_server_share_a_connection_and_each_of_a_few_servers_keeps_its_own() {
    let servers: Vec<_> = (0..4).map(|_| Receiver::new([])).collect();
    let mut transport = connector().transport();
    for number in 0..40 {
        let mut target = target_at(servers[number % 4].address);
        target.url = target.url.replace("/42/", &format!("/{number}/"));
        assert_eq!(status(&mut *transport, &target), Ok(200));
    }
    for server in &servers {
        assert_eq!((server.rest().len(), server.connections()), (10, 1));
    }
}

#[test]
fn a_server_that_closes_idle_connections_costs_nothing() {
    let server = Receiver::new([]).then_always(Act::AnswerAndClose(200));
    let mut transport = connector().transport();
    for _ in 0..20 {
        assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
    }
    assert_eq!(server.rest().len(), 20);
}

#[test]
fn a_kept_connection_that_ends_without_an_answer_is_replaced_once_and_that_is_counted() {
    for last in [Act::HangUp, Act::Reset] {
        let server = Receiver::new([Act::ok(), last.clone(), Act::ok(), last.clone(), last.clone()]);
        let target = target_at(server.address);
        let mut transport = connector().transport();
        assert_eq!(post(&mut *transport, &target).reconnects, 0);
        let second = post(&mut *transport, &target);
        assert_eq!((second.result.map(|answer| answer.status), second.reconnects), (Ok(200), 1), "{last:?}");
        let third = post(&mut *transport, &target);
        assert!(matches!(third.result, Err(Failure::Broken(_))), "{last:?}: it may have been seen");
        assert_eq!((third.reconnects, server.connections()), (1, 3), "{last:?}");
    }
}

#[test]
fn a_request_on_a_new_connection_is_written_once() {
    for act in [Act::HangUp, Act::Reset] {
        let server = Receiver::new([Act::ok()]).then_always(act.clone());
        let target = target_at(server.address);
        let connector = connector();
        // Its kept connection is nobody else's.
        let mut first = connector.transport();
        assert_eq!(status(&mut *first, &target), Ok(200));
        let mut second = connector.transport();
        for tries in 1..=3 {
            let posted = post(&mut *second, &target);
            assert!(matches!(posted.result, Err(Failure::Broken(_))), "{act:?}");
            assert_eq!((posted.reconnects, server.connections()), (0, 1 + tries), "{act:?}");
        }
        let read = if matches!(act, Act::Reset) { 1 } else { 4 };
        assert_eq!(server.rest().len(), read);
    }
}

#[test]
fn a_request_of_which_a_byte_was_answered_is_not_written_again() {
    let server = RawServer::new(|raw| {
        raw.request()?;
        raw.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        raw.request()?;
        raw.say("H")
    });
    let mut transport = connector().transport();
    assert_eq!(status(&mut *transport, &server.target()), Ok(200));
    let posted = post(&mut *transport, &server.target());
    assert!(matches!(posted.result, Err(Failure::Broken(_))));
    assert_eq!((posted.reconnects, server.connections.load(Ordering::SeqCst)), (0, 1));
}

#[test]
fn a_stall_ends_at_the_timeout_wherever_it_comes() {
    let timeout = Duration::from_millis(700);
    for act in [Act::Silence, Act::Trickle(Duration::from_millis(10))] {
        let server = Receiver::new([act.clone()]);
        let mut transport = connector().transport();
        let begin = Instant::now();
        let posted = transport.post(&target_at(server.address), &body(10), timeout);
        assert_eq!(posted.result, Err(Failure::Broken("timeout: global".to_owned())), "{act:?}");
        assert!((timeout..timeout + SLACK).contains(&begin.elapsed()), "{act:?}");
        assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
    }
}

#[test]
fn a_retry_after_in_any_form_is_passed_on_joined() {
    let dates = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    for lines in [vec!["7"], vec!["7", "8"], dates.to_vec()] {
        let said = lines.iter().map(|line| format!("Retry-After: {line}")).collect();
        let server = Receiver::new([Act::Answer(429, said, String::new())]);
        assert_eq!(answer(&target_at(server.address)).retry_after, Some(lines.join(",")));
    }
}

#[test]
fn a_redirect_is_not_followed_and_its_target_is_told() {
    let elsewhere = Receiver::new([]);
    for status in [301, 302, 307, 308] {
        let to = format!("http://{}/?k={}", elsewhere.address, receiver::KEY);
        let server = Receiver::new([Act::with_header(status, &format!("Location: {to}"))]);
        let answer = answer(&target_at(server.address));
        let told = format!("redirect to http://{}/?k=[Filtered]", elsewhere.address);
        assert_eq!((answer.status, answer.complaint), (status, Some(told)));
    }
    assert_eq!(elsewhere.connections(), 0);
    let server = Receiver::new([Act::Answer(304, vec![], String::new()), Act::ok()]);
    let mut transport = connector().transport();
    assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(304));
    assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
}

#[test]
fn a_refusal_is_told_in_the_servers_words_on_one_line() {
    let server = Receiver::new([
        Act::with_header(403, "X-Sentry-Error: bad\tkey"),
        Act::Answer(400, Vec::new(), format!("line\none {}", "x".repeat(5000))),
        Act::Answer(401, Vec::new(), format!("no such key {}:{}", receiver::KEY, receiver::SECRET)),
        Act::Answer(500, Vec::new(), String::new()),
        Act::with_header(200, "X-Sentry-Error: none"),
    ]);
    let mut transport = connector().transport();
    let mut complaint = || post(&mut *transport, &target_at(server.address)).result.unwrap().complaint;
    assert_eq!(complaint().as_deref(), Some("bad key"));
    let long = complaint().unwrap();
    assert!(long.starts_with("line one xxx") && long.len() == 200, "{long}");
    assert_eq!(complaint().as_deref(), Some("no such key [Filtered]:[Filtered]"));
    assert_eq!((complaint(), complaint()), (None, None));
    assert_eq!(server.connections(), 1);
}

#[test]
fn every_address_of_a_name_is_tried() {
    let server = Receiver::new([]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let connector =
        HttpConnector::new(HttpOptions { look_up: look_up(&[closed, closed, server.address]), ..options() });
    assert_eq!(status(&mut *connector.transport(), &target("http://sentry.example/")), Ok(200));
    assert_eq!(server.next().headers.get("host").map(String::as_str), Some("sentry.example"));
}

#[test]
fn a_silent_address_takes_only_its_share_of_the_connect_timeout() {
    let server = Receiver::new([]);
    let (silent, _kept) = silent_address();
    let options = HttpOptions {
        connect_timeout: Duration::from_secs(3),
        look_up: look_up(&[silent, server.address]),
        ..options()
    };
    let begin = Instant::now();
    let mut transport = HttpConnector::new(options).transport();
    assert_eq!(status(&mut *transport, &target("http://sentry.example/")), Ok(200));
    assert!(begin.elapsed() >= Duration::from_secs(1), "the first address was tried");
}

#[test]
fn a_connection_that_is_not_made_ends_at_the_connect_timeout() {
    let (silent, _kept) = silent_address();
    let begin = Instant::now();
    let connector = HttpConnector::new(HttpOptions { connect_timeout: Duration::from_millis(300), ..options() });
    assert_eq!(unreached(failure(&connector, &target_at(silent))), "timeout: connect");
    assert!(begin.elapsed() < SLACK);
}

#[test]
fn a_look_up_that_hangs_is_the_only_one_of_all_transports() {
    let server = Receiver::new([]);
    let (hang, released) = mpsc::channel::<()>();
    let (asked, look_ups) = mpsc::channel();
    let released = Mutex::new(released);
    let address = server.address;
    let look_up = Arc::new(move |host: &str, port| {
        asked.send((host.to_owned(), port, thread::current().name().map(str::to_owned))).unwrap();
        let _ = released.lock().unwrap().recv();
        Ok(vec![address])
    });
    let connector =
        HttpConnector::new(HttpOptions { look_up, connect_timeout: Duration::from_millis(200), ..options() });
    let target = target("http://sentry.example/");
    let begin = Instant::now();
    for _ in 0..3 {
        assert_eq!(unreached(failure(&connector, &target)), "timeout: resolve");
    }
    assert!(begin.elapsed() < SLACK);
    let name = Some("vmod-sentry-dns".to_owned());
    assert_eq!(look_ups.try_iter().collect::<Vec<_>>(), [("sentry.example".to_owned(), 80, name)]);
    hang.send(()).unwrap();
    hang.send(()).unwrap();
    receiver::eventually("it is found", || status(&mut *connector.transport(), &target) == Ok(200));
}

#[test]
fn a_name_that_does_not_exist_says_why() {
    let text = unreached(failure(&connector(), &target("http://sentry.example/")));
    assert_eq!(text, "io: looked up sentry.example");
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
fn after_a_panic_a_transport_is_as_new() {
    let server = Receiver::new([]);
    let clock = Arc::new(Fragile::default());
    let mut transport = HttpConnector::new(HttpOptions { clock: clock.clone(), ..options() }).transport();
    let target = target_at(server.address);
    let mut status = || status(&mut *transport, &target);
    assert_eq!((status(), status(), server.connections()), (Ok(200), Ok(200), 1));
    clock.0.store(true, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(&mut status)).is_err());
    clock.0.store(false, Ordering::SeqCst);
    assert_eq!(status(), Ok(200));
}

#[test]
fn no_proxy_is_taken_from_the_environment() {
    const INNER: &str = "CONNECTION_HTTP_INNER";
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
    assert_eq!(answer(&target_at(server.address)).status, 200);
    assert!(server.next().line.starts_with("POST /api/"));
}
