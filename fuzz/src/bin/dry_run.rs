// SPDX-License-Identifier: BSD-2-Clause
//! A dry run of what clients post: whatever is in an envelope, each line that is logged has room in a record, begins with who says it, and the pieces of an event make the event.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use delivery::connection::dry_run::DryRun;
use delivery::connection::request::{Body, Target};
use delivery::connection::transport::Connector;
use delivery::journal::Journal;
use event::summary::summary;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Bytes of a line, and of a payload that is logged.
const MAX_LINE: usize = 250;
const MAX_PAYLOAD: usize = 8 * 1024;
const NAMES: [&str; 3] = ["c", "shop", "a_client_that_has_a_name_of_sixty_characters_and_not_one_more"];

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Journal for Lines {
    fn log(&self, text: &str) {
        self.0.lock().push(text.to_owned());
    }
}

/// An event, or something like one.
fn event(input: &mut Bytes<'_>) -> Vec<u8> {
    let mut text = input.text();
    text.truncate(MAX_PAYLOAD + 1000);
    let text = String::from_utf8_lossy(&text).into_owned();
    let level = input.pick(&["error", "info", "a\u{7}\nb"]);
    let event = match input.byte() % 6 {
        0 => json!({ "level": level, "logentry": { "message": text } }),
        1 => json!({ "level": level, "logentry": { "message": "%s", "formatted": text } }),
        2 => json!({ "level": level, "exception": { "values": [{ "type": text, "value": "v" }] } }),
        3 => json!({ "level": level, "extra": { "a": text } }),
        4 => json!({ "extra": text }),
        _ => return text.into_bytes(),
    };
    // Where there is white space around it, that is logged as well.
    format!("{event}{}", input.pick(&["", " ", "\n"])).into_bytes()
}

/// An item of an envelope; whether all of it is as it should be.
fn item(input: &mut Bytes<'_>, out: &mut Vec<u8>, events: &mut Vec<Vec<u8>>) -> bool {
    let payload = event(input);
    let kind = input.pick(&["event", "event", "session", "attachment", "client_report", "x"]);
    let lies = input.byte();
    let length = if lies == 255 { usize::from(input.byte()) } else { payload.len() };
    out.extend_from_slice(json!({ "type": kind, "length": length, "filename": "f" }).to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&payload);
    out.push(b'\n');
    if kind == "event" {
        events.push(payload);
    }
    lies != 255
}

fn logged(run: DryRun, lines: &Lines, bytes: &[u8]) -> Vec<String> {
    let body = Body { bytes: bytes.to_vec(), ..Body::default() };
    let posted = run.transport().post(&Target::default(), &body, Duration::ZERO);
    assert_eq!(posted.result.map(|answer| answer.status), Ok(200));
    std::mem::take(&mut lines.0.lock())
}

/// The payloads that lines are of, each after the line that says what it is.
fn put_together(name: &str, id: Option<&str>, lines: &[String]) -> Vec<String> {
    let (prefix, id) = (format!("sentry {name}: "), id.unwrap_or_default());
    let of_piece = format!("{} ", &id[..id.len().min(8)]);
    let mut payloads: Vec<String> = Vec::new();
    for line in lines {
        assert!(line.len() <= MAX_LINE, "{} bytes: {line:?}", line.len());
        let rest = line.strip_prefix(&prefix).expect("who says it");
        if rest.starts_with("dry run, event ") {
            assert!(!rest.contains(|c: char| c.is_control()), "{rest:?}");
            payloads.push(String::new());
        } else {
            let (number, piece) = rest.strip_prefix(&of_piece).and_then(|rest| rest.split_once(' ')).expect("a number");
            if number.contains('/') {
                payloads.last_mut().expect("what it is of").push_str(piece);
            } else {
                assert_eq!(piece, "bytes left out");
            }
        }
    }
    payloads
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let name = input.pick(&NAMES);
    let id = input.pick(&[None, Some("fc6d8c0c43fc4630ad850ee518f1b9d0")]);
    let mut bytes = json!({ "event_id": id }).to_string().into_bytes();
    bytes.push(b'\n');
    let (mut events, mut is_whole) = (Vec::new(), true);
    for _ in 0..input.byte() % 4 {
        is_whole &= item(&mut input, &mut bytes, &mut events);
    }
    is_whole &= input.is_empty();
    bytes.extend_from_slice(input.0);

    let lines = Arc::new(Lines::default());
    let pieces = logged(DryRun::new(lines.clone(), name, summary), &lines, &bytes);
    let payloads = put_together(name, id, &pieces);
    let whole = logged(DryRun::lines(lines.clone(), name), &lines, &bytes);
    assert!(whole.len() <= 1);
    for line in &whole {
        assert!(!line.contains(['\n', '\r']));
        match serde_json::from_str::<Value>(line) {
            Ok(told) => assert!(told["client"] == name && !told["event"].is_null()),
            // JSON has larger ones than this reader.
            Err(error) => assert!(error.to_string().contains("number out of range"), "{error}"),
        }
    }
    if is_whole {
        let told = |event: &&Vec<u8>| summary("event", event).is_some();
        let expected: Vec<_> = events.iter().filter(told).collect();
        assert_eq!(payloads.len(), expected.len());
        for (payload, event) in payloads.iter().zip(expected) {
            let event = String::from_utf8_lossy(event);
            assert!(event.starts_with(payload) && payload.len() >= event.len().min(MAX_PAYLOAD - 3));
        }
    }
});
