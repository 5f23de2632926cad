// SPDX-License-Identifier: BSD-2-Clause
//! The sample rate: which share of the events is kept, by chance.

/// Equal parts that the range of chance is seen in: as many as a double counts exactly.
const PARTS: f64 = (1_u64 << 53) as f64;

/// A share of all events, in parts that compare exactly: settings with equal rates are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleRate {
    kept: u64,
}

impl SampleRate {
    /// The share `rate`; below 0 counts as 0, above 1 as 1.
    pub fn new(rate: f64) -> SampleRate {
        // `as` takes NaN for 0.
        SampleRate { kept: (rate.clamp(0.0, 1.0) * PARTS).round() as u64 }
    }

    /// Whether an event is kept. `random` is asked only if the answer is up to chance.
    pub fn keeps(self, random: impl FnOnce() -> u64) -> bool {
        let all = PARTS as u64;
        self.kept == all || (self.kept > 0 && random() >> 11 < self.kept)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_or_none_does_not_ask_chance() {
        assert!(SampleRate::new(1.0).keeps(|| panic!("asked")));
        assert!(!SampleRate::new(0.0).keeps(|| panic!("asked")));
    }

    #[test]
    fn the_rate_parts_the_range_of_chance_where_it_says() {
        let quarter = SampleRate::new(0.25);
        for (random, kept) in [(0, true), ((1 << 62) - 1, true), (1 << 62, false), (u64::MAX, false)] {
            assert_eq!(quarter.keeps(|| random), kept, "{random}");
        }
    }

    proptest! {
        #[test]
        fn a_higher_rate_keeps_what_a_lower_one_keeps(low in 0.0..=1.0, high in 0.0..=1.0, random in any::<u64>()) {
            let (low, high) = if low < high { (low, high) } else { (high, low) };
            let keeps = |rate| SampleRate::new(rate).keeps(|| random);
            prop_assert!(keeps(high) || !keeps(low));
            prop_assert_eq!(low == high, SampleRate::new(low) == SampleRate::new(high));
        }
    }
}
