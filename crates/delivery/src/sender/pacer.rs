// SPDX-License-Identifier: BSD-2-Clause
//! How much at once, and how soon after one another, the server is asked: by how long it takes to answer.
//!
//! Requests that wait for each other tell a server's load by their time alone, long before it fails. So more
//! connections are opened one by one while answers take as long as usual and events wait, and given up again when they
//! take clearly longer, or nothing waits; a server that is slow even on one connection is left alone between its answers.

use std::mem;
use std::time::{Duration, Instant};

/// Answers that are judged together.
const BATCH: usize = 10;
/// A difference that may be anybody's: the network's, the scheduler's.
const NOISE: Duration = Duration::from_millis(20);
/// How long all that waits has to take on the connections there are; less is sent before a further one is open.
const WORTHWHILE: Duration = Duration::from_millis(10);
/// How fast a server that has become slower for good is taken as usual: this share of the way per batch.
const DRIFT: u32 = 32;

/// The pace of one client, with all its connections.
#[derive(Clone, Debug)]
pub struct Pacer {
    connections: usize,
    max_interval: Duration,
    batch: Vec<Duration>,
    /// Events waited at one of them.
    waited: bool,
    /// What nine of ten answers take at most while all is well.
    usual: Option<Duration>,
    width: usize,
    interval: Duration,
    answered_at: Option<Instant>,
}

impl Pacer {
    /// Begins with one connection; never has more than `connections`, and never pauses longer than `max_interval`.
    pub fn new(connections: usize, max_interval: Duration) -> Pacer {
        Pacer {
            connections,
            max_interval,
            batch: Vec::with_capacity(BATCH),
            waited: false,
            usual: None,
            width: 1,
            interval: Duration::ZERO,
            answered_at: None,
        }
    }

    /// Takes in an answer, and how many events wait for the next ones.
    pub fn answered(&mut self, took: Duration, waiting: usize, now: Instant) {
        self.answered_at = Some(now);
        self.batch.push(took);
        self.waited |= waiting > 0;
        if self.batch.len() < BATCH {
            return;
        }
        let (_, p90, _) = self.batch.select_nth_unstable(BATCH * 9 / 10 - 1);
        let p90 = *p90;
        self.batch.clear();
        let waited = mem::take(&mut self.waited);
        let usual = self.usual.map_or(p90, |usual| if p90 < usual { p90 } else { usual + (p90 - usual) / DRIFT });
        self.usual = Some(usual);
        if p90 > usual * 2 && p90 > usual + NOISE {
            if self.width > 1 {
                self.width /= 2;
            } else {
                self.interval = p90.min(self.max_interval);
            }
        } else if !self.interval.is_zero() {
            self.interval = Duration::ZERO;
        } else if self.width < self.connections && self.time_for(waiting, p90) > WORTHWHILE {
            self.width += 1;
        } else if self.width > 1 && !waited {
            self.width -= 1;
        }
    }

    /// How long so many events take on the connections there are, each of them `one`.
    fn time_for(&self, events: usize, one: Duration) -> Duration {
        one.saturating_mul(u32::try_from(events / self.width).unwrap_or(u32::MAX))
    }

    /// Takes in a failure: after it the server gets one request at a time.
    pub fn failed(&mut self) {
        self.width = 1;
        self.batch.clear();
    }

    /// How many requests may be under way.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The pause after each answer.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Until when the server is left alone; `None` if it may be asked now.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.answered_at.map(|at| at + self.interval).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Batches in which every answer takes as long.
    fn batches(pacer: &mut Pacer, number: usize, took: Duration) {
        let now = Instant::now();
        for _ in 0..number * BATCH {
            pacer.answered(took, 10, now);
        }
    }

    #[test]
    fn connections_come_one_by_one_while_events_wait_and_answers_take_as_long_as_usual() {
        let mut pacer = Pacer::new(4, SECOND);
        let widths: Vec<_> = (0..5)
            .map(|_| {
                batches(&mut pacer, 1, millis(50));
                pacer.width()
            })
            .collect();
        assert_eq!(widths, [2, 3, 4, 4, 4]);
    }

    #[test]
    fn a_further_connection_is_opened_only_for_what_takes_the_others_long_enough() {
        for (micros, waiting, width) in [
            (50_000, 0, 1),
            (1000, 10, 1),
            (1000, 11, 2),
            (50, 200, 1),
            (50, 201, 2),
            (11_000, 1, 2),
            (11_000, 2, 3),
            (100, usize::MAX, 3),
        ] {
            let mut pacer = Pacer::new(3, SECOND);
            for _ in 0..100 {
                pacer.answered(Duration::from_micros(micros), waiting, Instant::now());
            }
            assert_eq!(pacer.width(), width, "{micros} us, {waiting} wait");
        }
    }

    #[test]
    fn where_nothing_waits_any_more_connections_are_given_up_one_by_one() {
        let mut pacer = Pacer::new(4, SECOND);
        batches(&mut pacer, 3, millis(50));
        let now = Instant::now();
        for number in 0..5 * BATCH {
            // Less than is worth one more, but something, now and then.
            pacer.answered(millis(50), usize::from(number % BATCH == 3), now);
        }
        assert_eq!(pacer.width(), 4);
        let mut widths = Vec::new();
        for _ in 0..4 {
            (0..BATCH).for_each(|_| pacer.answered(millis(50), 0, now));
            widths.push(pacer.width());
        }
        assert_eq!(widths, [3, 2, 1, 1]);
    }

    #[test]
    fn a_server_that_slows_down_gets_fewer_connections_and_then_pauses() {
        let mut pacer = Pacer::new(4, SECOND);
        batches(&mut pacer, 3, millis(50));
        let mut seen = Vec::new();
        for _ in 0..3 {
            batches(&mut pacer, 1, millis(200));
            seen.push((pacer.width(), pacer.interval()));
        }
        assert_eq!(seen, [(2, millis(0)), (1, millis(0)), (1, millis(200))]);
        batches(&mut pacer, 1, millis(5_000));
        assert_eq!(pacer.interval(), SECOND, "at most max_interval");
        let now = Instant::now();
        pacer.answered(millis(200), 10, now);
        assert_eq!(pacer.until(now), Some(now + SECOND));
        assert_eq!(pacer.until(now + SECOND), None);

        batches(&mut pacer, 2, millis(50));
        assert_eq!((pacer.interval(), pacer.width()), (millis(0), 2), "the pause ends, then connections come back");
    }

    #[test]
    fn noise_and_one_slow_answer_of_ten_change_nothing() {
        let mut pacer = Pacer::new(2, SECOND);
        batches(&mut pacer, 2, millis(3));
        batches(&mut pacer, 20, millis(17));
        for number in 0..200 {
            pacer.answered(if number % 10 == 0 { SECOND * 3 } else { millis(3) }, 10, Instant::now());
        }
        assert_eq!((pacer.width(), pacer.interval()), (2, millis(0)));
    }

    #[test]
    fn what_stays_slow_becomes_usual() {
        let mut pacer = Pacer::new(2, SECOND);
        batches(&mut pacer, 2, millis(50));
        batches(&mut pacer, 3, millis(500));
        assert_eq!((pacer.width(), pacer.interval()), (1, millis(500)));
        batches(&mut pacer, 100, millis(500));
        assert_eq!((pacer.width(), pacer.interval()), (2, millis(0)));
    }

    #[test]
    fn a_failure_leaves_one_connection() {
        let mut pacer = Pacer::new(4, SECOND);
        batches(&mut pacer, 3, millis(50));
        pacer.failed();
        assert_eq!(pacer.width(), 1);
        batches(&mut pacer, 1, millis(50));
        assert_eq!(pacer.width(), 2);
    }

    proptest! {
        #[test]
        fn bounds_hold_whatever_the_times(
            connections in 1_usize..=16,
            times in prop::collection::vec((0_u64..100_000, any::<usize>(), any::<bool>()), 0..500),
        ) {
            let mut pacer = Pacer::new(connections, SECOND);
            for (took, waiting, fails) in times {
                if fails && took % 7 == 0 {
                    pacer.failed();
                }
                pacer.answered(millis(took), waiting, Instant::now());
                prop_assert!((1..=connections).contains(&pacer.width()));
                prop_assert!(pacer.interval() <= SECOND);
            }
        }
    }
}
