// SPDX-License-Identifier: BSD-2-Clause
//! What objects have in common that stand for the same backend, mostly one VCL's and the next one's.
//!
//! Any thread may call anything. The locks are held only to look and to add; the store's is taken with no other held, and nothing
//! that ends under it takes one.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::breaker::{Breaker, Limits};
use crate::denylist::Denylist;
use crate::recent::Recent;
use crate::table::Digest;

/// Who has a list in common: those with the same of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What the VCL's author calls it.
    pub id: Box<str>,
    /// The backend's name.
    pub backend: Box<str>,
    /// Where that one leads to.
    pub endpoint: Digest,
}

/// A list, what the objects on it are called, and how often fetches failed.
pub struct Kept {
    max_entries: usize,
    denylist: Arc<Denylist>,
    recent: Arc<Recent>,
    /// One for each kind of limits: a share is of a window.
    breakers: Mutex<Vec<Weak<Breaker>>>,
    /// The threshold that was asked for last.
    asked: AtomicU64,
}

impl Kept {
    /// Makes an empty list, as [`Denylist::new`] does.
    pub fn new(threshold: u64, max_entries: usize) -> Kept {
        Kept {
            max_entries,
            denylist: Arc::new(Denylist::new(threshold, max_entries)),
            recent: Arc::default(),
            breakers: Mutex::new(Vec::new()),
            asked: AtomicU64::new(threshold),
        }
    }

    pub fn denylist(&self) -> &Arc<Denylist> {
        &self.denylist
    }

    pub fn recent(&self) -> &Arc<Recent> {
        &self.recent
    }

    /// As many as it was made for.
    pub fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// The failure rate with these limits, a new one if nobody has it.
    pub fn breaker(&self, limits: Limits) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock();
        breakers.retain(|known| known.strong_count() > 0);
        if let Some(known) = breakers.iter().filter_map(Weak::upgrade).find(|known| known.limits() == limits) {
            return known;
        }
        let made = Arc::new(Breaker::new(limits));
        breakers.push(Arc::downgrade(&made));
        made
    }

    /// Whether a VCL asks for another threshold than the one before. If it does not, one that was set at run time stays.
    pub fn asks_anew(&self, threshold: u64) -> bool {
        self.asked.swap(threshold, AcqRel) != threshold
    }
}

/// The lists of the process, each for as long as anybody has it.
#[derive(Default)]
pub struct Store(Mutex<Vec<(Key, Weak<Kept>)>>);

impl Store {
    pub const fn new() -> Store {
        Store(Mutex::new(Vec::new()))
    }

    /// The list of this key, a new one if nobody has it: only that one is of this threshold and size.
    pub fn get(&self, key: &Key, threshold: u64, max_entries: usize) -> Arc<Kept> {
        let mut lists = self.0.lock();
        lists.retain(|(_, kept)| kept.strong_count() > 0);
        let known = lists.iter().find(|(known, _)| known == key);
        if let Some(kept) = known.and_then(|(_, kept)| kept.upgrade()) {
            return kept;
        }
        let made = Arc::new(Kept::new(threshold, max_entries));
        lists.push((key.clone(), Arc::downgrade(&made)));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn key(id: &str, backend: &str, endpoint: u8) -> Key {
        Key { id: id.into(), backend: backend.into(), endpoint: [endpoint; 32] }
    }

    const LIMITS: Limits = Limits { percent: 50, min_fetches: 1, window: 10.0, half_open: false };

    #[test]
    fn a_list_is_shared_only_if_everything_is_the_same() {
        let store = Store::new();
        let first = store.get(&key("a", "one", 1), 3, 10);
        assert!(Arc::ptr_eq(&first, &store.get(&key("a", "one", 1), 5, 20)));
        assert_eq!((first.max_entries(), first.denylist().threshold()), (10, 3));
        for other in [key("b", "one", 1), key("a", "two", 1), key("a", "one", 2)] {
            assert!(!Arc::ptr_eq(&first, &store.get(&other, 3, 10)), "{other:?}");
        }
    }

    #[test]
    fn a_list_goes_with_the_last_one_who_has_it() {
        let (store, now) = (Store::new(), Time::from_seconds(1.0));
        let first = store.get(&key("a", "one", 1), 3, 10);
        let list = Arc::downgrade(first.denylist());
        first.denylist().deny(&[1; 32], Time::NEVER, now);
        let second = store.get(&key("a", "one", 1), 3, 10);
        drop(first);
        assert_eq!(second.denylist().live(now), 1);
        drop(second);
        assert!(list.upgrade().is_none());
        let third = store.get(&key("a", "one", 1), 7, 20);
        assert_eq!((third.denylist().live(now), third.max_entries()), (0, 20));
        assert_eq!(store.0.lock().len(), 1);
    }

    #[test]
    fn a_threshold_counts_when_another_one_is_asked_for() {
        let kept = Kept::new(3, 10);
        assert_eq!([3, 4, 4, 3].map(|threshold| kept.asks_anew(threshold)), [false, true, false, true]);
    }

    #[test]
    fn a_failure_rate_is_shared_for_the_same_limits() {
        let kept = Kept::new(3, 10);
        let first = kept.breaker(LIMITS);
        assert!(Arc::ptr_eq(&first, &kept.breaker(LIMITS)));
        let other = Limits { window: 20.0, ..LIMITS };
        assert!(!Arc::ptr_eq(&first, &kept.breaker(other)));
        drop(first);
        assert!(kept.breakers.lock().iter().all(|breaker| breaker.strong_count() == 0));
    }
}
