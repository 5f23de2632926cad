// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-accept ROUNDS
//!
//! What it costs a request's thread to judge an envelope that a browser has sent, once its body is there. One line per round: ns and allocations per
//! envelope of 1.9 KB, 64 KB and 1 MB that is sent on, and of 1.9 KB that is throttled.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use benches::{browser, meter};
use delivery::shared::Shared;
use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part};
use protocol::reason::Reason;
use tunnel::answer::Outcome;
use tunnel::request::Request;
use tunnel::settings::{Arguments, Settings};
use tunnel::{Moment, Sink, Tunnel};

#[global_allocator]
static ALLOCATOR: meter::Counting = meter::Counting;

/// Bytes of the bodies of one measurement together, and how many they are at most.
const BYTES: usize = 32 << 20;
const MOST: usize = 5000;

/// Keeps what it is handed, so that nothing is given back meanwhile.
struct Kept(Vec<Box<dyn Entry>>);

impl Sink for Kept {
    fn enqueue(&mut self, entry: Box<dyn Entry>) -> Result<(), Reason> {
        self.0.push(entry);
        Ok(())
    }

    fn refuse(&mut self, _: &Arc<Dsn>, _: &[Part], _: Reason) {}
}

/// CPU time in ns and allocations per envelope of about `size` bytes, at most `most` of them, all of which have this outcome.
fn measure(tunnel: &Tunnel, size: usize, most: usize, outcome: Outcome) -> (f64, f64) {
    let body = browser::envelope(size);
    let count = (BYTES / body.len()).min(most);
    let bodies: Vec<_> = (0..count)
        .map(|_| {
            let mut copy = Vec::with_capacity(body.len() + 100);
            copy.extend_from_slice(&body);
            copy
        })
        .collect();
    let mut sink = Kept(Vec::with_capacity(count));
    let request = Request {
        method: b"POST",
        url: b"/1nkzn7d",
        content_length: Some(body.len() as u64),
        content_type: Some(b"text/plain;charset=UTF-8"),
        origin: Some(b"https://www.example.com"),
        user_agent: Some(browser::USER_AGENT.as_bytes()),
        client: "203.0.113.9".parse().ok(),
        ..Request::default()
    };
    let (cpu, allocations) = (meter::thread_cpu(), meter::allocations());
    for body in bodies {
        let at = Moment { now: Instant::now(), wall: SystemTime::now() };
        let ticket = tunnel.admit(&request, at.now).expect("a ticket");
        assert_eq!(ticket.accept(Ok(body), at, &mut sink).outcome(), outcome);
    }
    let nanos = (meter::thread_cpu() - cpu).as_nanos() as f64;
    let allocated = (meter::allocations() - allocations) as f64;
    (nanos / count as f64, allocated / count as f64)
}

fn tunnel(throttle: i64) -> Tunnel {
    let dsns = browser::DSN;
    let arguments = Arguments {
        dsns,
        throttle,
        window: 86_400.0,
        max_rate: 0,
        per_client: 0,
        max_body: 2 << 20,
        ..Arguments::default()
    };
    let now = Instant::now();
    let shared = Shared::new(now);
    let tunnel =
        Tunnel::new(Settings::new(&arguments).expect("settings"), || 4, &|dsn| shared.destination(dsn, now), now);
    tunnel.ignore_builtin();
    tunnel
}

fn main() {
    // An allocator that keeps its memory, as varnishd's does: no page faults in between.
    // SAFETY: mallopt takes two numbers; no other thread runs yet.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX) };
    let rounds: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).expect("usage: bench-accept ROUNDS");
    let (free, throttled) = (tunnel(1_000_000), tunnel(1));
    measure(&throttled, 1900, 1, Outcome::Processed);
    for round in 0..=rounds {
        let all = [
            measure(&free, 1900, MOST, Outcome::Processed),
            measure(&free, 64 << 10, MOST, Outcome::Processed),
            measure(&free, 1 << 20, MOST, Outcome::Processed),
            measure(&throttled, 1900, MOST, Outcome::Throttled),
        ];
        // The first round warms up.
        if round > 0 {
            println!("{}", all.map(|(nanos, allocations)| format!("{nanos:.1} {allocations:.2}")).join(" "));
        }
    }
}
