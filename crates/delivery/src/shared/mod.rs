// SPDX-License-Identifier: BSD-2-Clause
//! What the clients of a process have in common, and what outlasts each of them: a reload with changed settings finds limits, breaker, spool and
//! counters as they were.
//!
//! Each map has a lock of its own, held for a look-up; none is taken under another.

mod backoff;
pub mod breaker;
pub mod destination;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use protocol::dsn::{Dsn, Scheme};

use crate::connection::way::Way;
use crate::counters::Ledger;
use crate::epoch::Epoch;
use crate::spool::spools::Spools;
use breaker::Breaker;
use destination::Destination;

/// How a server is reached: scheme, host, port, and the way there.
#[derive(PartialEq, Eq, Hash)]
struct Server {
    scheme: Scheme,
    host: String,
    port: u16,
    way: Way,
}

/// One for the process; tests make their own.
pub struct Shared {
    epoch: Epoch,
    destinations: Mutex<Known<Arc<Dsn>, Destination>>,
    breakers: Mutex<Known<Server, Breaker>>,
    ledgers: Mutex<HashMap<String, Arc<Ledger>>>,
    /// Those of the projects that a name sends to.
    parts: Mutex<HashMap<(String, String), Arc<Ledger>>>,
    pub spools: Arc<Spools>,
}

impl Shared {
    /// Nothing known yet.
    pub fn new(now: Instant) -> Shared {
        Shared {
            epoch: Epoch::new(now),
            destinations: Mutex::default(),
            breakers: Mutex::default(),
            ledgers: Mutex::default(),
            parts: Mutex::default(),
            spools: Arc::default(),
        }
    }

    /// What is known of `dsn`.
    pub fn destination(&self, dsn: &Arc<Dsn>, now: Instant) -> Arc<Destination> {
        let make = || Arc::new(Destination::new(self.epoch));
        self.destinations.lock().of(dsn.clone(), make, |known| known.is_worth_keeping(now))
    }

    /// The breaker of the server that `dsn` names, reached that way.
    pub fn breaker(&self, dsn: &Dsn, way: &Way, now: Instant) -> Arc<Breaker> {
        let server = Server { scheme: dsn.scheme(), host: dsn.host().to_owned(), port: dsn.port(), way: way.clone() };
        self.breakers.lock().of(server, Arc::default, |known| known.is_worth_keeping(now))
    }

    /// The numbers of that name, for as long as the process lives; made when it is first asked for.
    pub fn ledger(&self, name: &str, make: impl FnOnce() -> Ledger) -> Arc<Ledger> {
        let mut ledgers = self.ledgers.lock();
        if let Some(ledger) = ledgers.get(name) {
            return ledger.clone();
        }
        let ledger = Arc::new(make());
        ledgers.insert(name.to_owned(), ledger.clone());
        ledger
    }

    /// The part of that name's numbers which is of the project that `dsn` leads to, by whatever key; as long-lived as the `whole`.
    pub fn part(&self, name: &str, whole: &Arc<Ledger>, dsn: &Dsn) -> Arc<Ledger> {
        let mut parts = self.parts.lock();
        let part = parts.entry((name.to_owned(), dsn.folder_name()));
        part.or_insert_with(|| Arc::new(Ledger::part_of(whole.clone()))).clone()
    }
}

/// With fewer of them, those that nobody has are looked for at each new one.
const FEW: usize = 16;

/// What is known, by key.
struct Known<K, V> {
    map: HashMap<K, Arc<V>>,
    /// With so many it is time to look for those that nobody has.
    many: usize,
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Known<K, V> {
        Known { map: HashMap::new(), many: FEW }
    }
}

impl<K: Eq + Hash, V> Known<K, V> {
    /// The value of `key`. A new one makes those go that nobody has and that are not worth keeping.
    fn of(&mut self, key: K, make: impl FnOnce() -> Arc<V>, is_worth_keeping: impl Fn(&V) -> bool) -> Arc<V> {
        if let Some(known) = self.map.get(&key) {
            return known.clone();
        }
        if self.map.len() < FEW || self.map.len() >= self.many {
            self.map.retain(|_, known| Arc::strong_count(known) > 1 || is_worth_keeping(known));
            self.many = FEW.max(2 * self.map.len());
        }
        self.map.entry(key).or_insert_with(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use protocol::category::Category;
    use protocol::rate_limits::LimitHeaders;

    use super::*;

    fn dsn(text: &str) -> Arc<Dsn> {
        Arc::new(Dsn::parse(text).unwrap())
    }

    #[test]
    fn limits_are_of_a_dsn_and_a_breaker_is_of_a_server_and_a_way() {
        let now = Instant::now();
        let shared = Shared::new(now);
        let (one, same) = (dsn("http://k@h/1"), dsn("http://k@h/1"));
        let (other, elsewhere) = (dsn("http://k@h/2"), dsn("http://k@h:81/1"));
        assert!(Arc::ptr_eq(&shared.destination(&one, now), &shared.destination(&same, now)));
        let held = shared.destination(&one, now);
        assert!(!Arc::ptr_eq(&held, &shared.destination(&other, now)));
        let breaker = shared.breaker(&one, &Way::default(), now);
        assert!(Arc::ptr_eq(&breaker, &shared.breaker(&other, &Way::default(), now)));
        assert!(!Arc::ptr_eq(&breaker, &shared.breaker(&elsewhere, &Way::default(), now)));
    }

    #[test]
    fn what_nobody_has_is_kept_while_it_says_something() {
        let now = Instant::now();
        let shared = Shared::new(now);
        let headers = LimitHeaders { rate_limits: Some("10:error:key"), retry_after: None };
        shared.destination(&dsn("http://k@limited/1"), now).update(200, headers, now, SystemTime::UNIX_EPOCH);
        let held = shared.destination(&dsn("http://k@held/1"), now);
        shared.destination(&dsn("http://k@dull/1"), now);
        let count = |newest, now| {
            drop(shared.destination(&dsn(newest), now));
            shared.destinations.lock().map.len()
        };
        assert_eq!(count("http://k@one/1", now), 3, "the dull one has gone");
        assert!(shared.destination(&dsn("http://k@limited/1"), now).is_limited(Category::Error, now));
        assert_eq!(count("http://k@two/1", now + Duration::from_secs(10)), 2, "the one that is held, and the newest");
        drop(held);
    }

    #[test]
    fn of_many_those_that_nobody_has_go_now_and_then() {
        let now = Instant::now();
        let shared = Shared::new(now);
        let held: Vec<_> =
            (0..100).map(|number| shared.destination(&dsn(&format!("http://k@h/{number}")), now)).collect();
        let lens = (100..10_000).map(|number| {
            drop(shared.destination(&dsn(&format!("http://k@h/{number}")), now));
            shared.destinations.lock().map.len()
        });
        let most = lens.max().unwrap();
        assert!(most <= 2 * held.len() + FEW);
        assert!(most > held.len() + FEW, "each new one would look at all");
        assert!(Arc::ptr_eq(&shared.destination(&dsn("http://k@h/7"), now), &held[7]));
    }

    #[test]
    fn a_ledger_is_of_a_name_and_stays() {
        let shared = Shared::new(Instant::now());
        let first = shared.ledger("a", || Ledger::new(None));
        assert!(Arc::ptr_eq(&first, &shared.ledger("a", || panic!("it is there"))));
        assert!(!Arc::ptr_eq(&first, &shared.ledger("b", || Ledger::new(None))));
    }
}
