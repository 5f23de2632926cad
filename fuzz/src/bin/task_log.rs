// SPDX-License-Identifier: BSD-2-Clause
//! The log of a task: whatever words are in its buffer, the reader stays within and comes to an end, and what is shown of it is
//! text without the secrets that it holds.
#![no_main]

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::task_log::{FileForm, LogForm, LogLine, TaskLog};
use event::error_event::Form;
use event::vsl::tags::{content, level};
use fuzz::body::{Body, has};
use fuzz::bytes::Bytes;
use fuzz::records::{SECRET, record, secret};
use fuzz::tags::time;
use libfuzzer_sys::fuzz_target;
use protocol::event_id::EventId;
use shim::log::{ALL, Log, tag_name};

/// As many bytes as an event takes of the log.
const MAX_LOG: usize = 16 * 1024;
/// What a file may have, which ends with the line that goes beyond; see `event::payload::log_file`.
const MAX_FILE: usize = 128 * 1024 + 4096;

/// A buffer with records in it, and words that are none; whether all of the secrets in it are where they are known for it.
fn words(mut input: Bytes<'_>) -> (Vec<u32>, bool) {
    let (mut words, mut intact) = (Vec::new(), true);
    while !input.is_empty() {
        match input.byte() {
            0..=31 => {
                // Behind it, any text may pass for any record.
                words.push(u32::from_ne_bytes(input.array()));
                intact = false;
            }
            32..=63 => {
                // Of a known tag, with whatever it has to hide.
                let (tag, text) = secret(&mut input);
                record(&mut words, tag, &[], text.as_bytes());
            }
            tag => {
                let (tag, mut text) = (tag.wrapping_add(input.byte()), input.text());
                // What a head's length has room for.
                text.truncate(60_000);
                record(&mut words, tag, &[], &text);
                intact &= !has(&text, SECRET);
            }
        }
    }
    (words, intact)
}

/// As the module's own reader (src/task_log.rs), which looks at a copy of the bytes.
fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
    let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
    let (within, mut before) = (words.as_ptr_range(), 0);
    for record in Log::of(&words).records(0, ALL) {
        let text = record.text.as_ptr_range();
        assert!(text.start >= within.start.cast() && text.end <= within.end.cast());
        assert!(record.end > before && record.end <= words.len());
        before = record.end;
        if let Some(tag) = tag_name(record.tag) {
            let (text, content, level) = (record.text, content(tag), level(tag));
            each(LogLine { tag, text, content, level, at: time(record.tag, text), begins: None });
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (form, send_pii) = (input.pick(&[LogForm::Both, LogForm::Breadcrumbs, LogForm::Attachment]), input.flag());
    let gap = input.pick(&[None, Some("restart")]);
    let (words, intact) = words(input);
    if words.len() * 4 > Fields::MAX_SIZE {
        return;
    }
    let log = Log::of(&words);
    // From any of them on it is the same log.
    let mut from = 0;
    for record in log.records(0, ALL) {
        assert_eq!(log.records(from, ALL).next().map(|next| next.end), Some(record.end));
        from = record.end;
    }
    assert!(log.records(from, ALL).next().is_none());
    let newest = log.newest(MAX_LOG);
    assert!(newest.len() <= MAX_LOG && newest.len().is_multiple_of(4));

    let id = EventId::from_random([7; 16]);
    let mut fields = Fields::default();
    fields.begin_scopes();
    fields.put(Kind::Log, b"", newest);
    let mut record = Record::new(id, UNIX_EPOCH, Level::Error, Arc::default(), fields);
    record.log = Some(TaskLog { form, read, file: FileForm::Varnishlog, transaction: "Request", id: 32_770, gap });
    let body = Body::of(record, Form { send_pii, ..Form::default() });
    assert!(!intact || !body.shows(SECRET), "{}", String::from_utf8_lossy(&body.bytes));
    if let Some(file) = &body.file {
        assert!(form != LogForm::Breadcrumbs && file.len() <= MAX_FILE);
        assert!(!file.contains(|c: char| c.is_control() && c != '\n'));
        let mut lines = file.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("*   << Request  >> 32770")));
        assert_eq!(lines.next_back(), Some(""));
        assert!(lines.all(|line| line.starts_with("-   ")));
    }
    let crumbs = body.event["breadcrumbs"]["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(crumbs.len() <= 100 && (form != LogForm::Attachment || crumbs.is_empty()));
    assert!(crumbs.is_sorted_by(|one, next| one["timestamp"].as_f64() <= next["timestamp"].as_f64()));
});
