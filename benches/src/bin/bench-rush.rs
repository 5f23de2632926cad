// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-rush PORT PATH CONNECTIONS REQUESTS
//!
//! So many requests, as fast as they are answered, all connections together, each of them a thread. `{}` in
//! the path is the request's number, from 0. Prints how many were answered with 200, how many were not, and
//! the seconds it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use benches::connection::Connection;

/// How many of the requests that this connection made were answered with 200.
fn run(port: u16, path: &str, next: &AtomicU64, requests: u64) -> u64 {
    let Ok(mut connection) = Connection::open(port) else { return 0 };
    let mut answered = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return answered;
        }
        match connection.ask(&path.replace("{}", &number.to_string())) {
            Ok(ok) => answered += u64::from(ok),
            Err(_) => return answered,
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, path, connections, requests] = words.as_slice() else {
        panic!("usage: bench-rush PORT PATH CONNECTIONS REQUESTS")
    };
    let port = port.parse().expect("a port");
    let connections: u32 = connections.parse().expect("a number of connections");
    let requests = requests.parse().expect("a number of requests");
    let (next, begin) = (AtomicU64::new(0), Instant::now());
    let answered: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(|| run(port, path, &next, requests))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    println!("{answered} {} {:.6}", requests - answered, begin.elapsed().as_secs_f64());
}
