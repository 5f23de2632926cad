// SPDX-License-Identifier: BSD-2-Clause
//! A dry run: in place of posting an envelope, its items are written to the log.
//!
//! They have passed all that would hold them back from a server, so the log is not flooded either.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::{Answer, Body, Target};
use super::transport::{Abort, Connector, Posted, Transport};
use crate::journal::Journal;

/// Bytes of a line. varnishd cuts records at its parameter vsl_reclen, 255 by default.
const MAX_LINE: usize = 250;
/// Bytes of a piece of a payload in a line; less if the client has a long name, but never below the second.
const PIECE: (usize, usize) = (200, 64);
/// Bytes of a payload that are written.
const MAX_PAYLOAD: usize = 8 * 1024;
/// Bytes of an envelope that are looked at.
const MAX_ENVELOPE: u64 = 64 * 1024 * 1024;

/// What one line can say of an item: by its type, of its payload. An item of which nothing is to be said is not written.
pub type Describe = fn(kind: &str, payload: &[u8]) -> Option<String>;

/// Takes every envelope and sends none.
#[derive(Clone)]
pub struct DryRun {
    /// `None` writes nothing: without a DSN there is nobody to send to, and nothing to try out.
    journal: Option<Arc<dyn Journal>>,
    form: Form,
    name: String,
}

/// How an envelope is written.
#[derive(Clone, Copy)]
enum Form {
    /// In lines as short as records of varnishd's log: what there is to say of an item, and its payload in pieces.
    Pieces(Describe),
    /// An event with its files in one line of JSON.
    Line,
}

#[derive(Deserialize)]
struct EnvelopeHead<'a> {
    event_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct ItemHead<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    length: usize,
    filename: Option<&'a str>,
}

/// What [`Form::Line`] has.
#[derive(Serialize)]
struct Line<'a> {
    client: &'a str,
    event: &'a RawValue,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<&'a str, Cow<'a, str>>,
}

impl DryRun {
    /// Lines start with `sentry` and the client's `name`, as its notices do.
    pub fn new(journal: Arc<dyn Journal>, name: &str, describe: Describe) -> DryRun {
        DryRun { journal: Some(journal), form: Form::Pieces(describe), name: name.to_owned() }
    }

    /// Each event is a line, as JSON: `{"client": its name, "event": …, "files": {"name": "text"}}`. What is no event is not written.
    pub fn lines(journal: Arc<dyn Journal>, name: &str) -> DryRun {
        DryRun { journal: Some(journal), form: Form::Line, name: name.to_owned() }
    }

    /// One that is not even logged, for a client whose entries only Spotlight gets.
    pub fn silent() -> DryRun {
        DryRun { journal: None, form: Form::Line, name: String::new() }
    }

    fn log_envelope(&self, journal: &dyn Journal, envelope: &[u8]) -> Option<()> {
        let (head, rest) = line(envelope)?;
        let head: EnvelopeHead<'_> = serde_json::from_slice(head).ok()?;
        let id = head.event_id.unwrap_or_default();
        let mut event = None;
        let mut files = BTreeMap::new();
        for (item, payload) in items(rest) {
            match (self.form, item.kind, item.filename) {
                (Form::Pieces(describe), kind, _) => {
                    if let Some(text) = describe(kind, payload) {
                        self.log(journal, kind, id, &text, &String::from_utf8_lossy(payload));
                    }
                }
                (Form::Line, "event", _) => event = serde_json::from_slice(payload).ok(),
                (Form::Line, "attachment", Some(name)) => drop(files.insert(name, String::from_utf8_lossy(payload))),
                (Form::Line, ..) => {}
            }
        }
        let line = serde_json::to_string(&Line { client: &self.name, event: event?, files }).ok()?;
        // Where there is one, it stands between two tokens of the event.
        journal.log(&line.replace(['\n', '\r'], " "));
        Some(())
    }

    /// What lines begin with, as those of the client's notices do.
    fn prefix(&self) -> String {
        format!("sentry {}: ", self.name)
    }

    fn log(&self, journal: &dyn Journal, kind: &str, id: &str, text: &str, payload: &str) {
        let prefix = self.prefix();
        let begin = format!("{prefix}dry run, {kind} {id}, ");
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = head(&text, MAX_LINE.saturating_sub(begin.len()));
        journal.log(&format!("{begin}{text}"));

        let id = head(id, 8);
        // The longest number of a piece is "127/128": 8 KiB in pieces of the smallest size.
        let room = MAX_LINE.saturating_sub(prefix.len() + id.len() + " 127/128 ".len());
        let written = head(payload, MAX_PAYLOAD);
        let pieces = pieces(written, room.clamp(PIECE.1, PIECE.0));
        let count = pieces.len();
        for (number, piece) in (1..).zip(pieces) {
            journal.log(&format!("{prefix}{id} {number}/{count} {piece}"));
        }
        let left_out = payload.len() - written.len();
        if left_out > 0 {
            journal.log(&format!("{prefix}{id} {left_out} bytes left out"));
        }
    }
}

impl Transport for DryRun {
    fn post(&mut self, _: &Target, body: &Body, _: Duration) -> Posted {
        if let Some(journal) = &self.journal {
            self.log_envelope(&**journal, &plain(body));
        }
        Posted { result: Ok(Answer { status: 200, ..Answer::default() }), reconnects: 0 }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        Arc::new(Instant)
    }
}

impl Connector for DryRun {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }
}

/// A post that waits for nothing has no end but its own.
struct Instant;

impl Abort for Instant {
    fn abort(&self) {}
}

/// The body as it was before compression.
fn plain(body: &Body) -> Cow<'_, [u8]> {
    if body.encoding != Some("gzip") {
        return Cow::Borrowed(&body.bytes);
    }
    let mut bytes = Vec::new();
    // What breaks off is written as far as it goes.
    let _ = GzDecoder::new(&*body.bytes).take(MAX_ENVELOPE).read_to_end(&mut bytes);
    Cow::Owned(bytes)
}

/// Items with their payloads, up to where there is none.
fn items(mut rest: &[u8]) -> impl Iterator<Item = (ItemHead<'_>, &[u8])> {
    std::iter::from_fn(move || {
        let (item, after) = line(rest)?;
        let item: ItemHead<'_> = serde_json::from_slice(item).ok()?;
        let (payload, after) = after.split_at_checked(item.length)?;
        rest = after.strip_prefix(b"\n").unwrap_or(after);
        Some((item, payload))
    })
}

/// The first line, and what follows; `None` at the end.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end).filter(|_| !bytes.is_empty())?;
    Some((line, rest.get(1..).unwrap_or_default()))
}

/// As much of `text` as has room in `size` bytes.
fn head(text: &str, size: usize) -> &str {
    let end = (0..=size.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// `text` in pieces of at most `size` bytes, which must be more than a character has.
fn pieces(mut text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at_checked(head(text, size).len()).unwrap_or((text, ""));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use protocol::envelope::{Envelope, JSON};
    use protocol::event_id::EventId;

    use super::*;
    use crate::connection::gzip::Compressor;
    use crate::journal::tests::Lines;

    /// Says the level, and what follows it in the payload; of reports nothing.
    fn describe(kind: &str, payload: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(payload).ok()?;
        (kind != "client_report").then(|| format!("error: {}", text.trim_matches(['"', '{', '}'])))
    }

    fn lines_of(name: &str, body: &Body) -> Vec<String> {
        let lines = Arc::new(Lines::default());
        let mut transport = DryRun::new(lines.clone(), name, describe).transport();
        let posted = transport.post(&Target::default(), body, Duration::ZERO);
        assert_eq!(posted.result.map(|answer| answer.status), Ok(200));
        let lines = lines.0.lock();
        lines.clone()
    }

    fn written(items: &[(&str, &str)]) -> Vec<u8> {
        let mut envelope = Envelope::default();
        envelope.set_event_id(EventId::from_random([0xab; 16]));
        for (kind, payload) in items {
            envelope.add_item(0, kind, JSON, "", payload.as_bytes());
        }
        let mut bytes = Vec::new();
        envelope.write_header(UNIX_EPOCH, &mut bytes);
        bytes.extend_from_slice(envelope.items());
        bytes
    }

    fn logged(name: &str, payload: &str) -> Vec<String> {
        lines_of(name, &Body { bytes: written(&[("event", payload)]), encoding: None, ..Body::default() })
    }

    /// The pieces put together again.
    fn joined(lines: &[String]) -> String {
        let pieces = lines.iter().enumerate().map(|(at, line)| {
            let (_, piece) = line.split_once(&format!(" {}/{} ", at + 1, lines.len())).expect("a numbered piece");
            piece
        });
        pieces.collect()
    }

    #[test]
    fn the_first_line_tells_what_it_is_and_reports_are_not_told() {
        let id = "abababababab4bababababababababab";
        let body = written(&[("event", "\"a\r\nb\""), ("client_report", "{}"), ("check_in", "\"c\"")]);
        let expected = [
            &format!("sentry shop: dry run, event {id}, error: a  b"),
            "sentry shop: abababab 1/1 \"a\r\nb\"",
            &format!("sentry shop: dry run, check_in {id}, error: c"),
            "sentry shop: abababab 1/1 \"c\"",
        ];
        assert_eq!(lines_of("shop", &Body { bytes: body.clone(), encoding: None, ..Body::default() }), expected);
        // Compressed as for a server.
        let mut packed = Body::default();
        let padding = " ".repeat(2000);
        Compressor::default().compress(&[&written(&[("event", &format!("\"a\"{padding}"))])], &mut packed);
        assert_eq!(packed.encoding, Some("gzip"));
        assert_eq!(joined(&lines_of("shop", &packed)[1..]).trim_end(), "\"a\"");
    }

    #[test]
    fn an_event_with_its_files_is_one_line_of_json_and_nothing_else_is() {
        let lines_of = |bytes: Vec<u8>| {
            let lines = Arc::new(Lines::default());
            let mut transport = DryRun::lines(lines.clone(), "shop").transport();
            let posted = transport.post(&Target::default(), &Body { bytes, ..Body::default() }, Duration::ZERO);
            assert_eq!(posted.result.map(|answer| answer.status), Ok(200));
            let lines = lines.0.lock();
            lines.clone()
        };
        let mut envelope = Envelope::default();
        envelope.add_item(0, "event", JSON, "", b"{\"level\":\"error\"}");
        envelope.add_item(1, "attachment", "text/plain", ",\"filename\":\"a.txt\"", b"one\n\"two\"\xff");
        let mut bytes = Vec::new();
        envelope.write_header(UNIX_EPOCH, &mut bytes);
        bytes.extend_from_slice(envelope.items());
        let expected = r#"{"client":"shop","event":{"level":"error"},"files":{"a.txt":"one\n\"two\"�"}}"#;
        assert_eq!(lines_of(bytes), [expected]);
        assert_eq!(lines_of(written(&[("event", "{}")])), [r#"{"client":"shop","event":{}}"#]);
        assert_eq!(lines_of(written(&[("event", "[1,\r\n2]")])), [r#"{"client":"shop","event":[1,  2]}"#]);
        for none in [written(&[("client_report", "{}")]), written(&[("event", "{")]), b"{".to_vec()] {
            assert_eq!(lines_of(none), [""; 0]);
        }
    }

    #[test]
    fn no_line_is_longer_than_a_record_and_the_pieces_make_the_payload() {
        let payload = format!("\"{}\"", "äöü€🦀".repeat(300));
        for name in ["c", &"c".repeat(60)] {
            let lines = logged(name, &payload);
            assert!(lines.iter().all(|line| line.len() <= 250), "{lines:?}");
            let (first, pieces) = lines.split_first().unwrap();
            assert!(first.len() > 240, "{first}");
            assert_eq!(joined(pieces), payload);
        }
    }

    #[test]
    fn of_a_long_payload_the_beginning_is_logged_and_how_much_is_not() {
        let payload = format!("\"{}\"", "x".repeat(20_000));
        let lines = logged("c", &payload);
        let (last, lines) = lines.split_last().unwrap();
        assert_eq!(*last, format!("sentry c: abababab {} bytes left out", payload.len() - 8192));
        assert_eq!(joined(&lines[1..]), payload[..8192]);
    }

    #[test]
    fn what_is_no_envelope_is_taken_without_a_word() {
        let bodies: [&[u8]; 5] =
            [b"", b"{}", b"{}\n{}\n{}", b"{}\n{\"type\":\"event\",\"length\":99}\n{}", b"\x1f\x8b"];
        for bytes in bodies {
            for encoding in [None, Some("gzip")] {
                assert_eq!(lines_of("c", &Body { bytes: bytes.to_vec(), encoding, ..Body::default() }), [""; 0]);
            }
        }
    }
}
