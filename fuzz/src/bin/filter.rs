// SPDX-License-Identifier: BSD-2-Clause
//! The filter: a secret in notations up to three deep is nowhere in what would be sent, whichever way out the text takes.
#![no_main]

#[path = "../../../crates/event/tests/promise/mod.rs"]
mod promise;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use event::capture::content::Content;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::error_event::Form;
use fuzz::body::{Body, has};
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use privacy::settings::{Privacy, PrivacyArguments};
use promise::SECRET;
use promise::wrap::wrapped;
use protocol::event_id::EventId;

/// What may stand around the text, and begins or ends nothing in it.
const NOISE: &str = "ax09 .\n";

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (send_pii, anonymize_ip) = (input.flag(), input.flag());
    let privacy = PrivacyArguments { anonymize_ip, ..PrivacyArguments::default() };
    let privacy = Privacy::new(&privacy).unwrap();
    let innermost = input.byte();
    let depth = usize::from(input.byte() % 4);
    let ways = &input.array::<3>()[..depth];
    let text = wrapped(innermost, ways);
    let (before, behind) = (input.word(NOISE, 12), input.word(NOISE, 12));
    let text = format!("{before} {text} {behind}");
    let mut fields = Fields::default();
    let mut put = |kind, name: &[u8], value: String| fields.put(kind, name, value.as_bytes());
    let name = [&[Content::Text as u8], &b"error\0Tag\0rule"[..]].concat();
    match input.byte() % 4 {
        0 => put(Kind::Reason, b"", text),
        1 => put(Kind::Match, &name, text),
        2 => put(Kind::RequestHeader, b"", format!("X-Any: {text}")),
        _ => put(Kind::ResponseHeader, b"", format!("X-Any: {text}")),
    }
    // What else was said.
    while !input.is_empty() {
        let other = input.text();
        if !has(&other, SECRET) {
            fields.put(Kind::RequestHeader, b"", &[b"X-Other: ", &*other].concat());
        }
    }
    let record = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, Arc::default(), fields);
    let body = Body::of(record, Form { send_pii, privacy, ..Form::default() });
    assert!(!body.shows(SECRET), "{}", String::from_utf8_lossy(&body.bytes));
});
