// SPDX-License-Identifier: BSD-2-Clause
//! A dry run: in place of posting an envelope, its event is written to the log.
//!
//! The events have passed all that would hold them back from a server, so the log is not flooded either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::envelope::event_in;
use serde::Deserialize;

use crate::journal::Journal;
use crate::transport::{Answer, Failure, Post, Transport};

/// Bytes of a line. varnishd cuts records at its parameter vsl_reclen, 255 by default.
const MAX_LINE: usize = 250;
/// Bytes of a piece of JSON in a line; less if the client has a long name, but never below the second.
const PIECE: (usize, usize) = (200, 64);
/// Bytes of an event's JSON that are written.
const MAX_EVENT: usize = 8 * 1024;

/// Takes every envelope and sends none.
pub struct DryRun {
    /// `None` writes nothing: without a DSN there is nobody to send to, and nothing to try out.
    journal: Option<Arc<dyn Journal>>,
    /// What lines begin with.
    prefix: String,
    aborted: AtomicBool,
}

/// What the first line tells of an event.
#[derive(Deserialize)]
struct Gist {
    event_id: String,
    level: String,
    logentry: Option<Message>,
    exception: Option<Exceptions>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    /// The message with its placeholders filled, if it has some.
    formatted: Option<String>,
}

#[derive(Deserialize)]
struct Exceptions {
    values: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
}

impl Gist {
    fn text(self) -> String {
        match (self.logentry, self.exception.and_then(|exceptions| exceptions.values.into_iter().next())) {
            (Some(message), _) => message.formatted.unwrap_or(message.message),
            (None, Some(Exception { kind, value })) => {
                let parts: Vec<_> = [kind, value].into_iter().flatten().collect();
                parts.join(": ")
            }
            (None, None) => String::new(),
        }
    }
}

impl DryRun {
    /// Lines start with `sentry` and the client's `name`, as its notices do.
    pub fn new(journal: Arc<dyn Journal>, name: &str) -> DryRun {
        DryRun { journal: Some(journal), prefix: format!("sentry {name}: "), aborted: AtomicBool::new(false) }
    }

    /// One that is not even logged, for a client whose events only Spotlight gets.
    pub fn silent() -> DryRun {
        DryRun { journal: None, prefix: String::new(), aborted: AtomicBool::new(false) }
    }

    fn log(&self, journal: &dyn Journal, json: &str) {
        let Ok(gist) = serde_json::from_str::<Gist>(json) else { return };
        let (id, level) = (gist.event_id.clone(), gist.level.clone());
        let begin = format!("{}dry run, event {id}, {level}: ", self.prefix);
        let text: String = gist.text().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = head(&text, MAX_LINE.saturating_sub(begin.len()));
        journal.log(&format!("{begin}{text}"));

        let id = head(&id, 8);
        // The longest number of a piece is "127/128": 8 KiB in pieces of the smallest size.
        let room = MAX_LINE.saturating_sub(self.prefix.len() + id.len() + " 127/128 ".len());
        let written = head(json, MAX_EVENT);
        let pieces = pieces(written, room.clamp(PIECE.1, PIECE.0));
        let count = pieces.len();
        for (number, piece) in (1..).zip(pieces) {
            journal.log(&format!("{}{id} {number}/{count} {piece}", self.prefix));
        }
        let left_out = json.len() - written.len();
        if left_out > 0 {
            journal.log(&format!("{}{id} {left_out} bytes left out", self.prefix));
        }
    }
}

impl Transport for DryRun {
    fn post(&self, post: &Post<'_>, _: Duration) -> Result<Answer, Failure> {
        if self.aborted.load(Ordering::SeqCst) {
            return Err(Failure::Unreached("aborted".to_owned()));
        }
        if let Some(journal) = &self.journal
            && let Some(json) = event_in(post.body)
        {
            self.log(&**journal, &String::from_utf8_lossy(json));
        }
        Ok(Answer { status: 200, ..Answer::default() })
    }

    fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
    }
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

    use super::*;
    use crate::journal::tests::Lines;

    fn lines_of(name: &str, body: &[u8]) -> Vec<String> {
        let lines = Arc::new(Lines::default());
        let post = Post { url: "", auth: "", content_encoding: None, body, meanwhile: None };
        let answer = DryRun::new(lines.clone(), name).post(&post, Duration::ZERO);
        assert_eq!(answer.map(|answer| answer.status), Ok(200));
        let lines = lines.0.lock();
        lines.clone()
    }

    fn envelope(kind: &str, payload: &str) -> Vec<u8> {
        let (mut envelope, mut body) = (Envelope::default(), Vec::new());
        envelope.add_item(0, kind, JSON, "", payload.as_bytes());
        envelope.write_header(UNIX_EPOCH, &mut body);
        body.extend_from_slice(envelope.items());
        body
    }

    fn logged(name: &str, json: &str) -> Vec<String> {
        lines_of(name, &envelope("event", json))
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
    fn the_first_line_tells_what_happened() {
        for (rest, text) in [
            (r#""logentry":{"message":"plain"}"#, "plain"),
            (r#""logentry":{"message":"{1} of 2","params":["1"],"formatted":"1 of 2"}"#, "1 of 2"),
            (r#""logentry":{"message":"a\r\nb"}"#, "a  b"),
            (r#""exception":{"values":[{"type":"FetchError","value":"no route"}]}"#, "FetchError: no route"),
            (r#""exception":{"values":[{"type":"FetchError"}]}"#, "FetchError"),
        ] {
            let json = format!(r#"{{"event_id":"0123456789abcdef","level":"error",{rest}}}"#);
            let lines = logged("shop", &json);
            let expected = [
                format!("sentry shop: dry run, event 0123456789abcdef, error: {text}"),
                format!("sentry shop: 01234567 1/1 {json}"),
            ];
            assert_eq!(lines, expected);
        }
    }

    #[test]
    fn no_line_is_longer_than_a_record_and_the_pieces_make_the_event() {
        let message = "äöü€🦀".repeat(300);
        let json = format!(r#"{{"event_id":"0123456789abcdef","level":"error","logentry":{{"message":"{message}"}}}}"#);
        for name in ["c", &"c".repeat(60)] {
            let lines = logged(name, &json);
            assert!(lines.iter().all(|line| line.len() <= 250), "{lines:?}");
            let (first, pieces) = lines.split_first().unwrap();
            assert!(first.len() > 240, "{first}");
            assert_eq!(joined(pieces), json);
        }
    }

    #[test]
    fn of_a_long_event_the_beginning_is_logged_and_how_much_is_not() {
        let message = "x".repeat(20_000);
        let json = format!(r#"{{"event_id":"0123456789abcdef","level":"error","logentry":{{"message":"{message}"}}}}"#);
        let lines = logged("c", &json);
        let (last, lines) = lines.split_last().unwrap();
        assert_eq!(*last, format!("sentry c: 01234567 {} bytes left out", json.len() - 8192));
        assert_eq!(joined(&lines[1..]), json[..8192]);
    }

    #[test]
    fn what_holds_no_event_is_taken_without_a_word() {
        let body = envelope("client_report", "{}");
        for body in [&*body, b"", b"{}\n{}\n{}", b"{}\n{\"type\":\"event\",\"length\":99}\n{}"] {
            assert_eq!(lines_of("c", body), [""; 0]);
        }
    }

    #[test]
    fn after_an_abort_nothing_is_taken() {
        let dry = DryRun::new(Arc::new(Lines::default()), "c");
        dry.abort();
        let post = Post { url: "", auth: "", content_encoding: None, body: b"", meanwhile: None };
        assert!(matches!(dry.post(&post, Duration::ZERO), Err(Failure::Unreached(_))));
    }
}
