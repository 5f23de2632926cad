// SPDX-License-Identifier: BSD-2-Clause
//! What the server says beside its log, of a panic and of a backend: of a request that was under way nothing goes that the manual says is filtered; panics that differ in numbers only are one kind.
#![no_main]

use std::fmt::Write;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use event::capture::fields::Fields;
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::task_log::LogForm;
use event::error_event::Form;
use fuzz::body::Body;
use fuzz::bytes::Bytes;
use fuzz::records::SECRET;
use libfuzzer_sys::fuzz_target;
use protocol::event_id::EventId;
use varnishsentry::filter::health::Turn;
use varnishsentry::report::news::News;
use varnishsentry::report::panic::Panic;

/// Of all lines of a message. A byte that is no text takes fifteen when it is quoted, and all of a panic is 64 KiB at most.
const MAX_LINES: usize = 4000;
/// Where the client is.
const ADDRESS: &str = "192.0.2.177";

/// As the server writes a text between quotes (VSB_quote).
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', byte.into()]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            b' '..=b'~' => quoted.push(byte.into()),
            _ => drop(write!(quoted, "\\{byte:03o}")),
        }
    }
    quoted
}

/// A line of the request's message, some of which hold a secret; others are as long as there is room `left`.
fn line(input: &mut Bytes<'_>, left: &mut usize) -> String {
    let noise = input.word("abc/.,: ?&=%\"\\;", 20);
    match input.byte() % 8 {
        0 => format!("Authorization: {noise} {SECRET}"),
        1 => format!("Cookie: lang=de; my_session={SECRET}{noise}"),
        2 => format!("/a?x={noise}&access_token={SECRET}"),
        3 => format!("https://user:{SECRET}@h/{noise}"),
        4 => format!("X-Api-Key: {SECRET}"),
        5 => format!("X-Any: {noise}"),
        _ => {
            let mut text = input.text();
            text.truncate(*left);
            *left -= text.len();
            String::from_utf8_lossy(&text).replace("hunter", "-")
        }
    }
}

/// A panic's text, with what is in it that differs each time.
fn text(input: &mut Bytes<'_>, numbers: [u64; 3], what: &str, message: &[String]) -> String {
    let [address, pid, time] = numbers;
    let mut text = format!(
        "Panic at: {time}\nAssert error in f(), cache/x.c line 8{what}34:\n  Condition({what} == 0x{address:x}) not true. (pid={pid})\n\
         version = varnish-7.1.1 revision 7cee, vrt api = 15.0\nident = Linux\nBacktrace:\n  0x{address:x}: varnishd(+0x5908c)\n\
         thr.req = 0x{address:x} {{\n  req = {{\n    client = {ADDRESS} 4711 a0,\n    http[req] = {{\n"
    );
    for line in message {
        // The last digit of an octal number may be its first.
        text.push_str(&format!("        \"{}\",\n", quoted(line).replace(ADDRESS, "-")));
    }
    text.push_str("      },\n");
    if input.flag() { text } else { text.replace('\\', "\\\\").replace('"', "\\\"") }
}

fn body(panic: Panic, form: LogForm) -> Body {
    let log = Panic::task_log(form);
    let mut fields = Fields::default();
    News::Died { pid: 7, seconds: 9, panic: Some(panic) }.write(&mut fields, Level::Fatal);
    let mut record = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Fatal, Arc::default(), fields);
    record.log = log;
    Body::of(record, Form::default())
}

/// Anything that calls itself one.
fn any(text: &[u8]) {
    let rest = String::from_utf8_lossy(text);
    let any = Panic::new(&rest);
    assert!(any.what().len() <= 1000 && any.what().lines().count() == 1 && !any.what().is_empty());
    assert!(!any.fingerprint().split(' ').any(|word| word.contains("0x")));
    body(any, LogForm::Both);

    if let Some(turn) = Turn::parse(text) {
        assert!(fuzz::body::has(text, "Went "));
        let mut fields = Fields::default();
        News::Backend { turn, text }.write(&mut fields, Level::Error);
        let record = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, Arc::default(), fields);
        let shown = Body::of(record, Form::default());
        assert_eq!(shown.event["tags"]["filter"], if turn.is_sick { "backend_sick" } else { "backend_healthy" });
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    if input.byte() % 4 == 0 {
        return any(input.0);
    }
    let form = input.pick(&[LogForm::Both, LogForm::None, LogForm::Breadcrumbs]);
    let numbers = [0x5590_0000_0000 | u64::from(input.byte()), 100_000 + u64::from(input.byte()), 1_795_972_469];
    let what = input.word("abc.()! ", 12);
    let mut left = MAX_LINES;
    let lines: Vec<_> = (0..input.byte() % 6).map(|_| line(&mut input, &mut left)).collect();
    let text = text(&mut input, numbers, &what, &lines);
    let panic = Panic::new(&text);
    let shown = body(panic.clone(), form);
    assert!(!shown.shows(SECRET) && !shown.shows(ADDRESS), "{}", String::from_utf8_lossy(&shown.bytes));
    assert!(panic.what().len() <= 1000 && panic.what().lines().count() == 1);
    let other = self::text(&mut input, [0x7f00_1234_5678, 99_999, 2], &what, &[]);
    assert_eq!(panic.fingerprint(), Panic::new(&other).fingerprint());
});
