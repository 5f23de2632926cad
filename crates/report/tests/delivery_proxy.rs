// SPDX-License-Identifier: BSD-2-Clause
//! Events through an HTTP proxy. To the proxy's client, one that answers CONNECT and then the requests itself
//! looks like one with the server behind it.

mod authority;
mod fixture;
mod receiver;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use authority::Authority;
use fixture::{Bench, Setup};
use receiver::{Act, KEY, PATIENCE, Receiver, eventually};
use report::proxy::ProxySource;
use report::stats::Counter;
use report::way::Roots;

const PASSWORD: &str = "oPeNsEsAmE";

/// What a proxy says to CONNECT.
fn connected() -> Act {
    Act::Answer(200, Vec::new(), String::new())
}

/// A client of `sentry.example` behind `proxy.example`, which is at `address`, and the names it looked up.
fn setup(scheme: &str, proxy: &str, address: SocketAddr) -> (Setup, Arc<Mutex<Vec<String>>>) {
    let mut setup = Setup::new(&format!("{scheme}://{KEY}@sentry.example/42"));
    setup.settings.server.way.proxy = ProxySource::new(proxy).unwrap();
    let names = Arc::new(Mutex::new(Vec::new()));
    let asked = names.clone();
    setup.look_up = Arc::new(move |name, port| {
        asked.lock().unwrap().push(format!("{name}:{port}"));
        Ok(vec![address])
    });
    (setup, names)
}

fn assert_discreet(bench: &Bench) {
    bench.assert_discreet();
    let status = bench.status().to_string();
    for text in bench.lines.all().iter().chain([&status]) {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_proxy_is_asked_once_for_a_connection_and_looks_the_name_up_itself() {
    let proxy = Receiver::new([connected()]);
    let url = format!("http://varnish:{PASSWORD}%40@proxy.example:3128");
    let (setup, names) = setup("http", &url, proxy.address);
    let bench = setup.start();
    for _ in 0..3 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
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
    assert_discreet(&bench);
}

#[test]
fn the_servers_certificate_is_verified_through_the_proxy() {
    let authority = Authority::new("tunnel");
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
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            tls(stream)
        }),
    );
    let (mut setup, names) = setup("https", "http://proxy.example:3128", proxy.address);
    setup.settings.server.way.roots = Roots::File(authority.file.clone());
    let bench = setup.start();
    bench.capture();
    assert!(bench.client.flush(PATIENCE));
    let head = heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("CONNECT sentry.example:443 HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains(KEY) && !head.to_lowercase().contains("authorization"), "{head}");
    assert!(proxy.next().line.starts_with("POST /api/42/"));
    assert_eq!(*names.lock().unwrap(), ["proxy.example:3128"]);
}

#[test]
fn a_proxy_over_tls_is_verified_too() {
    let authority = Authority::new("tls-proxy");
    for (name, good) in [("proxy.example", true), ("elsewhere.example", false)] {
        let proxy = authority.serve(name, [connected()]);
        let (mut setup, _) = setup("http", "https://proxy.example", proxy.address);
        setup.settings.server.way.roots = Roots::File(authority.file.clone());
        let bench = setup.start();
        bench.capture();
        if good {
            assert!(bench.client.flush(PATIENCE));
            assert_eq!(proxy.rest().len(), 2);
        } else {
            eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
            assert!(proxy.rest().is_empty());
        }
    }
}

#[test]
fn an_event_waits_for_a_proxy_that_refuses() {
    let proxy = Receiver::new([Act::status(407), Act::HangUp, Act::Reset, connected()]);
    let (setup, _) = setup("http", &format!("http://varnish:{PASSWORD}@proxy.example"), proxy.address);
    let bench = setup.start();
    bench.capture();
    eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
    eventually("it is told", || !bench.lines.all().is_empty());
    assert!(bench.lines.all()[0].contains("proxy server responded 407"), "{:?}", bench.lines.all());
    eventually("the event arrives", || {
        bench.clock.turn(std::time::Duration::from_secs(61));
        bench.client.flush(std::time::Duration::from_millis(20))
    });
    assert_eq!((bench.count(Counter::Sent), bench.dropped()), (1, vec![]));
    assert!(bench.count(Counter::Unanswered) >= 3);
    assert_discreet(&bench);
}

#[test]
fn a_proxy_that_is_down_or_silent_is_a_server_that_is_not_reached() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = Receiver::new([]).then_always(Act::Silence);
    let trickle = Receiver::new([]).then_always(Act::Trickle(std::time::Duration::from_millis(20)));
    for (address, error) in [
        (address, "Connection refused"),
        (silent.address, "timeout: connect"),
        // Each byte comes in time, and the answer never ends.
        (trickle.address, "timeout: connect"),
    ] {
        let (mut setup, _) = setup("http", "http://proxy.example:3128", address);
        (setup.settings.server.connect_timeout, setup.settings.server.timeout) =
            (Duration::from_secs_f64(0.3), Duration::from_secs_f64(300.0));
        let bench = setup.start();
        bench.capture();
        eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
        eventually("the event is back in the queue", || bench.status()["queue"]["events"] == 1);
        let status = bench.status();
        assert_eq!(status["state"], "backoff");
        assert!(status["last_error"].as_str().unwrap().contains(error), "{status}");
        assert_eq!(bench.dropped(), []);
    }
}

#[test]
fn the_proxy_of_the_environment_is_taken_if_asked_for() {
    const INNER: &str = "DELIVERY_PROXY_INNER";
    if let Some(kind) = std::env::var_os(INNER) {
        let (setup, names) = setup("http", "environment", ([127, 0, 0, 1], 9).into());
        let bench = setup.start();
        bench.capture();
        if kind == "good" {
            assert!(bench.client.flush(PATIENCE));
            assert!(names.lock().unwrap().is_empty());
        } else {
            eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
            let error = bench.status()["last_error"].as_str().unwrap().to_owned();
            assert!(error.starts_with("http_proxy: proxy has a port "), "{error}");
            assert!(names.lock().unwrap().is_empty());
        }
        assert_discreet(&bench);
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
