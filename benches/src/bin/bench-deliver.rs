// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-deliver PORT ROUNDS [ours|bare|sdk|plain]...
//!        bench-deliver PORT limited-ours|limited-sdk SECONDS
//!
//! What a delivered event costs: captured, queued and posted over kept connections to the sink at PORT, two at most by
//! ours, one by the official crate; and a bare ureq POST over one, of our compressed bytes (`bare`) and of them as they were
//! before (`plain`). In turns; one line per round: CPU in µs per event and events per second of
//! each, then the sizes of the two bodies.
//!
//! `limited-…` captures 20 events a second for so long, and prints how many: the sink says what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{meter, ours, sdk};
use delivery::connection::request::{Answer, Body, Target};
use delivery::connection::transport::{Abort, Connector, Posted, Transport};
use parking_lot::Mutex;
use protocol::sdk::SDK;
use ureq::Agent;

const EVENTS: u32 = 3000;
const LONG: Duration = Duration::from_secs(60);
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Keeps the last body; all connections to it do.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<u8>>>);

impl Connector for Keep {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }
}

impl Transport for Keep {
    fn post(&mut self, _: &Target, body: &Body, _: Duration) -> Posted {
        assert_eq!(body.encoding, Some("gzip"));
        self.0.lock().clone_from(&body.bytes);
        Posted { result: Ok(Answer { status: 200, ..Answer::default() }), reconnects: 0 }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        Arc::new(self.clone())
    }
}

impl Abort for Keep {
    fn abort(&self) {}
}

/// The body that the sample event makes.
fn packed(dsn: &str) -> Vec<u8> {
    let keep = Keep::default();
    let client = ours::Client::new(dsn, Some(Arc::new(keep.clone())));
    let mut task = ours::Task::new(client.clone());
    assert!(task.capture() && client.flush(LONG), "not packed");
    keep.0.lock().clone()
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut body).expect("gzip");
    body
}

/// CPU time of the whole process in µs per event, and events per second.
fn measure(deliver: impl FnOnce()) -> (f64, f64) {
    let (cpu, begin) = (meter::process_cpu(), Instant::now());
    deliver();
    let (wall, cpu) = (begin.elapsed(), meter::process_cpu() - cpu);
    (cpu.as_secs_f64() * 1e6 / f64::from(EVENTS), f64::from(EVENTS) / wall.as_secs_f64())
}

/// Posts the body as often as a round has events, with the headers that an event has.
fn post(agent: &Agent, url: &str, body: &[u8], encoding: Option<&str>) {
    for _ in 0..EVENTS {
        let auth = format!("Sentry sentry_version=7, sentry_client={SDK}, sentry_key={KEY}");
        let request =
            agent.post(url).header("content-type", "application/x-sentry-envelope").header("x-sentry-auth", auth);
        let request = match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        let mut answer = request.send(body).expect("an answer");
        // Read to its end, or the connection cannot be used again.
        answer.body_mut().read_to_vec().expect("an answer's body");
    }
}

fn compare(dsn: &str, url: &str, rounds: u32, who: &[&str]) {
    let client = ours::Client::new(dsn, None);
    let mut task = ours::Task::new(client.clone());
    let hub = sdk::hub(sdk::options(dsn));
    // Without a timeout, as the crate's: with one, ureq's own resolver starts a thread for every request.
    let agent = Agent::new_with_defaults();
    let small = packed(dsn);
    let large = unpacked(&small);
    for round in 0..=rounds {
        for who in who {
            let (cpu, rate) = match *who {
                "ours" => measure(|| {
                    (0..EVENTS).for_each(|_| assert!(task.capture(), "not queued"));
                    assert!(client.flush(LONG), "not delivered");
                }),
                "sdk" => measure(|| {
                    (0..EVENTS).for_each(|_| sdk::capture(&hub));
                    assert!(hub.client().is_some_and(|client| client.flush(Some(LONG))), "the crate did not deliver");
                }),
                "bare" => measure(|| post(&agent, url, &small, Some("gzip"))),
                "plain" => measure(|| post(&agent, url, &large, None)),
                other => panic!("nobody is called {other}"),
            };
            // The first round warms up.
            if round > 0 {
                print!("{cpu:.2} {rate:.0} ");
            }
        }
        if round > 0 {
            println!("{} {}", small.len(), large.len());
        }
    }
}

fn limited(mut capture: impl FnMut(), time: Duration) {
    let begin = Instant::now();
    let mut captured = 0;
    while begin.elapsed() < time {
        capture();
        captured += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{captured}");
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, rest @ ..] = words.as_slice() else { panic!("usage: bench-deliver PORT …") };
    let dsn = format!("http://{KEY}@127.0.0.1:{port}/1");
    match rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["limited-ours", seconds] => {
            let mut task = ours::Task::new(ours::Client::new(&dsn, None));
            let capture = || {
                task.capture();
            };
            limited(capture, Duration::from_secs(seconds.parse().expect("seconds")));
        }
        ["limited-sdk", seconds] => {
            let hub = sdk::hub(sdk::options(&dsn));
            limited(|| sdk::capture(&hub), Duration::from_secs(seconds.parse().expect("seconds")));
        }
        [rounds, who @ ..] => {
            let url = format!("http://127.0.0.1:{port}/api/1/envelope/");
            let who = if who.is_empty() { &["ours", "bare", "sdk", "plain"] } else { who };
            compare(&dsn, &url, rounds.parse().expect("a number of rounds"), who);
        }
        _ => panic!("usage: bench-deliver PORT ROUNDS [WHO]... | PORT limited-ours|limited-sdk SECONDS"),
    }
}
