// SPDX-License-Identifier: BSD-2-Clause
//! Envelope framing (develop.sentry.dev/sdk/envelopes): a line of headers, then items, each a line of
//! headers and a payload of the length they give.
//!
//! The `dsn` header is left out. The key travels in `X-Sentry-Auth`; where both are there they have to
//! agree, and behind a proxy that rewrites the target they would not.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use crate::event_id::EventId;
use crate::identity::{SDK_NAME, SDK_VERSION};

const JSON: &str = "application/json";

/// An envelope while it is written.
pub struct Envelope<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Envelope<'a> {
    /// Starts an envelope in place of what is in `out`. `id` is that of the event that goes into it, if one
    /// does, and `trace` the JSON of its trace's sampling context, or empty; `sent_at` is the time of this attempt
    /// to send it, from which Sentry tells how far our clock is off.
    pub fn new(out: &'a mut Vec<u8>, id: Option<EventId>, trace: &[u8], sent_at: SystemTime) -> Envelope<'a> {
        out.clear();
        let mut envelope = Envelope { out };
        envelope.add(&[b"{"]);
        if let Some(id) = id {
            envelope.add(&[b"\"event_id\":\"", &id.to_hex(), b"\","]);
        }
        if !trace.is_empty() {
            envelope.add(&[b"\"trace\":", trace, b","]);
        }
        // A clock that no date can say is not worth an event.
        let sent_at = Timestamp::try_from(sent_at).unwrap_or_default();
        let sent_at = format!("{sent_at:.3}");
        envelope.add(&[b"\"sent_at\":\"", sent_at.as_bytes(), b"\",\"sdk\":{\"name\":\"", SDK_NAME.as_bytes()]);
        envelope.add(&[b"\",\"version\":\"", SDK_VERSION.as_bytes(), b"\"}}\n"]);
        envelope
    }

    /// Adds an event's JSON; an envelope takes one.
    pub fn event(&mut self, json: &[u8]) {
        self.item("event", JSON, "", json);
    }

    /// Adds a file of plain text to the event; `name` needs no escaping in JSON.
    pub fn attachment(&mut self, name: &str, text: &str) {
        let more = format!(",\"filename\":\"{name}\",\"attachment_type\":\"event.attachment\"");
        self.item("attachment", "text/plain", &more, text.as_bytes());
    }

    /// Adds a client report's JSON.
    pub fn client_report(&mut self, json: &[u8]) {
        self.item("client_report", JSON, "", json);
    }

    fn item(&mut self, kind: &str, form: &str, more: &str, payload: &[u8]) {
        let length = payload.len().to_string();
        self.add(&[b"{\"type\":\"", kind.as_bytes(), b"\",\"length\":", length.as_bytes()]);
        self.add(&[b",\"content_type\":\"", form.as_bytes(), b"\"", more.as_bytes(), b"}\n"]);
        self.add(&[payload, b"\n"]);
    }

    fn add(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
    }
}

/// What of an item's headers it takes to find its payload.
#[derive(Deserialize)]
struct ItemHead<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    length: usize,
}

/// The JSON of the event in an envelope that was written here; `None` if there is none. It is the first item.
pub(crate) fn event_in(envelope: &[u8]) -> Option<&[u8]> {
    let mut parts = envelope.splitn(3, |byte| *byte == b'\n');
    let (_, head, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let head: ItemHead<'_> = serde_json::from_slice(head).ok()?;
    rest.get(..head.length).filter(|_| head.kind == "event")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn an_event_and_a_report_are_framed_by_their_length() {
        let mut out = b"what was there".to_vec();
        let id = EventId::from_random([0xab; 16]);
        let mut envelope = Envelope::new(&mut out, Some(id), b"{\"trace_id\":\"1\"}", at(1_767_225_600_007));
        envelope.event(b"{\"a\":\n\"\xc3\xa4\"}");
        envelope.client_report(b"{}");
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "{{\"event_id\":\"abababababab4bababababababababab\",\"trace\":{{\"trace_id\":\"1\"}},\"sent_at\":\"2026-01-01T00:00:00.007Z\",\
             \"sdk\":{{\"name\":\"sentry.varnish\",\"version\":\"{version}\"}}}}\n\
             {{\"type\":\"event\",\"length\":11,\"content_type\":\"application/json\"}}\n\
             {{\"a\":\n\"ä\"}}\n\
             {{\"type\":\"client_report\",\"length\":2,\"content_type\":\"application/json\"}}\n\
             {{}}\n"
        );
        assert_eq!(event_in(&out), Some("{\"a\":\n\"ä\"}".as_bytes()));
        assert_eq!(String::from_utf8(out), Ok(expected));
    }

    #[test]
    fn a_file_goes_along_under_its_name() {
        let mut out = Vec::new();
        let mut envelope = Envelope::new(&mut out, None, b"", at(0));
        let start = envelope.out.len();
        envelope.attachment("varnishlog.txt", "*   <<\nä\n");
        let expected = "{\"type\":\"attachment\",\"length\":10,\"content_type\":\"text/plain\",\
                        \"filename\":\"varnishlog.txt\",\"attachment_type\":\"event.attachment\"}\n*   <<\nä\n\n";
        assert_eq!(str::from_utf8(&out[start..]), Ok(expected));
    }

    #[test]
    fn an_envelope_without_an_event_has_no_event_id() {
        let mut out = Vec::new();
        Envelope::new(&mut out, None, b"", at(0)).client_report(b"{}");
        assert_eq!(event_in(&out), None);
        assert!(out.starts_with(b"{\"sent_at\":\"1970-01-01T00:00:00.000Z\",\"sdk\":"));
    }
}
