// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-load PORT PATH CONNECTIONS RATE SECONDS [FILE]
//!
//! Requests at a fixed rate, all connections together, each of them a thread; with a file it is posted. Prints how
//! many were answered with 200, how many were not, and the median, 99th and 99.9th percentile of their times in µs.
//!
//! A request's time counts from when it was due if the one before it was late, so that a server that stops
//! for a while cannot hide it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use benches::connection::{Connection, request};

/// The times of one connection's requests in µs; one that failed has none.
fn run(port: u16, request: &[u8], offset: Duration, interval: Duration, end: Instant) -> Vec<Option<u64>> {
    let mut times = Vec::new();
    let Ok(mut connection) = Connection::open(port) else { return vec![None] };
    let (mut due, mut free) = (Instant::now() + offset, Instant::now());
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let begin = if free > due { due } else { Instant::now() };
        let answered = connection.send(request);
        free = Instant::now();
        match answered {
            Ok(true) => times.push(u64::try_from((free - begin).as_micros()).ok()),
            Ok(false) => times.push(None),
            Err(_) => {
                times.push(None);
                return times;
            }
        }
        due += interval;
    }
    times
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, path, connections, rate, seconds, file @ ..] = words.as_slice() else {
        panic!("usage: bench-load PORT PATH CONNECTIONS RATE SECONDS [FILE]")
    };
    let port = port.parse().expect("a port");
    let [connections, rate, seconds] = [connections, rate, seconds].map(|word| word.parse::<f64>().expect("a number"));
    let request: Arc<[u8]> = match file.first() {
        Some(file) => request("POST", path, &std::fs::read(file).expect("a file")).into(),
        None => request("GET", path, &[]).into(),
    };
    let interval = Duration::from_secs_f64(connections / rate);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let threads: Vec<_> = (0..connections as u32)
        .map(|number| {
            let (request, offset) = (Arc::clone(&request), interval.mul_f64(f64::from(number) / connections));
            thread::spawn(move || run(port, &request, offset, interval, end))
        })
        .collect();
    let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|_| vec![None])).collect();
    let mut times: Vec<u64> = all.iter().copied().flatten().collect();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0);
    println!("{} {} {} {} {}", times.len(), all.len() - times.len(), at(0.5), at(0.99), at(0.999));
}
