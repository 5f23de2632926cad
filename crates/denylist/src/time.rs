// SPDX-License-Identifier: BSD-2-Clause
//! The wall clock as a number that can be compared, added to and kept in an atomic.

/// A point of the wall clock, in milliseconds since the epoch. Times before the epoch are the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// The last of all times. An entry until then never expires: no `now` is later.
    pub const NEVER: Time = Time(i64::MAX);

    /// Takes seconds since the epoch, as Varnish's VTIM has them, to the nearest millisecond.
    ///
    /// NaN and whatever lies before the epoch become the epoch, what is too late to be represented
    /// becomes [`Time::NEVER`].
    pub fn from_seconds(seconds: f64) -> Time {
        Time(millis(seconds).max(0))
    }

    /// The time `seconds` later, or earlier if negative, with the limits of [`Time::from_seconds`].
    /// NaN seconds are none.
    pub fn plus(self, seconds: f64) -> Time {
        Time(self.0.saturating_add(millis(seconds)).max(0))
    }

    /// Seconds since the epoch, as Varnish's VTIM has them.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// How many seconds it is later than `earlier`, negative if it is not.
    pub fn seconds_after(self, earlier: Time) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1000.0
    }

    /// Milliseconds since the epoch; never negative.
    pub(crate) fn millis(self) -> i64 {
        self.0
    }

    /// The inverse of [`Time::millis`].
    pub(crate) fn from_millis(millis: i64) -> Time {
        Time(millis.max(0))
    }
}

/// Rounds, because a double of today's date is up to a quarter of a microsecond off the millisecond
/// it was made from. The cast cuts off, saturates and makes 0 of NaN. Not `round()`, which is a call of the C library.
fn millis(seconds: f64) -> i64 {
    let millis = seconds * 1000.0;
    (millis + 0.5_f64.copysign(millis)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_double_is_a_time() {
        for (seconds, millis) in [
            (0.0, 0),
            (-0.0, 0),
            (1.5, 1500),
            (0.0004, 0),
            (0.0006, 1),
            (-3.0, 0),
            (f64::NAN, 0),
            (f64::MIN, 0),
            (f64::NEG_INFINITY, 0),
            (1e300, i64::MAX),
            (f64::INFINITY, i64::MAX),
        ] {
            assert_eq!(Time::from_seconds(seconds), Time(millis), "{seconds}");
        }
    }

    #[test]
    fn seconds_of_today_keep_every_millisecond() {
        for millis in 0..5_000 {
            let seconds = millis as f64 / 1000.0;
            assert_eq!(Time::from_seconds(1.79e9 + seconds), Time(1_790_000_000_000 + millis));
            assert_eq!(Time(1_790_000_000_000 + millis).seconds_after(Time::from_seconds(1.79e9)), seconds);
            assert_eq!(Time(1_790_000_000_000 + millis).seconds(), (1_790_000_000_000 + millis) as f64 / 1000.0);
            assert_eq!(Time::from_seconds(1.79e9).plus(seconds), Time(1_790_000_000_000 + millis));
        }
    }

    #[test]
    fn adding_saturates_on_both_sides() {
        let now = Time::from_seconds(1000.0);
        for (seconds, millis) in [
            (0.001, 1_000_001),
            (-0.001, 999_999),
            (-2000.0, 0),
            (f64::NEG_INFINITY, 0),
            (f64::NAN, 1_000_000),
            (9999.0 * 365.0 * 86400.0, 315_328_465_000_000),
            (f64::INFINITY, i64::MAX),
        ] {
            assert_eq!(now.plus(seconds), Time(millis), "{seconds}");
        }
        assert_eq!(Time::NEVER.plus(1.0), Time::NEVER);
        assert_eq!(Time::NEVER.plus(f64::NEG_INFINITY), Time(0));
    }
}
