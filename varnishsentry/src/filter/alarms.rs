// SPDX-License-Identifier: BSD-2-Clause
//! Counters of varnishd that are an alarm: too few threads, requests that queue, connections that are dropped.
//!
//! An alarm is told once. It is over when nothing was to be told for a minute; then it may be told again.

use std::time::{Duration, SystemTime};

use transaction::counters::Counters;

use crate::config::builtin::Thresholds;

/// Looks at which a length has to be over its threshold, one after the other.
const IN_A_ROW: u32 = 5;
/// How long a counter has to be quiet.
const QUIET: Duration = Duration::from_secs(60);

const THREAD_QUEUE_LEN: &str = "MAIN.thread_queue_len";

/// The counters that are looked at.
pub const COUNTERS: [&str; 9] = [
    THREAD_QUEUE_LEN,
    "MAIN.sess_queued",
    "MAIN.sess_dropped",
    "MAIN.req_dropped",
    "MAIN.threads_limited",
    "MAIN.threads_failed",
    "MGT.child_died",
    "MGT.child_dump",
    "MGT.child_panic",
];

/// A counter that is over its threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    pub counter: &'static str,
    /// A length, or how much was added in a second.
    pub value: f64,
    pub threshold: u64,
    pub is_length: bool,
}

/// What was seen of a counter.
#[derive(Debug)]
struct Seen {
    counter: &'static str,
    threshold: u64,
    is_length: bool,
    last: Option<u64>,
    in_a_row: u32,
    /// When it was over the threshold for the last time.
    loud: Option<SystemTime>,
}

/// All that are looked at.
#[derive(Debug)]
pub struct Alarms {
    seen: Vec<Seen>,
    last: Option<SystemTime>,
}

impl Alarms {
    pub fn new(thresholds: &Thresholds) -> Alarms {
        let seen = |counter, threshold| Seen {
            counter,
            threshold,
            is_length: counter == THREAD_QUEUE_LEN,
            last: None,
            in_a_row: 0,
            loud: None,
        };
        let all = [
            seen(THREAD_QUEUE_LEN, thresholds.thread_queue_len),
            seen("MAIN.sess_queued", thresholds.sess_queued),
            seen("MAIN.sess_dropped", thresholds.sess_dropped),
            seen("MAIN.req_dropped", thresholds.req_dropped),
            seen("MAIN.threads_limited", thresholds.threads_limited),
            seen("MAIN.threads_failed", thresholds.threads_failed),
        ];
        Alarms { seen: all.into_iter().filter(|seen| seen.threshold > 0).collect(), last: None }
    }

    /// Looks at the counters as they are at `at`: the alarms that begin.
    pub fn look(&mut self, counters: &Counters, at: SystemTime) -> Vec<Alarm> {
        let span = self.last.and_then(|last| at.duration_since(last).ok());
        self.last = Some(at);
        self.seen.iter_mut().filter_map(|seen| seen.look(counters.get(seen.counter), span, at)).collect()
    }
}

impl Seen {
    fn look(&mut self, value: Option<u64>, span: Option<Duration>, at: SystemTime) -> Option<Alarm> {
        let (Some(value), last) = (value, self.last) else {
            // The child is down. Its successor counts from the beginning.
            self.last = None;
            return None;
        };
        self.last = Some(value);
        let (value, is_over) = if self.is_length {
            self.in_a_row = if value >= self.threshold { self.in_a_row + 1 } else { 0 };
            (value as f64, self.in_a_row >= IN_A_ROW)
        } else {
            let span = span?.as_secs_f64();
            // Of another child it is less than before.
            let rate = value.saturating_sub(last?) as f64 / span.max(0.1);
            (rate, rate >= self.threshold as f64)
        };
        if !is_over {
            return None;
        }
        let is_new = self.loud.is_none_or(|loud| at.duration_since(loud).is_ok_and(|quiet| quiet >= QUIET));
        self.loud = Some(at);
        let alarm = Alarm { counter: self.counter, value, threshold: self.threshold, is_length: self.is_length };
        is_new.then_some(alarm)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// The seconds at which a counter with these values, second by second, raises an alarm, and the value then.
    fn raised(counter: &str, values: impl IntoIterator<Item = Option<u64>>) -> Vec<(u64, f64)> {
        let mut alarms = Alarms::new(&Thresholds::default());
        let mut raised = Vec::new();
        for (second, value) in (0..).zip(values) {
            let mut counters = Counters::default();
            value.into_iter().for_each(|value| counters.push(counter, value));
            let at = UNIX_EPOCH + Duration::from_secs(second);
            raised.extend(alarms.look(&counters, at).iter().map(|alarm| (second, alarm.value)));
        }
        raised
    }

    #[test]
    fn a_queue_that_stays_long_is_an_alarm_and_a_short_one_is_none() {
        let long = |seconds| std::iter::repeat_n(Some(20), seconds);
        assert_eq!(raised("MAIN.thread_queue_len", long(4)), []);
        assert_eq!(raised("MAIN.thread_queue_len", long(200)), [(4, 20.0)]);
        assert_eq!(raised("MAIN.thread_queue_len", long(4).chain([Some(19)]).chain(long(4))), []);
        let twice = long(10).chain(std::iter::repeat_n(Some(0), 60)).chain(long(10));
        assert_eq!(raised("MAIN.thread_queue_len", twice), [(4, 20.0), (74, 20.0)]);
    }

    #[test]
    fn a_counter_that_grows_is_an_alarm_whatever_it_was_before() {
        let values = [Some(700), Some(700), Some(703), Some(710)];
        assert_eq!(raised("MAIN.sess_dropped", values), [(2, 3.0)]);
        assert_eq!(raised("MAIN.sess_queued", values), [], "its threshold is 0");
        assert_eq!(raised("MAIN.threads_failed", [Some(7), None, Some(9), Some(9)]), [], "of another child");
        assert_eq!(raised("MAIN.threads_failed", [Some(7), Some(0), Some(1)]), [(2, 1.0)]);
    }

    #[test]
    fn no_counter_is_an_alarm_that_is_not_there_or_whose_threshold_is_0() {
        assert_eq!(raised("MAIN.sess_dropped", [None, None]), []);
        let off = Thresholds {
            thread_queue_len: 0,
            sess_queued: 0,
            sess_dropped: 0,
            req_dropped: 0,
            threads_limited: 0,
            threads_failed: 0,
        };
        assert!(Alarms::new(&off).seen.is_empty());
    }
}
