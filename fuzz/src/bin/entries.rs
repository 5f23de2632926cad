// SPDX-License-Identifier: BSD-2-Clause
//! Pages of a denylist, which begin wherever somebody says: what is no place is none, from any place on come the entries behind it, each once and in their order; and what objects are called is JSON whatever they
//! are called.
#![no_main]

#[path = "../../../saintmode/src/view/json.rs"]
mod json;

use denylist::{Denylist, Entry, Position, Time};
use fuzz::bytes::Bytes;
use json::Quoted;
use libfuzzer_sys::fuzz_target;

/// When the questions are asked; some entries are over by then.
const NOW: f64 = 1_790_000_000.0;
const MILLIS: i64 = 1_790_000_000_000;

fn milliseconds(input: &mut Bytes<'_>) -> i64 {
    match input.byte() {
        near @ 0..=199 => i64::from(near) - 20,
        200..=229 => u16::from_le_bytes(input.array()).into(),
        _ => 0,
    }
}

/// A text that is a place, or nearly; and the place if it is one.
fn place(input: &mut Bytes<'_>) -> (String, Option<(i64, u32)>) {
    let (until, slot) = (MILLIS + milliseconds(input), u32::from(input.byte()) % 40);
    let slot = if input.byte() == 255 { u32::MAX } else { slot };
    let known = |until: i64, slot: u32| (format!("{until}-{slot}"), Some((until, slot)));
    match input.byte() % 12 {
        0 => known(0, slot),
        1 => known(i64::MAX, slot),
        2 => (format!("{until}-{}", u64::from(slot) + (1 << 32)), None),
        3 => (format!("{until}--{slot}"), None),
        4 => (format!(" {until}-{slot}"), None),
        5 => (format!("{until}"), None),
        6 => (format!("9{}-{slot}", i64::MAX), None),
        7 => (String::from_utf8_lossy(&input.text()).into_owned(), None),
        _ => known(until, slot),
    }
}

/// Where it says that it is.
fn at(entry: &Entry) -> (i64, u32) {
    let text = entry.position.to_string();
    let (until, slot) = text.split_once('-').unwrap();
    (until.parse().unwrap(), slot.parse().unwrap())
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let now = Time::from_seconds(NOW);
    let list = Denylist::new(1, input.pick(&[32, 1, 7, 100]));
    let (text, place) = place(&mut input);
    let most = usize::from(input.byte() % 40);
    let count = input.byte();
    let name = input.take(count.into());
    let before = now.plus(-1.0);
    while !input.is_empty() {
        let (object, millis) = (input.byte() % 64, milliseconds(&mut input));
        list.deny(&[object; 32], now.plus(millis as f64 / 1000.0), before);
    }
    let all = list.entries(None, usize::MAX, now);
    assert_eq!(all.len() as u64, list.live(now));
    assert!(all.iter().is_sorted_by(|one, next| at(one) < at(next)));
    for entry in &all {
        assert!(entry.until >= now && entry.until == Time::from_seconds(at(entry).0 as f64 / 1000.0));
        assert_eq!(entry.position.to_string().parse(), Ok(entry.position));
    }
    // From its own places on, page by page, everything comes once.
    let (mut pages, mut position) = (Vec::new(), None);
    loop {
        let page = list.entries(position, most.max(1), now);
        assert!(page.len() <= most.max(1));
        position = page.last().map(|entry| entry.position);
        pages.extend(page);
        if position.is_none() {
            break;
        }
    }
    assert_eq!(pages, all);

    let position = text.parse::<Position>();
    if let Some(place) = place {
        let behind: Vec<_> = all.iter().filter(|entry| at(entry) > place).copied().collect();
        let position = position.unwrap_or_else(|_| panic!("{text} is a place"));
        assert_eq!(list.entries(Some(position), usize::MAX, now), behind, "behind {text}");
        assert_eq!(list.entries(Some(position), most, now), behind[..behind.len().min(most)]);
    } else if let Ok(position) = position {
        // A text of the fuzzer's own: numbers may be written in other ways.
        assert!(text.bytes().all(|byte| byte.is_ascii_digit() || b"+-".contains(&byte)), "{text:?}");
        assert_eq!(position.to_string().parse(), Ok(position));
    }

    let name = String::from_utf8_lossy(name);
    let quoted = Quoted(&name).to_string();
    assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), *name);
});
