// SPDX-License-Identifier: BSD-2-Clause
//! Envelope framing (develop.sentry.dev/sdk/envelopes): a line of headers, then items, each a line of
//! headers and a payload of the length they give.
//!
//! The `dsn` header is left out. The key travels in `X-Sentry-Auth`; where both are there they have to
//! agree, and behind a proxy that rewrites the target they would not.

use std::ops::Range;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::event_id::EventId;
use crate::sdk::{SDK_NAME, SDK_VERSION};

/// The media type of JSON payloads.
pub const JSON: &str = "application/json";
/// The `sdk` of an envelope whose entry names none.
const SDK: [&[u8]; 5] =
    [b"\"sdk\":{\"name\":\"", SDK_NAME.as_bytes(), b"\",\"version\":\"", SDK_VERSION.as_bytes(), b"\"}"];

/// Who has written an envelope, which tells what its header gets besides its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// We have: the time of sending, and the name of our SDK.
    #[default]
    Own,
    /// Somebody else, whose members say what is to be said of an SDK. `drift` is by how many milliseconds the time of sending that the envelope came with was ahead of ours when it came: it is sent on with
    /// the time of sending it on, by the author's clock, so that what waited here is not taken for a clock that is wrong. `None` if it came with none; then none is added.
    Foreign { drift: Option<i64> },
}

/// An envelope but for the time it is sent at: members of its header, and items. It is made to be used again and again.
#[derive(Debug, Default)]
pub struct Envelope {
    author: Author,
    /// Members of the header as they stand in JSON, each with a comma behind it.
    members: Vec<u8>,
    items: Vec<u8>,
    /// Which bytes of the items are of which part of the entry.
    places: Vec<(usize, Range<usize>)>,
}

impl Envelope {
    /// Empties it; its room stays.
    pub fn clear(&mut self) {
        self.author = Author::Own;
        self.members.clear();
        self.items.clear();
        self.places.clear();
    }

    /// Says who has written it, if we have not.
    pub fn set_author(&mut self, author: Author) {
        self.author = author;
    }

    pub fn author(&self) -> Author {
        self.author
    }

    /// Names the event that is in it, or that its items belong to.
    pub fn set_event_id(&mut self, id: EventId) {
        add(&mut self.members, &[b"\"event_id\":\"", &id.to_hex(), b"\","]);
    }

    /// Adds the JSON of the trace's sampling context.
    pub fn set_trace(&mut self, json: &[u8]) {
        add(&mut self.members, &[b"\"trace\":", json, b","]);
    }

    /// Adds members that are JSON already, each with a comma behind it.
    pub fn add_members(&mut self, json: &[u8]) {
        self.members.extend_from_slice(json);
    }

    /// Adds an item of that part of the entry. `more` are further members of its header as they stand in JSON, each with a comma in
    /// front of it.
    pub fn add_item(&mut self, part: usize, kind: &str, content_type: &str, more: &str, payload: &[u8]) {
        let start = self.items.len();
        write_item(kind, content_type, more, payload, &mut self.items);
        self.places.push((part, start..self.items.len()));
    }

    /// Adds an item that is framed already: its header line, its payload, a line end.
    pub fn add_framed(&mut self, part: usize, item: &[u8]) {
        let start = self.items.len();
        self.items.extend_from_slice(item);
        self.places.push((part, start..self.items.len()));
    }

    /// Members of the header as they stand in JSON, each with a comma behind it; without the time and the SDK.
    pub fn members(&self) -> &[u8] {
        &self.members
    }

    /// All items.
    pub fn items(&self) -> &[u8] {
        &self.items
    }

    /// The items with the place of their part, in their order.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.places.iter().map(|(part, place)| (*part, self.items.get(place.clone()).unwrap_or_default()))
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes the header line. `now` is the time of this attempt to send it, from which Sentry tells how far the author's clock is
    /// off.
    pub fn write_header(&self, now: SystemTime, out: &mut Vec<u8>) {
        let members = self.members.strip_suffix(b",").unwrap_or(&self.members);
        add(out, &[b"{", members]);
        let comma: &[u8] = if members.is_empty() { b"" } else { b"," };
        // A clock that no date can say is not worth an event.
        let now = Timestamp::try_from(now).unwrap_or_default();
        let (sent_at, sdk) = match self.author {
            Author::Own => (Some(now), true),
            Author::Foreign { drift } => (drift.map(|drift| shifted(now, drift)), false),
        };
        if let Some(sent_at) = sent_at {
            let sent_at = format!("{sent_at:.3}");
            add(out, &[comma, b"\"sent_at\":\"", sent_at.as_bytes(), b"\""]);
        }
        if sdk {
            add(out, &[b","]);
            add(out, &SDK);
        }
        add(out, &[b"}\n"]);
    }
}

/// So many milliseconds later; as it is if that is beyond all dates.
fn shifted(at: Timestamp, millis: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(millis)).unwrap_or(at)
}

/// Frames an item. `more` are further members of its header as they stand in JSON, each with a comma in front of it.
pub fn write_item(kind: &str, content_type: &str, more: &str, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len().to_string();
    add(out, &[b"{\"type\":\"", kind.as_bytes(), b"\",\"length\":", length.as_bytes()]);
    add(out, &[b",\"content_type\":\"", content_type.as_bytes(), b"\"", more.as_bytes(), b"}\n", payload, b"\n"]);
}

fn add(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// What of an item's headers it takes to find its payload.
#[derive(Deserialize)]
struct ItemHead<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    length: usize,
}

/// The JSON of the event in an envelope that was written here; `None` if there is none. It is the first item.
pub fn event_in(envelope: &[u8]) -> Option<&[u8]> {
    let mut parts = envelope.splitn(3, |byte| *byte == b'\n');
    let (_, head, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let head: ItemHead<'_> = serde_json::from_slice(head).ok()?;
    rest.get(..head.length).filter(|_| head.kind == "event")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn written(envelope: &Envelope, millis: u64) -> Vec<u8> {
        let mut out = Vec::new();
        envelope.write_header(UNIX_EPOCH + Duration::from_millis(millis), &mut out);
        out.extend_from_slice(envelope.items());
        out
    }

    #[test]
    fn items_are_framed_by_their_length_and_known_by_their_part() {
        let mut envelope = Envelope::default();
        envelope.set_event_id(EventId::from_random([0xab; 16]));
        envelope.set_trace(b"{\"trace_id\":\"1\"}");
        envelope.add_item(0, "event", JSON, "", b"{\"a\":\n\"\xc3\xa4\"}");
        envelope.add_item(1, "attachment", "text/plain", ",\"filename\":\"x.txt\"", "ä\n".as_bytes());
        let version = env!("CARGO_PKG_VERSION");
        let event = "{\"type\":\"event\",\"length\":11,\"content_type\":\"application/json\"}\n{\"a\":\n\"ä\"}\n";
        let file =
            "{\"type\":\"attachment\",\"length\":3,\"content_type\":\"text/plain\",\"filename\":\"x.txt\"}\nä\n\n";
        let expected = format!(
            "{{\"event_id\":\"abababababab4bababababababababab\",\"trace\":{{\"trace_id\":\"1\"}},\"sent_at\":\"2026-01-01T00:00:00.007Z\",\
             \"sdk\":{{\"name\":\"sentry.varnish\",\"version\":\"{version}\"}}}}\n{event}{file}"
        );
        let out = written(&envelope, 1_767_225_600_007);
        assert_eq!(event_in(&out), Some("{\"a\":\n\"ä\"}".as_bytes()));
        assert_eq!(String::from_utf8(out), Ok(expected));
        let parts: Vec<_> = envelope.parts().collect();
        assert_eq!(parts, [(0, event.as_bytes()), (1, file.as_bytes())]);

        let mut copy = Envelope::default();
        copy.add_members(envelope.members());
        envelope.parts().for_each(|(part, item)| copy.add_framed(part, item));
        assert_eq!(written(&copy, 0), written(&envelope, 0));
        envelope.clear();
        assert!(
            envelope.is_empty()
                && written(&envelope, 0).starts_with(b"{\"sent_at\":\"1970-01-01T00:00:00.000Z\",\"sdk\":")
        );
    }

    #[test]
    fn the_header_of_another_author_is_its_own_but_for_the_time() {
        let mut envelope = Envelope::default();
        let mut header = |members: &str, drift, millis| {
            envelope.clear();
            envelope.add_members(members.as_bytes());
            envelope.set_author(Author::Foreign { drift });
            String::from_utf8(written(&envelope, millis)).unwrap()
        };
        let new_year = 1_767_225_600_000;
        let table: &[(&str, Option<i64>, u64, &str)] = &[
            (
                "\"sdk\":{\"name\":\"js\"},",
                Some(0),
                new_year,
                r#"{"sdk":{"name":"js"},"sent_at":"2026-01-01T00:00:00.000Z"}"#,
            ),
            ("", Some(-86_400_000), new_year + 7, r#"{"sent_at":"2025-12-31T00:00:00.007Z"}"#),
            ("", Some(3_600_000), new_year, r#"{"sent_at":"2026-01-01T01:00:00.000Z"}"#),
            ("", Some(i64::MAX), new_year, r#"{"sent_at":"2026-01-01T00:00:00.000Z"}"#),
            ("\"a\":1,\"b\":2,", None, new_year, r#"{"a":1,"b":2}"#),
            ("", None, new_year, "{}"),
        ];
        for (members, drift, millis, expected) in table {
            assert_eq!(header(members, *drift, *millis), format!("{expected}\n"));
        }
    }

    #[test]
    fn an_envelope_without_an_event_has_none() {
        let mut envelope = Envelope::default();
        envelope.add_item(0, "client_report", JSON, "", b"{}");
        assert_eq!(event_in(&written(&envelope, 0)), None);
    }
}
