// SPDX-License-Identifier: BSD-2-Clause
//! The random value of a trace: whoever samples in it compares a rate with this one value, so that all servers decide alike
//! (develop.sentry.dev/sdk/foundations/trace-propagation, "Propagated Random Value").

use std::fmt;

use crate::trace::Trace;

/// As many values there are: six digits behind the point.
const VALUES: u32 = 1_000_000;

/// The value, from 0 on and below 1; shows as `0.123456`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRand(u32);

impl SampleRand {
    /// That of a trace which begins here. It follows from the trace's id alone, so that it need not be kept with it.
    pub fn begun(trace: &Trace) -> SampleRand {
        SampleRand::between(trace, 0, VALUES)
    }

    /// That of a trace which came without one: less than `sample_rate` if and only if the decision that came with the trace is to
    /// sample it. Without a decision, or a rate from 0 to 1, as where a trace begins; `None` if no value can lead to the decision.
    pub fn continued(trace: &Trace, sample_rate: Option<&str>) -> Option<SampleRand> {
        let rate = sample_rate.and_then(|rate| rate.parse().ok()).filter(|rate| (0.0..=1.0).contains(rate));
        let (from, to) = match (trace.sampled(), rate.map(values_below)) {
            (Some(true), Some(bound)) => (0, bound),
            (Some(false), Some(bound)) => (bound, VALUES),
            _ => (0, VALUES),
        };
        (from < to).then(|| SampleRand::between(trace, from, to))
    }

    /// Whether what came with a trace is such a value.
    pub fn is_one(text: &str) -> bool {
        text.parse::<f64>().is_ok_and(|value| (0.0..1.0).contains(&value))
    }

    /// The value that the trace has among those from `from` on and below `to`.
    fn between(trace: &Trace, from: u32, to: u32) -> SampleRand {
        let share = u128::from(to - from) * u128::from(mixed(trace.low()));
        // Below `to - from`, and so a `u32`.
        SampleRand(from + (share >> 64) as u32)
    }
}

impl fmt::Display for SampleRand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0.{:06}", self.0)
    }
}

/// How many values are less than `rate`, compared as whoever reads their six digits does it.
fn values_below(rate: f64) -> u32 {
    let nearest = (rate * f64::from(VALUES)).round() as u32;
    nearest + u32::from(f64::from(nearest) / f64::from(VALUES) < rate)
}

/// Spreads ids that were counted, or have bits which are always the same, over all values (the finalizer of SplitMix64).
fn mixed(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begun(random: u64) -> Trace {
        Trace::of(std::iter::empty(), || random)
    }

    fn continued(low: u64, decision: &str) -> Trace {
        let line = format!("sentry-trace: 0000000000000001{low:016x}-00f067aa0ba902b7{decision}");
        Trace::of([line.as_bytes()].into_iter(), || 1)
    }

    #[test]
    fn a_value_has_six_digits_and_is_the_traces_own() {
        assert_eq!(SampleRand(0).to_string(), "0.000000");
        assert_eq!(SampleRand(42).to_string(), "0.000042");
        assert_eq!(SampleRand(999_999).to_string(), "0.999999");
        assert_eq!(SampleRand::begun(&begun(7)), SampleRand::begun(&begun(7)));
        assert_ne!(SampleRand::begun(&begun(7)), SampleRand::begun(&begun(8)));
    }

    #[test]
    fn the_values_of_ids_that_are_counted_lie_everywhere() {
        let mut tenths = [0; 10];
        for low in 1..=10_000 {
            let SampleRand(value) = SampleRand::begun(&continued(low, ""));
            tenths[(value / 100_000) as usize] += 1;
        }
        assert!(tenths.iter().all(|number| (900..1100).contains(number)), "{tenths:?}");
    }

    #[test]
    fn what_is_no_number_from_zero_to_one_is_none() {
        for (text, is_one) in [
            ("0", true),
            ("0.0", true),
            ("0.5", true),
            ("0.123456", true),
            ("0.9999999", true),
            ("1e-3", true),
            ("1", false),
            ("1.0", false),
            ("-0.1", false),
            ("nan", false),
            ("inf", false),
            ("", false),
            ("0,5", false),
            ("true", false),
        ] {
            assert_eq!(SampleRand::is_one(text), is_one, "{text}");
        }
    }

    #[test]
    fn values_less_than_a_rate_are_counted_as_they_are_compared() {
        for (rate, below) in [
            (0.0, 0),
            (1e-9, 1),
            (0.000001, 1),
            (0.07, 70_000),
            (0.29, 290_000),
            (0.3333335, 333_334),
            (0.9999995, 1_000_000),
            (1.0, 1_000_000),
        ] {
            assert_eq!(values_below(rate), below, "{rate}");
        }
    }

    #[test]
    fn a_decision_that_no_value_leads_to_has_none() {
        for (decision, rate) in [("-1", "0"), ("-1", "0.0"), ("-0", "1"), ("-0", "0.9999999")] {
            assert_eq!(SampleRand::continued(&continued(7, decision), Some(rate)), None, "{decision} {rate}");
        }
        let begun = Some(SampleRand::begun(&continued(7, "")));
        for (decision, rate) in
            [("", Some("0.5")), ("-1", None), ("-0", Some("x")), ("-0", Some("2")), ("-1", Some("-0.1"))]
        {
            assert_eq!(SampleRand::continued(&continued(7, decision), rate), begun, "{decision} {rate:?}");
        }
    }

    proptest! {
        #[test]
        fn the_value_leads_to_the_decision_that_came_with_the_trace(
            low in 1_u64..,
            sampled: bool,
            rate in prop_oneof![0.0_f64..=1.0, (0_u32..=VALUES).prop_map(|value| f64::from(value) / f64::from(VALUES))],
        ) {
            let trace = continued(low, if sampled { "-1" } else { "-0" });
            match SampleRand::continued(&trace, Some(&rate.to_string())) {
                Some(value) => {
                    let text = value.to_string();
                    prop_assert!(text.len() == 8 && SampleRand::is_one(&text), "{}", text);
                    prop_assert_eq!(text.parse::<f64>().unwrap() < rate, sampled);
                }
                None => prop_assert!(rate == 0.0 || rate > 0.999999),
            }
        }
    }
}
