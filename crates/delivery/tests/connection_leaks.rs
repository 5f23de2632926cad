// SPDX-License-Identifier: BSD-2-Clause
//! Whatever a server does, no descriptor and no thread is left over.

mod authority;
mod fixture_connection;
mod receiver;

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use authority::Authority;
use delivery::connection::Connection;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Request, Ticket};
use delivery::connection::transport::Connector;
use delivery::connection::way::{Roots, Way};
use delivery::spawn::spawn_thread;
use fixture_connection::{RawServer, body, look_up, options, silent_address, target, target_at};
use receiver::{Act, PATIENCE, Receiver, eventually};

/// Descriptors and threads of this process.
fn held() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// Every way that there is of failing, over one connection each that lives on, by one thread each that ends.
fn fail_in_every_way(authority: &Authority) {
    let (silent, _kept) = silent_address();
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Receiver::new([]);
    let tls = authority.serve("elsewhere.example", []);
    let endless = RawServer::new(|raw| {
        raw.request()?;
        raw.say_without_end(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(100))
    });
    let way = Way { roots: Roots::File(authority.file.clone()), ..Way::default() };
    let limit = Duration::from_millis(100);
    let connector =
        HttpConnector::new(HttpOptions { way, connect_timeout: limit, look_up: look_up(&[tls.address]), ..options() });
    let mut transport = connector.transport();
    for act in [Act::Reset, Act::HangUp, Act::Silence, Act::StallInBody(200), Act::AnswerAndClose(200), Act::ok()] {
        server.push(act);
        transport.post(&target_at(server.address), &body(10), limit);
    }
    for target in
        [target_at(silent), target_at(refusing), endless.target(), target("https://sentry.example/"), target("none")]
    {
        transport.post(&target, &body(10), PATIENCE);
    }
    let (sender, outcomes) = mpsc::channel();
    let connection =
        Connection::start(&connector, spawn_thread, Box::new(move |outcome| sender.send(outcome).unwrap())).unwrap();
    server.rest();
    server.push(Act::Silence);
    let target = target_at(server.address).into();
    connection.send(Request { ticket: Ticket(1), target, body: body(10), timeout: PATIENCE }).unwrap();
    server.next();
    connection.abort();
    assert!(outcomes.recv_timeout(PATIENCE).unwrap().result.is_err());
}

#[test]
fn nothing_is_left_over() {
    let authority = Authority::new("leaks");
    fail_in_every_way(&authority);
    let (mut descriptors, mut threads) = (0, 0);
    eventually("all have ended", || {
        let before = (descriptors, threads);
        (descriptors, threads) = held();
        std::thread::sleep(Duration::from_millis(100));
        before == (descriptors, threads)
    });
    for _ in 0..10 {
        fail_in_every_way(&authority);
    }
    eventually("no more than before", || held() <= (descriptors, threads));
}
