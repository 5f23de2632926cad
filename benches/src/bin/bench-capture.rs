// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-capture ROUNDS
//!
//! What a capture costs the thread that makes it: the crates of the module and the official one, in turns.
//! Nothing is sent meanwhile. One line per round: ns and allocations per capture of ours, of the crate's, and of
//! the crate's by way of a scope.

use std::sync::Arc;
use std::time::Duration;

use benches::{meter, ours, sdk};
use delivery::connection::request::{Answer, Body, Target};
use delivery::connection::transport::{Abort, Connector, Posted, Transport};
use parking_lot::{Condvar, Mutex};

#[global_allocator]
static ALLOCATOR: meter::Counting = meter::Counting;

const CAPTURES: u32 = 5000;

/// A server that answers at once, or not before it is opened again.
#[derive(Default)]
struct Valve {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Valve {
    fn set(&self, shut: bool) {
        *self.shut.lock() = shut;
        self.opened.notify_all();
    }
}

impl Abort for Valve {
    fn abort(&self) {
        self.set(false);
    }
}

/// Connections to it.
struct Valves(Arc<Valve>);

impl Connector for Valves {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Valves(self.0.clone()))
    }
}

impl Transport for Valves {
    fn post(&mut self, _: &Target, _: &Body, _: Duration) -> Posted {
        self.0.opened.wait_while(&mut self.0.shut.lock(), |shut| *shut);
        Posted { result: Ok(Answer { status: 200, ..Answer::default() }), reconnects: 0 }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        self.0.clone()
    }
}

/// CPU time in ns and allocations, per call of `capture`.
fn measure(mut capture: impl FnMut()) -> (f64, f64) {
    let (cpu, allocations) = (meter::thread_cpu(), meter::allocations());
    (0..CAPTURES).for_each(|_| capture());
    let nanos = (meter::thread_cpu() - cpu).as_nanos() as f64;
    let count = (meter::allocations() - allocations) as f64;
    (nanos / f64::from(CAPTURES), count / f64::from(CAPTURES))
}

fn main() {
    // An allocator that keeps its memory, as varnishd's does: no page faults for either of the two.
    // SAFETY: mallopt takes two numbers; no other thread runs yet.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX) };
    let rounds: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).expect("usage: bench-capture ROUNDS");
    let dsn = "http://0123456789abcdef0123456789abcdef@127.0.0.1:9/1";
    let valve = Arc::new(Valve::default());
    let client = ours::Client::new(dsn, Some(Arc::new(Valves(valve.clone()))));
    let mut task = ours::Task::new(client.clone());
    let hub = sdk::hub(sdk::options(dsn).transport(sdk::Null));
    for round in 0..=rounds {
        valve.set(true);
        let (our_nanos, our_allocations) = measure(|| assert!(task.capture(), "not queued"));
        valve.set(false);
        assert!(client.flush(Duration::from_secs(60)), "not delivered");
        let (sdk_nanos, sdk_allocations) = measure(|| sdk::capture(&hub));
        let (scope_nanos, scope_allocations) = measure(|| sdk::capture_in_scope(&hub));
        // The first round warms up.
        if round > 0 {
            print!("{our_nanos:.1} {our_allocations:.2} {sdk_nanos:.1} {sdk_allocations:.2} ");
            println!("{scope_nanos:.1} {scope_allocations:.2}");
        }
    }
}
