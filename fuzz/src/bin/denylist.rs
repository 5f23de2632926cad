// SPDX-License-Identifier: BSD-2-Clause
//! The denylist: whatever is done to it in whatever order, it says what a model says that is too simple to be wrong.
#![no_main]

#[path = "../../../crates/denylist/tests/naive/mod.rs"]
mod naive;

use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use naive::{OBJECTS, Step, compare};

/// Times that meet, some that do not, and those at the end of the clock. They are short enough for all of an input to end long before
/// the year 2500, from which on the list has one time only.
fn seconds(input: &mut Bytes<'_>) -> f64 {
    match input.byte() {
        millis @ 0..=199 => f64::from(millis % 20) / 1000.0,
        200..=229 => f64::from(u16::from_le_bytes(input.array())) / 8.0,
        230..=243 => f64::from(u16::from_le_bytes(input.array())) * 256.0,
        244..=247 => -0.001,
        248..=251 => f64::NAN,
        _ => f64::INFINITY,
    }
}

/// One that is not off: there, entries cannot be seen one by one.
fn threshold(input: &mut Bytes<'_>) -> u64 {
    1 + u64::from(input.byte() % 7)
}

fn step(input: &mut Bytes<'_>) -> Step {
    let object = |input: &mut Bytes<'_>| input.byte() % OBJECTS;
    match input.byte() % 16 {
        0..6 => Step::Deny(object(input), seconds(input)),
        6 | 7 => Step::Wait(seconds(input).clamp(0.0, 1e6)),
        8 | 9 => Step::WaitFor(object(input), input.pick(&[0.0, 0.001])),
        10 => Step::Allow(object(input)),
        11 => Step::Clear,
        12 => Step::SetThreshold(threshold(input)),
        _ => Step::Ask,
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (threshold, max_entries) = (threshold(&mut input), usize::from(input.byte() % 10));
    compare(threshold, max_entries, std::iter::from_fn(|| (!input.is_empty()).then(|| step(&mut input))));
});
