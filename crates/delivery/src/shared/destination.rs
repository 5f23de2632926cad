// SPDX-License-Identifier: BSD-2-Clause
//! What is known of a DSN, whichever client sends to it: the limits the server asked for, and what is to be reported to it.
//!
//! A capture looks at limits without a lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use protocol::category::{Categories, Category};
use protocol::client_report::ClientReport;
use protocol::rate_limits::{LimitHeaders, RateLimits};

use crate::epoch::Epoch;

const CATEGORIES: usize = Category::ALL.len();

/// One DSN's.
pub struct Destination {
    epoch: Epoch,
    limits: Mutex<RateLimits>,
    /// Of each category until when nothing of it may leave, in nanoseconds since the epoch; 0 without a limit.
    until: [AtomicU64; CATEGORIES],
    pub report: Arc<ClientReport>,
}

impl Destination {
    pub(super) fn new(epoch: Epoch) -> Destination {
        let until = [const { AtomicU64::new(0) }; CATEGORIES];
        Destination { epoch, limits: Mutex::default(), until, report: Arc::default() }
    }

    /// Whether the server's limits keep what is of this category from leaving.
    pub fn is_limited(&self, category: Category, now: Instant) -> bool {
        let until = self.until.get(category as usize).map_or(0, |until| until.load(Ordering::Relaxed));
        until != 0 && until > self.epoch.nanos(now)
    }

    /// Those of `categories` that may leave.
    pub fn may_leave(&self, categories: Categories, now: Instant) -> Categories {
        let limited = Category::ALL.into_iter().filter(|category| self.is_limited(*category, now));
        limited.fold(categories, Categories::without)
    }

    /// Until when nothing of the category may leave; `None` if it may now.
    pub fn until(&self, category: Category, now: Instant) -> Option<Instant> {
        if self.is_limited(category, now) { self.limits.lock().until(category, now) } else { None }
    }

    /// Takes in what an answer says; the categories that it limits, and that were free before.
    pub fn update(&self, status: u16, headers: LimitHeaders<'_>, now: Instant, wall: SystemTime) -> Categories {
        let before = self.may_leave(Categories::ALL, now);
        {
            let mut limits = self.limits.lock();
            limits.update(status, headers, now, wall);
            for (category, until) in Category::ALL.into_iter().zip(&self.until) {
                let nanos = limits.until(category, now).map_or(0, |until| self.epoch.nanos(until));
                until.store(nanos, Ordering::Relaxed);
            }
        }
        let newly = |category: &Category| before.contains(*category) && self.is_limited(*category, now);
        Category::ALL.into_iter().filter(newly).collect()
    }

    /// The limits in force by their words, each with the time left.
    pub fn in_force(&self, now: Instant) -> BTreeMap<&'static str, Duration> {
        self.limits.lock().in_force(now).collect()
    }

    /// Whether there is anything to remember.
    pub(super) fn is_worth_keeping(&self, now: Instant) -> bool {
        self.report.is_pending() || Category::ALL.iter().any(|category| self.is_limited(*category, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_which_categories_are_limited_now_and_were_not() {
        let now = Instant::now();
        let destination = Destination::new(Epoch::new(now));
        let update = |value, now| {
            let headers = LimitHeaders { rate_limits: Some(value), retry_after: None };
            let newly = destination.update(200, headers, now, SystemTime::UNIX_EPOCH);
            Category::ALL.into_iter().filter(|category| newly.contains(*category)).collect::<Vec<_>>()
        };
        assert_eq!(update("10:error:key", now), [Category::Error]);
        assert_eq!(update("20:error;span:key", now), [Category::Span]);
        assert!(destination.is_limited(Category::Error, now) && !destination.is_limited(Category::Internal, now));
        let later = now + Duration::from_secs(20);
        assert!(!destination.is_limited(Category::Error, later) && !destination.is_worth_keeping(later));
        assert_eq!(destination.until(Category::Error, later), None);
        assert_eq!(update("10:error:key", later), [Category::Error], "again");
        assert_eq!(destination.until(Category::Error, later), Some(later + Duration::from_secs(10)));
        let may = destination.may_leave(Categories::NONE.with(Category::Error).with(Category::Span), later);
        assert_eq!(may, Categories::NONE.with(Category::Span));
    }
}
