// SPDX-License-Identifier: BSD-2-Clause
//! Numbers, times and paths of VCL, checked: what is refused is named with the range and the value.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// An argument outside its range. Reads well after `sentry.server(): `.
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

/// The ranges fit every type they are asked for; if one did not, its highest value would be refused.
pub(crate) fn number<T: TryFrom<i64>>(
    argument: &'static str,
    got: i64,
    range: RangeInclusive<i64>,
) -> Result<T, OutOfRange> {
    let (low, high) = (Quantity::Number(*range.start()), Quantity::Number(*range.end()));
    let refused = OutOfRange { argument, low, high, got: Quantity::Number(got) };
    if !range.contains(&got) {
        return Err(refused);
    }
    T::try_from(got).map_err(|_| refused)
}

pub(crate) fn seconds(argument: &'static str, got: f64, range: RangeInclusive<f64>) -> Result<Duration, OutOfRange> {
    // No range goes beyond what a duration holds.
    real(argument, got, range, Quantity::Seconds).map(Duration::from_secs_f64)
}

pub(crate) fn share(argument: &'static str, got: f64) -> Result<f64, OutOfRange> {
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

/// A file or folder that is not named by an absolute path: varnishd's child has no folder of its own to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePath {
    argument: &'static str,
    got: String,
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be an absolute path, got {:?}", self.argument, self.got)
    }
}

impl std::error::Error for RelativePath {}

/// The file or folder that `text` names; an empty one names none.
pub fn path(argument: &'static str, text: &str) -> Result<Option<PathBuf>, RelativePath> {
    match text {
        "" => Ok(None),
        _ if text.starts_with('/') => Ok(Some(PathBuf::from(text))),
        _ => Err(RelativePath { argument, got: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_or_none() {
        assert_eq!(path("folder", ""), Ok(None));
        assert_eq!(path("folder", "/var/spool/x"), Ok(Some(PathBuf::from("/var/spool/x"))));
        let refused = path("folder", "spool/x").map_err(|error| error.to_string());
        assert_eq!(refused, Err("folder must be an absolute path, got \"spool/x\"".to_owned()));
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
