// SPDX-License-Identifier: BSD-2-Clause
//! What the manager shows of `vsl_mask`: of some tags those are told that it hides, and no others, however it is written.
#![no_main]

use std::sync::LazyLock;

use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vapi::tags::installed;
use varnishsentry::commands::check::hidden;

static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| installed().iter().map(|(_, name)| name).collect());

/// As the manager shows it.
fn shown(words: &[String], between: &str, end: &str) -> String {
    let value = words.join(between);
    format!(
        "vsl_mask\n        Value is: {value}{end}\n        Default is: -Debug,-Hash,-FetchError\n\n        -ObjHeader\n"
    )
}

/// In small letters, some of it.
fn spelled(name: &str, cases: u8) -> String {
    let spell = |(at, c): (usize, char)| if cases >> (at % 8) & 1 == 1 { c.to_ascii_lowercase() } else { c };
    name.chars().enumerate().map(spell).collect()
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (between, end) = (input.pick(&[",", ", ", ",  ", " "]), input.pick(&["", " (default)", "\r"]));
    let needed: Vec<_> = (0..input.byte() % 8).map(|_| input.pick(&NAMES)).collect();
    let (mut words, mut masked) = (Vec::new(), Vec::new());
    for _ in 0..input.byte() % 24 {
        // Most are of those that are asked for.
        let name = if needed.is_empty() || input.flag() { input.pick(&NAMES) } else { input.pick(&needed) };
        let cases = input.byte();
        match input.byte() % 8 {
            0 => words.push(format!("+{name}")),
            1 => words.push(spelled(name, cases)),
            2 => words.push(format!("-{name}x")),
            3 => words.push(format!("-x{name}")),
            _ => {
                words.push(format!("-{}", spelled(name, cases)));
                masked.push(name);
            }
        }
    }
    let text = shown(&words, between, end);
    let expected: Vec<_> = needed.iter().copied().filter(|name| masked.contains(name)).collect();
    assert_eq!(hidden(&text, needed.clone()), expected, "{text}");

    // Anything else that calls itself one.
    let rest = String::from_utf8_lossy(input.0);
    for text in [&*rest, &format!("Value is:{rest}")] {
        for name in hidden(text, NAMES.clone()) {
            let said = text.to_ascii_lowercase().contains(&format!("-{}", name.to_ascii_lowercase()));
            assert!(said, "{name} in {text:?}");
        }
    }
});
