// SPDX-License-Identifier: BSD-2-Clause
//! Numbers as VCL has them, checked: within a range, and of the type that is worked with.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// An argument outside its range. Reads well after `sentry.client(): `.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfRange {
    argument: &'static str,
    low: Quantity,
    high: Quantity,
    got: Quantity,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    Number(i64),
    Share(f64),
    Seconds(f64),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Number(number) => write!(f, "{number}"),
            Quantity::Share(share) => write!(f, "{share}"),
            Quantity::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be between {} and {}, got {}", self.argument, self.low, self.high, self.got)
    }
}

impl std::error::Error for OutOfRange {}

/// A whole number. The ranges fit every type they are asked for; if one did not, its highest value would be refused.
pub fn number<T: TryFrom<i64>>(argument: &'static str, got: i64, range: RangeInclusive<i64>) -> Result<T, OutOfRange> {
    let (low, high) = (Quantity::Number(*range.start()), Quantity::Number(*range.end()));
    let refused = OutOfRange { argument, low, high, got: Quantity::Number(got) };
    if !range.contains(&got) {
        return Err(refused);
    }
    T::try_from(got).map_err(|_| refused)
}

/// A time in seconds.
pub fn seconds(argument: &'static str, got: f64, range: RangeInclusive<f64>) -> Result<Duration, OutOfRange> {
    // No range goes beyond what a duration holds.
    real(argument, got, range, Quantity::Seconds).map(Duration::from_secs_f64)
}

/// A share of a whole.
pub fn share(argument: &'static str, got: f64) -> Result<f64, OutOfRange> {
    real(argument, got, 0.0..=1.0, Quantity::Share)
}

fn real(
    argument: &'static str,
    got: f64,
    range: RangeInclusive<f64>,
    unit: fn(f64) -> Quantity,
) -> Result<f64, OutOfRange> {
    if range.contains(&got) {
        return Ok(got);
    }
    Err(OutOfRange { argument, low: unit(*range.start()), high: unit(*range.end()), got: unit(got) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named_with_range_and_value() {
        let number = |got| number::<usize>("queue", got, 1..=65_536).map_err(|error| error.to_string());
        assert_eq!(number(1), Ok(1));
        assert_eq!(number(0), Err("queue must be between 1 and 65536, got 0".to_owned()));
        let seconds = |got| seconds("timeout", got, 0.01..=300.0).map_err(|error| error.to_string());
        assert_eq!(seconds(2.5), Ok(Duration::from_millis(2500)));
        assert_eq!(seconds(f64::NAN), Err("timeout must be between 0.01s and 300s, got NaNs".to_owned()));
        let share = |got| share("sample_rate", got).map_err(|error| error.to_string());
        assert_eq!(share(1.5), Err("sample_rate must be between 0 and 1, got 1.5".to_owned()));
    }

    #[test]
    fn what_is_no_number_is_in_no_range() {
        let of = |got| seconds("timeout", got, 0.01..=300.0).map_err(|error| error.to_string());
        assert_eq!(of(0.01), Ok(Duration::from_millis(10)));
        assert_eq!(of(f64::NAN), Err("timeout must be between 0.01s and 300s, got NaNs".to_owned()));
        assert_eq!(of(f64::INFINITY), Err("timeout must be between 0.01s and 300s, got infs".to_owned()));
        let of = |got| share("sample_rate", got).map_err(|error| error.to_string());
        assert_eq!(of(f64::NAN), Err("sample_rate must be between 0 and 1, got NaN".to_owned()));
        let of = |got| number::<u8>("after", got, 0..=200).map_err(|error| error.to_string());
        assert_eq!(of(200), Ok(200));
        assert_eq!(of(i64::MAX), Err("after must be between 0 and 200, got 9223372036854775807".to_owned()));
    }
}
