// SPDX-License-Identifier: BSD-2-Clause
//! A post is ended by another thread, whatever it waits for; the transport is usable afterwards.

mod authority;
mod fixture_connection;
mod receiver;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use authority::Authority;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Failure, Target};
use delivery::connection::transport::{Connector, Transport};
use delivery::connection::way::{Roots, Way};
use fixture_connection::{RawServer, SLACK, body, connector, options, post, silent_address, status, target, target_at};
use receiver::{Act, Receiver};

/// No post here ends by itself.
const TIMEOUT: Duration = Duration::from_secs(300);

fn patient() -> HttpOptions {
    HttpOptions { connect_timeout: TIMEOUT, timeout: TIMEOUT, ..options() }
}

/// Posts, aborts once `waits` says that it waits, and returns what came of it.
fn aborted(transport: &mut dyn Transport, target: &Target, size: usize, waits: impl FnOnce() + Send) -> Failure {
    let abort = transport.aborter();
    let begin = Instant::now();
    let posted = thread::scope(|scope| {
        scope.spawn(|| {
            waits();
            abort.abort();
        });
        transport.post(target, &body(size), TIMEOUT)
    });
    assert!(begin.elapsed() < SLACK, "{:?}", begin.elapsed());
    assert_eq!(posted.reconnects, 0);
    posted.result.expect_err("aborted")
}

fn unseen() -> Failure {
    Failure::Unreached("aborted".to_owned())
}

fn maybe_seen() -> Failure {
    Failure::Broken("aborted".to_owned())
}

#[test]
fn while_the_name_is_looked_up() {
    let server = Receiver::new([]);
    let (asked, look_ups) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let address = server.address;
    let look_up = Arc::new(move |_: &str, _| {
        asked.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        Ok(vec![address])
    });
    let mut transport = HttpConnector::new(HttpOptions { look_up, ..patient() }).transport();
    let target = target("http://sentry.example/");
    let waits = move || look_ups.recv().unwrap();
    assert_eq!(aborted(&mut *transport, &target, 10, waits), unseen());
    drop(release);
    assert_eq!(status(&mut *transport, &target), Ok(200));
}

#[test]
fn while_the_connection_is_made() {
    let (silent, _kept) = silent_address();
    let server = Receiver::new([]);
    let (asked, look_ups) = mpsc::channel();
    let look_up = Arc::new(move |_: &str, _| {
        asked.send(()).unwrap();
        Ok(vec![silent])
    });
    let mut transport = HttpConnector::new(HttpOptions { look_up, ..patient() }).transport();
    let target = target("http://sentry.example/");
    let waits = move || {
        look_ups.recv().unwrap();
        // It connects now, or in a moment: both have to end.
        thread::sleep(Duration::from_millis(120));
    };
    assert_eq!(aborted(&mut *transport, &target, 10, waits), unseen());
    assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
}

#[test]
fn while_tls_is_negotiated() {
    let authority = Authority::new("abort");
    let good = authority.serve("sentry.example", []);
    let (arrived, arrivals) = mpsc::channel();
    let stalling = RawServer::new(move |raw| {
        arrived.send(()).unwrap();
        raw.stall()
    });
    let way = Way { roots: Roots::File(authority.file.clone()), ..Way::default() };
    let addresses = Arc::new(Mutex::new(vec![stalling.address]));
    let known = addresses.clone();
    let look_up = Arc::new(move |_: &str, _| Ok(known.lock().unwrap().clone()));
    let mut transport = HttpConnector::new(HttpOptions { way, look_up, ..patient() }).transport();
    let target = target("https://sentry.example/");
    let waits = move || {
        arrivals.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(aborted(&mut *transport, &target, 10, waits), unseen());
    *addresses.lock().unwrap() = vec![good.address];
    let other_port = fixture_connection::target("https://sentry.example:444/");
    assert_eq!(status(&mut *transport, &other_port), Ok(200));
}

#[test]
fn while_the_request_is_written() {
    let (arrived, arrivals) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = RawServer::new(move |_| {
        arrived.send(()).unwrap();
        // Reads nothing.
        let _ = released.lock().unwrap().recv();
        Ok(())
    });
    let good = Receiver::new([]);
    let mut transport = HttpConnector::new(patient()).transport();
    let waits = move || {
        arrivals.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(aborted(&mut *transport, &server.target(), 64 << 20, waits), maybe_seen());
    drop(release);
    assert_eq!(status(&mut *transport, &target_at(good.address)), Ok(200));
}

#[test]
fn while_the_answer_is_awaited_on_a_new_connection_and_on_a_kept_one() {
    let server = Receiver::new([Act::Silence, Act::ok(), Act::Silence, Act::ok()]);
    let target = target_at(server.address);
    let mut transport = HttpConnector::new(patient()).transport();
    for _ in 0..2 {
        let abort = transport.aborter();
        let failed = thread::scope(|scope| {
            let posting = scope.spawn(|| transport.post(&target, &body(10), TIMEOUT));
            server.next();
            abort.abort();
            posting.join().unwrap()
        });
        // Nothing is written again on another connection.
        assert_eq!((failed.result.unwrap_err(), failed.reconnects), (maybe_seen(), 0));
        assert_eq!(status(&mut *transport, &target), Ok(200));
        server.next();
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn an_abort_with_nothing_under_way_does_nothing() {
    let server = Receiver::new([]);
    let target = target_at(server.address);
    let mut transport = connector().transport();
    let abort = transport.aborter();
    for _ in 0..3 {
        abort.abort();
        assert_eq!(status(&mut *transport, &target), Ok(200));
    }
    assert_eq!(server.connections(), 1, "nor to the connection that is kept");
    transport.begin();
    abort.abort();
    let posted = post(&mut *transport, &target);
    assert_eq!((posted.result, posted.reconnects), (Err(unseen()), 0), "it was under way");
    assert_eq!(status(&mut *transport, &target), Ok(200));
    drop(transport);
    abort.abort();
}

#[test]
fn aborts_at_any_time_end_only_the_post_they_meet() {
    let server = Receiver::new([]);
    let target = target_at(server.address);
    let mut transport = connector().transport();
    let abort = transport.aborter();
    let (done, over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while over
                .recv_timeout(Duration::from_micros(300))
                .is_err_and(|error| error == mpsc::RecvTimeoutError::Timeout)
            {
                abort.abort();
            }
        });
        let outcomes: Vec<_> = (0..500).map(|_| post(&mut *transport, &target).result).collect();
        drop(done);
        for outcome in outcomes {
            let text = match outcome {
                Ok(answer) => {
                    assert_eq!(answer.status, 200);
                    continue;
                }
                Err(Failure::Unreached(text) | Failure::Broken(text)) => text,
            };
            assert_eq!(text, "aborted");
        }
    });
    assert_eq!(status(&mut *transport, &target), Ok(200));
}
