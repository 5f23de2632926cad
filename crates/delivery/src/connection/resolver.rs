// SPDX-License-Identifier: BSD-2-Clause
//! Names to addresses, without ever waiting longer than the caller's budget.
//!
//! `getaddrinfo` knows no timeout, so it runs on a thread of its own, of which there is never more than
//! one: while a look-up hangs, callers wait for that one, or go on with the addresses known so far. The
//! thread ends with its look-up. ureq's own starts a thread per look-up.
//!
//! One lock; the look-up runs outside of it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;

/// Addresses younger than this are used as they are.
const FRESH: Duration = Duration::from_secs(60);
/// Addresses younger than this are used while newer ones are looked up in the background.
const STALE: Duration = Duration::from_secs(600);
/// Addresses that ureq takes.
const MAX_ADDRESSES: usize = 16;

/// Looks a name up, taking as long as it takes.
pub type LookUp = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's look-up: hosts file, DNS, whatever nsswitch.conf says.
pub fn system_look_up() -> LookUp {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// Host and port.
type Place = (String, u16);

struct Known {
    place: Place,
    addresses: Vec<SocketAddr>,
    /// When they were looked up; `None` once they have failed us.
    at: Option<Instant>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    /// A look-up is under way.
    busy: bool,
    /// Look-ups finished so far.
    finished: u64,
    /// Why the last one gave nothing.
    failure: Option<String>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    finished: Condvar,
}

/// Looks up the one name its client sends to, and remembers the answer.
pub struct Resolver {
    shared: Arc<Shared>,
    look_up: LookUp,
    clock: Arc<dyn Clock>,
}

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No answer within the budget.
    TimedOut,
    /// The answer was no address, and why.
    NotFound(String),
}

impl Resolver {
    pub fn new(look_up: LookUp, clock: Arc<dyn Clock>) -> Resolver {
        Resolver { shared: Arc::default(), look_up, clock }
    }

    /// The addresses of `host`, in the order to try them. Known ones are returned at once if they are not
    /// too old; else it waits for a look-up, at most for `budget`, and takes the known ones, however old,
    /// if that brings nothing. It ends early when `given_up`, which whoever changes its mind says by [`Resolver::wake`].
    pub fn resolve(
        &self,
        host: &str,
        port: u16,
        budget: Duration,
        given_up: &dyn Fn() -> bool,
    ) -> Result<Vec<SocketAddr>, Unresolved> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let begin = self.clock.now();
        let mut state = self.shared.state.lock();
        let age = state.age(bare, port, begin);
        if age.is_none_or(|age| age >= FRESH) && !state.busy {
            self.start_look_up(&mut state, bare, port);
        }
        if age.is_none_or(|age| age >= STALE) {
            let before = state.finished;
            while state.busy && state.finished == before {
                let left = budget.saturating_sub(self.clock.now().saturating_duration_since(begin));
                if left.is_zero() || given_up() {
                    break;
                }
                self.shared.finished.wait_for(&mut state, left);
            }
        }
        match state.known.as_ref().filter(|known| known.is_of(bare, port)) {
            Some(known) => Ok(known.addresses.clone()),
            None if state.busy => Err(Unresolved::TimedOut),
            None => Err(Unresolved::NotFound(state.failure.clone().unwrap_or_default())),
        }
    }

    /// The addresses known have failed: they are looked up anew before they are used again.
    pub fn distrust(&self) {
        if let Some(known) = &mut self.shared.state.lock().known {
            known.at = None;
        }
    }

    /// Has all who wait look whether they have given up.
    pub fn wake(&self) {
        let _state = self.shared.state.lock();
        self.shared.finished.notify_all();
    }

    fn start_look_up(&self, state: &mut State, host: &str, port: u16) {
        state.busy = true;
        let (shared, look_up, clock) = (self.shared.clone(), self.look_up.clone(), self.clock.clone());
        let place: Place = (host.to_owned(), port);
        let work = move || {
            let found = panic::catch_unwind(AssertUnwindSafe(|| look_up(&place.0, place.1)))
                .unwrap_or_else(|_| Err(io::Error::other("look-up panicked")));
            let mut state = shared.state.lock();
            state.take_in(place, found, clock.now());
            shared.finished.notify_all();
        };
        if let Err(error) = thread::Builder::new().name("vmod-sentry-dns".to_owned()).spawn(work) {
            state.busy = false;
            state.failure = Some(format!("no thread for the look-up: {error}"));
        }
    }
}

impl Known {
    fn is_of(&self, host: &str, port: u16) -> bool {
        self.place.0 == host && self.place.1 == port
    }
}

impl State {
    /// How old the addresses of that place are; `None` if there are none to rely on.
    fn age(&self, host: &str, port: u16, now: Instant) -> Option<Duration> {
        let known = self.known.as_ref().filter(|known| known.is_of(host, port))?;
        Some(now.saturating_duration_since(known.at?))
    }

    fn take_in(&mut self, place: Place, found: io::Result<Vec<SocketAddr>>, now: Instant) {
        self.busy = false;
        self.finished += 1;
        match found {
            Ok(mut addresses) if !addresses.is_empty() => {
                addresses.truncate(MAX_ADDRESSES);
                self.failure = None;
                self.known = Some(Known { place, addresses, at: Some(now) });
            }
            Ok(_) => self.failure = Some("the name has no address".to_owned()),
            Err(error) => self.failure = Some(error.to_string()),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::time::SystemTime;

    use super::*;

    /// Real time plus what the test has turned it forward.
    #[derive(Default)]
    struct Turned(Mutex<Duration>);

    impl Clock for Turned {
        fn now(&self) -> Instant {
            Instant::now() + *self.0.lock()
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    type Found = io::Result<Vec<SocketAddr>>;

    /// Look-ups that the test answers one by one.
    struct Bench {
        resolver: Resolver,
        clock: Arc<Turned>,
        asked: mpsc::Receiver<(String, u16)>,
        answers: mpsc::Sender<Found>,
    }

    fn bench() -> Bench {
        let clock = Arc::new(Turned::default());
        let (ask, asked) = mpsc::channel();
        let (answers, answer) = mpsc::channel::<Found>();
        let pair = Mutex::new((ask, answer));
        let look_up: LookUp = Arc::new(move |host, port| {
            let pair = pair.lock();
            pair.0.send((host.to_owned(), port)).unwrap();
            pair.1.recv().unwrap_or_else(|_| panic!("the test is over"))
        });
        Bench { resolver: Resolver::new(look_up, clock.clone()), clock, asked, answers }
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }

    impl Bench {
        fn resolve(&self, budget: Duration) -> Result<Vec<SocketAddr>, Unresolved> {
            self.resolver.resolve("sentry.example", 443, budget, &|| false)
        }

        fn answer(&self, found: Found) {
            self.answers.send(found).unwrap();
        }

        fn wait_until_idle(&self) {
            let mut state = self.resolver.shared.state.lock();
            while state.busy {
                self.resolver.shared.finished.wait(&mut state);
            }
        }

        fn turn(&self, by: Duration) {
            *self.clock.0.lock() += by;
        }

        fn look_ups(&self) -> usize {
            self.asked.try_iter().count()
        }
    }

    #[test]
    fn an_address_needs_no_look_up() {
        let bench = bench();
        for (host, expected) in [("127.0.0.1", "127.0.0.1:80"), ("[::1]", "[::1]:80"), ("::1", "[::1]:80")] {
            let resolved = bench.resolver.resolve(host, 80, Duration::ZERO, &|| false);
            assert_eq!(resolved, Ok(vec![expected.parse().unwrap()]));
        }
        assert_eq!(bench.look_ups(), 0);
    }

    #[test]
    fn a_name_is_looked_up_once_a_minute_and_then_in_the_background() {
        let bench = bench();
        bench.answer(Ok(vec![address(1), address(2)]));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(1), address(2)]));
        bench.turn(FRESH - Duration::from_secs(5));
        assert_eq!(bench.resolve(Duration::ZERO), Ok(vec![address(1), address(2)]));
        assert_eq!(bench.asked.try_iter().collect::<Vec<_>>(), [("sentry.example".to_owned(), 443)]);

        bench.turn(Duration::from_secs(5));
        let begin = Instant::now();
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(1), address(2)]));
        assert!(begin.elapsed() < PATIENCE / 2, "without waiting");
        bench.answer(Ok(vec![address(3)]));
        bench.wait_until_idle();
        assert_eq!(bench.resolve(Duration::ZERO), Ok(vec![address(3)]));
        assert_eq!(bench.look_ups(), 1);
    }

    #[test]
    fn old_addresses_are_looked_up_first_and_used_if_that_brings_nothing() {
        let bench = bench();
        bench.answer(Ok(vec![address(1)]));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(1)]));
        bench.turn(STALE);
        bench.answer(Ok(vec![address(2)]));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(2)]), "waits for the new one");
        bench.turn(STALE);
        bench.answer(Err(io::Error::other("no network")));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(2)]));
        bench.turn(STALE);
        assert_eq!(bench.resolve(Duration::from_millis(10)), Ok(vec![address(2)]), "the look-up hangs");
        bench.answer(Ok(Vec::new()));
        bench.wait_until_idle();
    }

    #[test]
    fn addresses_that_failed_are_looked_up_before_they_are_used_again() {
        let bench = bench();
        bench.answer(Ok(vec![address(1)]));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(1)]));
        bench.resolver.distrust();
        bench.answer(Ok(vec![address(2)]));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(2)]));
    }

    #[test]
    fn while_one_look_up_hangs_there_is_no_second_one() {
        let bench = bench();
        for _ in 0..5 {
            assert_eq!(bench.resolve(Duration::from_millis(5)), Err(Unresolved::TimedOut));
        }
        bench.answer(Ok(vec![address(1)]));
        assert_eq!(bench.resolve(PATIENCE), Ok(vec![address(1)]));
        assert_eq!(bench.look_ups(), 1);
    }

    #[test]
    fn who_has_given_up_waits_no_longer() {
        let bench = bench();
        let given_up = AtomicBool::new(false);
        let Bench { resolver, asked, .. } = &bench;
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let begin = Instant::now();
                let resolved = resolver.resolve("h", 1, PATIENCE, &|| given_up.load(Ordering::SeqCst));
                (resolved, begin.elapsed())
            });
            asked.recv().unwrap();
            given_up.store(true, Ordering::SeqCst);
            resolver.wake();
            let (resolved, took) = asking.join().unwrap();
            assert_eq!(resolved, Err(Unresolved::TimedOut));
            assert!(took < PATIENCE / 2);
        });
        bench.answer(Ok(vec![address(1)]));
        bench.wait_until_idle();
    }

    #[test]
    fn no_address_is_an_error_that_says_why_and_a_panic_is_one() {
        let bench = bench();
        let why = |bench: &Bench| match bench.resolve(PATIENCE) {
            Err(Unresolved::NotFound(why)) => why,
            other => panic!("{other:?}"),
        };
        bench.answer(Err(io::Error::other("no network")));
        assert_eq!(why(&bench), "no network");
        bench.answer(Ok(Vec::new()));
        assert_eq!(why(&bench), "the name has no address");
        let Bench { resolver, answers, .. } = bench;
        drop(answers);
        let resolved = resolver.resolve("sentry.example", 443, PATIENCE, &|| false);
        assert_eq!(resolved, Err(Unresolved::NotFound("look-up panicked".to_owned())));
    }
}
