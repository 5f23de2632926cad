// SPDX-License-Identifier: BSD-2-Clause
//! What would be sent of a record, taken apart as a server does it (develop.sentry.dev/sdk/envelopes).

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use event::capture::record::Record;
use event::error_event::{ErrorEvent, Form};
use protocol::category::Categories;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Scratch};
use protocol::envelope::Envelope;
use serde_json::Value;

static DSN: LazyLock<Dsn> = LazyLock::new(|| Dsn::parse("https://key@o42.ingest.sentry.io/7").unwrap());

/// One envelope.
pub struct Body {
    /// As it leaves, but not compressed.
    pub bytes: Vec<u8>,
    pub head: Value,
    pub event: Value,
    /// How long its JSON is.
    pub event_len: usize,
    /// The task's log, if it is sent as a file.
    pub file: Option<String>,
}

impl Body {
    /// Puts `record` into words as `form` says, and panics if what comes of it is no envelope with an event.
    pub fn of(record: Record, form: Form) -> Body {
        let entry = ErrorEvent::new(record, Arc::new(form));
        let (mut scratch, mut envelope, mut bytes) = (Scratch::default(), Envelope::default(), Vec::new());
        let context = &mut Context { dsn: Some(&DSN), wall: UNIX_EPOCH, may: Categories::ALL, scratch: &mut scratch };
        entry.write(context, &mut envelope);
        envelope.write_header(UNIX_EPOCH, &mut bytes);
        bytes.extend_from_slice(envelope.items());
        // Each item is of a part that is counted.
        assert!(envelope.parts().all(|(place, _)| place < entry.parts().len()));
        let mut rest = &*bytes;
        let head = serde_json::from_slice(line(&mut rest)).unwrap();
        let (mut event, mut file, mut event_len) = (Value::Null, None, 0);
        while !rest.is_empty() {
            let item: Value = serde_json::from_slice(line(&mut rest)).unwrap();
            let length = usize::try_from(item["length"].as_u64().unwrap()).unwrap();
            let (payload, behind) = rest.split_at(length);
            rest = behind.strip_prefix(b"\n").unwrap();
            match item["type"].as_str() {
                Some("event") => (event, event_len) = (serde_json::from_slice(payload).unwrap(), length),
                Some("attachment") => file = Some(String::from_utf8(payload.to_vec()).unwrap()),
                other => panic!("an item of type {other:?}"),
            }
        }
        assert!(event.is_object());
        Body { head, event, event_len, file, bytes }
    }

    /// Whether `word` is anywhere in it, as it is or percent-encoded up to four times.
    pub fn shows(&self, word: &str) -> bool {
        let mut bytes = Cow::Borrowed(&*self.bytes);
        for _ in 0..4 {
            if has(&bytes, word) {
                return true;
            }
            // Nothing is left to decode.
            if memchr::memchr(b'%', &bytes).is_none() {
                return false;
            }
            bytes = Cow::Owned(decoded(&bytes));
        }
        has(&bytes, word)
    }
}

/// Whether `word` is anywhere in `bytes`.
pub fn has(bytes: &[u8], word: &str) -> bool {
    memchr::memmem::find(bytes, word.as_bytes()).is_some()
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (plain, tail) = rest.split_at(at);
        decoded.extend_from_slice(plain);
        let digits = tail.get(1..3).and_then(|digits| str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(b'%'));
        rest = if escaped.is_some() { &tail[3..] } else { &tail[1..] };
    }
    decoded.extend_from_slice(rest);
    decoded
}

/// Takes the first line off `rest`.
fn line<'b>(rest: &mut &'b [u8]) -> &'b [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
    let (line, behind) = rest.split_at(end);
    *rest = &behind[1..];
    line
}
