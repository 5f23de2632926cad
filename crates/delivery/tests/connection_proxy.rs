// SPDX-License-Identifier: BSD-2-Clause
//! Posts through an HTTP proxy. To the proxy's client, one that answers CONNECT and then the requests itself
//! looks like one with the server behind it.

mod authority;
mod fixture_connection;
mod receiver;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use authority::Authority;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::proxy::ProxySource;
use delivery::connection::transport::Connector;
use delivery::connection::way::{Roots, Way};
use fixture_connection::{RawServer, SLACK, failure, options, post, status, target, unreached};
use receiver::{Act, KEY, Receiver};

const PASSWORD: &str = "oPeNsEsAmE";

/// What a proxy says to CONNECT.
fn connected() -> Act {
    Act::Answer(200, Vec::new(), String::new())
}

/// What connects through `proxy.example`, which is at `address`, and the names that were looked up.
fn through(proxy: &str, address: SocketAddr, roots: Roots) -> (HttpOptions, Arc<Mutex<Vec<String>>>) {
    let names = Arc::new(Mutex::new(Vec::new()));
    let asked = names.clone();
    let look_up = Arc::new(move |name: &str, port| {
        asked.lock().unwrap().push(format!("{name}:{port}"));
        Ok(vec![address])
    });
    let way = Way { proxy: ProxySource::new(proxy).unwrap(), roots, ..Way::default() };
    (HttpOptions { look_up, way, ..options() }, names)
}

#[test]
fn a_proxy_is_asked_once_for_a_connection_and_looks_the_name_up_itself() {
    let proxy = Receiver::new([connected()]);
    let url = format!("http://varnish:{PASSWORD}%40@proxy.example:3128");
    let (options, names) = through(&url, proxy.address, Roots::System);
    let mut transport = HttpConnector::new(options).transport();
    let target = target("http://sentry.example/api/42/envelope/");
    for _ in 0..3 {
        assert_eq!(status(&mut *transport, &target), Ok(200));
    }
    let requests = proxy.rest();
    let lines: Vec<_> = requests.iter().map(|request| request.line.as_str()).collect();
    let post = "POST /api/42/envelope/ HTTP/1.1";
    assert_eq!(lines, ["CONNECT sentry.example:80 HTTP/1.1", post, post, post]);
    // varnish:oPeNsEsAmE@
    let basic = "Basic dmFybmlzaDpvUGVOc0VzQW1FQA==";
    assert_eq!(requests[0].headers.get("proxy-authorization").map(String::as_str), Some(basic));
    assert_eq!(requests[0].headers.get("x-sentry-auth"), None);
    assert_eq!(requests[1].headers.get("proxy-authorization"), None);
    assert_eq!(*names.lock().unwrap(), ["proxy.example:3128"]);
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_kept_connection_that_ends_is_replaced_once_and_a_new_one_never() {
    let proxy = Receiver::new([connected(), Act::ok(), Act::HangUp, connected(), Act::HangUp]);
    let (options, _) = through("http://proxy.example", proxy.address, Roots::System);
    let mut transport = HttpConnector::new(options).transport();
    let target = target("http://sentry.example/");
    assert_eq!(status(&mut *transport, &target), Ok(200));
    let posted = post(&mut *transport, &target);
    assert!(posted.result.is_err());
    assert_eq!((posted.reconnects, proxy.rest().len(), proxy.connections()), (1, 5, 2));
}

/// A proxy that lets the server behind it speak TLS.
fn tunnel(authority: &Authority, answer: &'static str) -> (Receiver, mpsc::Receiver<String>) {
    let tls = authority.wrap("sentry.example");
    let (head, heads) = mpsc::channel();
    let proxy = Receiver::wrapped(
        [],
        Arc::new(move |mut stream| {
            let mut read = Vec::new();
            let mut byte = [0];
            while !read.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte)?;
                read.extend(byte);
            }
            let _ = head.send(String::from_utf8_lossy(&read).into_owned());
            stream.write_all(answer.as_bytes())?;
            tls(stream)
        }),
    );
    (proxy, heads)
}

#[test]
fn the_servers_certificate_is_verified_through_the_proxy_whatever_that_says() {
    const MANY: &str = concat!(
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\nF: 1\r\nG: 1\r\nH: 1\r\nI: 1\r\nJ: 1\r\nK: 1\r\nL: 1\r\nM: 1\r\n",
        "N: 1\r\nO: 1\r\nP: 1\r\nQ: 1\r\nR: 1\r\nS: 1\r\nT: 1\r\nU: 1\r\n folded\r\n\r\n"
    );
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        MANY,
        // Any 2xx, behind interim answers; and what is said of a body does not count.
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ] {
        let authority = Authority::new("tunnel");
        let (proxy, heads) = tunnel(&authority, answer);
        let roots = Roots::File(authority.file.clone());
        let (options, names) = through("http://proxy.example:3128", proxy.address, roots);
        let mut transport = HttpConnector::new(options).transport();
        for _ in 0..2 {
            let target = target("https://sentry.example/api/42/envelope/");
            assert_eq!(status(&mut *transport, &target), Ok(200), "{answer}");
        }
        let head = heads.recv().unwrap();
        assert!(head.starts_with("CONNECT sentry.example:443 HTTP/1.1\r\n"), "{head}");
        assert!(!head.contains(KEY) && !head.to_lowercase().contains("authorization"), "{head}");
        assert!(proxy.next().line.starts_with("POST /api/42/"));
        assert_eq!((proxy.connections(), &**names.lock().unwrap()), (1, &["proxy.example:3128".to_owned()][..]));
    }
}

#[test]
fn a_proxy_over_tls_is_verified_too() {
    let authority = Authority::new("tls-proxy");
    for (name, good) in [("proxy.example", true), ("elsewhere.example", false)] {
        let proxy = authority.serve(name, [connected()]);
        let roots = Roots::File(authority.file.clone());
        let (options, _) = through("https://proxy.example", proxy.address, roots);
        let tried = status(&mut *HttpConnector::new(options).transport(), &target("http://sentry.example/"));
        if good {
            assert_eq!((tried, proxy.rest().len()), (Ok(200), 2));
        } else {
            let text = "the proxy's certificate is not for proxy.example, it is for elsewhere.example";
            assert_eq!(unreached(tried.unwrap_err()), text);
            assert!(proxy.rest().is_empty());
        }
    }
}

#[test]
fn a_proxy_that_refuses_is_a_server_that_is_not_reached() {
    let redirect = Act::with_header(302, "Location: http://login.example/?from=varnish");
    let acts = [Act::status(407), Act::HangUp, Act::Reset, redirect, Act::status(403), Act::status(101), connected()];
    let proxy = Receiver::new(acts);
    let (options, _) = through(&format!("http://varnish:{PASSWORD}@proxy.example"), proxy.address, Roots::System);
    let mut transport = HttpConnector::new(options).transport();
    let target = target("http://sentry.example/");
    for expected in [
        "proxy server responded 407: its user or password is missing or wrong",
        "",
        "",
        "proxy server responded 302: redirect to http://login.example/?from=varnish",
        "proxy server responded 403",
        "proxy server responded 101",
    ] {
        let posted = post(&mut *transport, &target);
        let error = unreached(posted.result.unwrap_err());
        assert!(error == expected || expected.is_empty(), "{error}");
        assert!(!error.contains(PASSWORD), "{error}");
        assert_eq!(posted.reconnects, 0);
    }
    assert_eq!(status(&mut *transport, &target), Ok(200));
    assert_eq!(proxy.connections(), 7);
}

#[test]
fn a_proxy_that_is_down_or_silent_ends_at_the_connect_timeout() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Receiver::new([]).then_always(Act::Silence);
    let trickle = Receiver::new([]).then_always(Act::Trickle(Duration::from_millis(20)));
    for (address, error) in [
        (address, "Connection refused"),
        (silent.address, "timeout: connect"),
        // Each byte comes in time, and the answer never ends.
        (trickle.address, "timeout: connect"),
    ] {
        let (options, _) = through("http://proxy.example:3128", address, Roots::System);
        let options = HttpOptions { connect_timeout: Duration::from_millis(300), ..options };
        let begin = Instant::now();
        let said = unreached(failure(&HttpConnector::new(options), &target("http://sentry.example/")));
        assert!(said.contains(error), "{said}");
        assert!(begin.elapsed() < SLACK);
    }
}

#[test]
fn an_answer_of_a_proxy_without_end_costs_a_bounded_number_of_bytes() {
    for (text, expected) in [
        ("HTTP/1.1 100 Continue\r\n\r\n", "an answer of the proxy without end"),
        ("x", "an answer of the proxy without end"),
        ("\r\n", "an answer of the proxy without end"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "an answer of the proxy that is no HTTP"),
    ] {
        let proxy = RawServer::new(move |raw| {
            raw.request()?;
            raw.say_without_end(&text.repeat(1000))
        });
        let (options, _) = through("http://proxy.example:3128", proxy.address, Roots::System);
        let begin = Instant::now();
        let said = unreached(failure(&HttpConnector::new(options), &target("http://sentry.example/")));
        assert_eq!(said, format!("io: {expected}"));
        assert!(begin.elapsed() < SLACK);
        assert!(proxy.written.recv().unwrap() < 16 << 20);
    }
}

#[test]
fn the_proxy_of_the_environment_is_taken_if_asked_for() {
    const INNER: &str = "CONNECTION_PROXY_INNER";
    if let Some(kind) = std::env::var_os(INNER) {
        let (options, names) = through("environment", ([127, 0, 0, 1], 9).into(), Roots::System);
        let tried = status(&mut *HttpConnector::new(options).transport(), &target("http://sentry.example/"));
        if kind == "good" {
            assert_eq!(tried, Ok(200));
        } else {
            let error = unreached(tried.unwrap_err());
            assert!(error.starts_with("http_proxy: proxy has a port ") && !error.contains(PASSWORD), "{error}");
        }
        assert!(names.lock().unwrap().is_empty());
        return;
    }
    let proxy = Receiver::new([connected()]);
    let address = proxy.address;
    for (kind, value) in [("good", address.to_string()), ("bad", format!("http://u:{PASSWORD}@{address}0000"))] {
        // The variables must be there before the process reads them, and must not disturb other tests.
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_proxy_of_the_environment_is_taken_if_asked_for"])
            .env(INNER, kind)
            .env("http_proxy", value)
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .status();
        assert!(status.unwrap().success(), "{kind}");
    }
    assert!(proxy.next().line.starts_with("CONNECT sentry.example:80 "));
}
