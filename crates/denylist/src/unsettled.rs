// SPDX-License-Identifier: BSD-2-Clause
//! Fetches that have an answer whose body is still under way, as many as there are of each second.
//!
//! Any thread may call anything; nothing here takes a lock.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::time::Time;

/// A body that lasts longer than this many seconds is taken for a stream without an end.
pub const SETTLES: f64 = 10.0;

/// More than the seconds that one of them is kept for.
const SECONDS: usize = 16;
const NUMBER: u32 = 24;
const MOST: u64 = (1 << NUMBER) - 1;

/// A word for each of the last seconds: which one it is, and below that how many answers came in it.
#[derive(Default)]
pub struct Unsettled {
    seconds: [AtomicU64; SECONDS],
}

impl Unsettled {
    /// Takes note of an answer. Returns how many are overdue that were in its place.
    pub fn begin(&self, now: Time) -> u64 {
        let Some((second, word)) = self.place(now) else { return 0 };
        let add = |word: u64| {
            let (known, number) = (word >> NUMBER, word & MOST);
            Some(second << NUMBER | if known == second { (number + 1).min(MOST) } else { 1 })
        };
        let before = word.fetch_update(Relaxed, Relaxed, add).unwrap_or_else(|before| before);
        if before >> NUMBER < second { before & MOST } else { 0 }
    }

    /// Takes one away that came at `answered`; false if it is overdue and was taken away as such.
    pub fn end(&self, answered: Time) -> bool {
        let Some((second, word)) = self.place(answered) else { return false };
        let take = |word: u64| (word >> NUMBER == second && word & MOST > 0).then(|| word - 1);
        word.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// Takes away those that are overdue, and returns how many.
    pub fn overdue(&self, now: Time) -> u64 {
        let Some((newest, _)) = self.place(now) else { return 0 };
        let of = |word: &AtomicU64| {
            let take = |word: u64| {
                let overdue = word & MOST > 0 && (word >> NUMBER) + (SETTLES as u64) < newest;
                overdue.then_some(0)
            };
            word.fetch_update(Relaxed, Relaxed, take).map_or(0, |before| before & MOST)
        };
        self.seconds.iter().map(of).sum()
    }

    /// The second that a time is in, and its word.
    fn place(&self, time: Time) -> Option<(u64, &AtomicU64)> {
        let second = u64::try_from(time.millis() / 1000).ok().filter(|second| *second < 1 << (64 - NUMBER))?;
        Some((second, self.seconds.get((second % SECONDS as u64) as usize)?))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_seconds(1_790_000_000.0 + seconds)
    }

    #[test]
    fn what_ends_in_time_is_never_overdue() {
        let unsettled = Unsettled::default();
        assert_eq!((unsettled.begin(at(0.0)), unsettled.begin(at(0.5)), unsettled.begin(at(3.0))), (0, 0, 0));
        assert!(unsettled.end(at(0.0)) && unsettled.end(at(0.9)));
        assert!(!unsettled.end(at(0.0)), "there were two");
        assert_eq!(unsettled.overdue(at(13.9)), 0);
        assert_eq!(unsettled.overdue(at(14.0)), 1);
        assert_eq!(unsettled.overdue(at(14.0)), 0);
        assert!(!unsettled.end(at(3.0)), "it was overdue");
    }

    #[test]
    fn what_nobody_took_away_is_returned_by_who_takes_its_place() {
        let unsettled = Unsettled::default();
        for _ in 0..3 {
            unsettled.begin(at(1.0));
        }
        assert_eq!(unsettled.begin(at(1.0 + SECONDS as f64)), 3);
        assert!(!unsettled.end(at(1.0)));
        // A clock that was set back: of what was to come nothing is known.
        assert_eq!(unsettled.begin(at(1.0)), 0);
        assert_eq!(unsettled.overdue(at(1.0)), 0);
    }

    #[test]
    fn each_is_settled_once() {
        let unsettled = Unsettled::default();
        let settled: u64 = thread::scope(|scope| {
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut settled = 0;
                        for n in 0..20_000 {
                            let answered = at(f64::from(n) / 5000.0);
                            settled += unsettled.begin(answered) + unsettled.overdue(answered);
                            settled += u64::from(n % 2 == 0 && unsettled.end(answered));
                        }
                        settled
                    })
                })
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap_or_default()).sum()
        });
        assert_eq!(settled + unsettled.overdue(at(10_000.0)), 80_000);
    }
}
