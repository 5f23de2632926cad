// SPDX-License-Identifier: BSD-2-Clause
//! Copies for Spotlight, Sentry's tool for local development (develop.sentry.dev/sdk/expected-features/spotlight).
//!
//! A copy is best effort, and a matter of its own: there is room for one at a time, which takes at most a second on a
//! thread that ends when it has nothing to do. After a failure there is none for a while.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use protocol::dsn::parse_address;
use ureq::http::Uri;

use crate::clock::Clock;
use crate::connection::request::{Body, Failure, PANICKED, Target};
use crate::connection::transport::{Abort, Connector, Posted, Transport};
use crate::counters::{Counter, Ledger};
use crate::journal::{Notices, Topic};
use crate::spawn::Spawn;

/// For a whole copy, its connection included.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// How long the thread waits for another copy.
const IDLE: Duration = Duration::from_secs(30);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// Whether it can be posted to. Userinfo, which would not be sent, is refused with the host.
pub fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split('/').next());
    authority.is_some_and(|authority| parse_address(authority).is_ok()) && text.parse::<Uri>().is_ok()
}

/// What became of the last copy.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Until when Spotlight is left alone.
    pub until: Option<Instant>,
    pub last_error: Option<String>,
}

/// Sends the copies of one client, and ends with it.
pub struct Spotlight {
    connector: Arc<dyn Connector>,
    spawn: Spawn,
    shared: Arc<Shared>,
}

struct Shared {
    idle: Duration,
    target: Target,
    clock: Arc<dyn Clock>,
    ledger: Arc<Ledger>,
    notices: Arc<Notices>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    slot: Option<Body>,
    posting: bool,
    /// Of the thread that there is.
    abort: Option<Arc<dyn Abort>>,
    /// The client's time is over.
    ended: bool,
    trouble: Trouble,
}

impl Spotlight {
    /// Nothing is started before the first copy. `connector` should make one transport that has no timeout above [`TIMEOUT`].
    pub fn new(
        url: String,
        connector: Arc<dyn Connector>,
        spawn: Spawn,
        clock: Arc<dyn Clock>,
        ledger: Arc<Ledger>,
        notices: Arc<Notices>,
    ) -> Spotlight {
        // Without a DSN's key, which is none of its business.
        let target = Target { url, auth: String::new() };
        let (state, changed) = (Mutex::default(), Condvar::new());
        Spotlight {
            connector,
            spawn,
            shared: Arc::new(Shared { idle: IDLE, target, clock, ledger, notices, state, changed }),
        }
    }

    /// Has a copy sent of what was posted. It comes back if one is under way, or Spotlight is left alone.
    pub fn copy(&self, body: Body) -> Option<Body> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut state = shared.state.lock();
        if state.ended || state.trouble.until.is_some_and(|until| now < until) {
            return Some(body);
        }
        if state.posting || state.slot.is_some() {
            shared.ledger.add(Counter::SpotlightSkipped, 1);
            return Some(body);
        }
        state.slot = Some(body);
        shared.changed.notify_one();
        if state.abort.is_some() {
            return None;
        }
        let transport = self.connector.transport();
        state.abort = Some(transport.aborter());
        drop(state);
        let worker = shared.clone();
        let started = (self.spawn)("vmod-sentry-spo", Box::new(move || worker.run(transport)));
        let error = started.err()?;
        let mut state = shared.state.lock();
        state.abort = None;
        shared.ledger.add(Counter::ThreadFailures, 1);
        shared.fail(&mut state, format!("no thread: {error}"));
        state.slot.take()
    }

    pub fn trouble(&self) -> Trouble {
        self.shared.state.lock().trouble.clone()
    }

    /// Ends the copy under way; there are no more after it.
    pub fn abort(&self) {
        let mut state = self.shared.state.lock();
        state.ended = true;
        state.slot = None;
        if state.posting
            && let Some(abort) = &state.abort
        {
            abort.abort();
        }
        self.shared.changed.notify_one();
    }
}

impl Drop for Spotlight {
    fn drop(&mut self) {
        self.shared.state.lock().ended = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self, mut transport: Box<dyn Transport>) {
        let mut state = self.state.lock();
        loop {
            let Some(body) = state.slot.take() else {
                let idle = !state.ended && !self.changed.wait_for(&mut state, self.idle).timed_out();
                if idle || state.slot.is_some() {
                    continue;
                }
                state.abort = None;
                return;
            };
            state.posting = true;
            transport.begin();
            drop(state);
            // Whatever a panic leaves of the transport: it takes care of that itself.
            let post = || transport.post(&self.target, &body, TIMEOUT);
            let posted = panic::catch_unwind(AssertUnwindSafe(post));
            state = self.state.lock();
            state.posting = false;
            let problem = match posted.map(|Posted { result, .. }| result) {
                Ok(Ok(answer)) if (200..300).contains(&answer.status) => {
                    self.ledger.add(Counter::SpotlightSent, 1);
                    state.trouble.until = None;
                    continue;
                }
                Ok(Ok(answer)) => format!("http {}", answer.status),
                Ok(Err(Failure::Unreached(text) | Failure::Broken(text))) => text,
                Err(_) => {
                    self.ledger.add(Counter::Panics, 1);
                    PANICKED.to_owned()
                }
            };
            self.fail(&mut state, problem);
        }
    }

    fn fail(&self, state: &mut State, problem: String) {
        let now = self.clock.now();
        self.ledger.add(Counter::SpotlightFailures, 1);
        let seconds = PAUSE.as_secs();
        self.notices.note(
            Topic::Spotlight,
            now,
            format_args!("no copy for spotlight, {problem}, next try in {seconds} s"),
        );
        state.trouble = Trouble { until: Some(now + PAUSE), last_error: Some(problem) };
    }
}

impl fmt::Debug for Spotlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spotlight").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::dry_run::DryRun;
    use crate::epoch::Epoch;
    use crate::journal::tests::Lines;
    use crate::spawn::spawn_thread;

    struct RealClock;

    impl Clock for RealClock {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn wall(&self) -> std::time::SystemTime {
            std::time::SystemTime::now()
        }
    }

    #[test]
    fn the_thread_ends_when_it_has_nothing_to_do_and_another_one_takes_its_place() {
        let (ledger, clock) = (Arc::new(Ledger::new(None)), Arc::new(RealClock));
        let notices = Arc::new(Notices::new(Arc::new(Lines::default()), "c".to_owned(), Epoch::new(Instant::now())));
        let dry = Arc::new(DryRun::silent());
        let mut spotlight = Spotlight::new("http://h/".to_owned(), dry, spawn_thread, clock, ledger.clone(), notices);
        Arc::get_mut(&mut spotlight.shared).unwrap().idle = Duration::from_millis(20);
        for round in 1..=3 {
            while spotlight.copy(Body::default()).is_some() {
                std::thread::yield_now();
            }
            let deadline = Instant::now() + Duration::from_secs(60);
            // The thread has a part in what is shared.
            while Arc::strong_count(&spotlight.shared) > 1 {
                assert!(Instant::now() < deadline);
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(ledger.get(Counter::SpotlightSent), round);
            assert!(spotlight.shared.state.lock().abort.is_none());
        }
    }
}
