// SPDX-License-Identifier: BSD-2-Clause
//! The first line of an envelope: what is read of it, and the rest as it is.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use protocol::event_id::EventId;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::Problem;
use crate::json::Cursor;

/// Bytes of a DSN that are looked at.
const MAX_DSN: usize = 1024;

/// A header.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Header<'h> {
    pub event_id: Option<EventId>,
    /// As it stands there; nobody has looked at it.
    pub dsn: Option<Cow<'h, [u8]>>,
    /// The time of sending, if there is one that can be read. One that cannot is left out: Sentry would refuse the envelope for it.
    pub sent_at: Option<SystemTime>,
    /// All members but `dsn`, `sent_at` and `trace`, each with a comma behind it: `"event_id":"…","sdk":{…},`.
    pub members: Vec<u8>,
    /// The member `trace` in the same form.
    pub trace: Vec<u8>,
}

impl<'h> Header<'h> {
    /// Reads a line without its end.
    pub(super) fn parse(line: &'h [u8]) -> Result<Header<'h>, Problem> {
        // No white space behind it: Relay takes none.
        if !line.starts_with(b"{") || !line.ends_with(b"}") {
            return Err(Problem::Header);
        }
        let mut json = serde_json::Deserializer::from_slice(line);
        let members = json.deserialize_map(Members).map_err(|_| Problem::Header)?;
        json.end().map_err(|_| Problem::Header)?;
        members.header()
    }
}

/// The members as they stand there.
#[derive(Default)]
struct MemberList<'h> {
    event_id: Option<&'h RawValue>,
    dsn: Option<&'h RawValue>,
    sent_at: Option<&'h RawValue>,
    trace: Option<&'h RawValue>,
    others: Vec<u8>,
}

impl<'h> MemberList<'h> {
    fn header(self) -> Result<Header<'h>, Problem> {
        let mut header = Header { members: self.others, ..Header::default() };
        if let Some(text) = self.event_id.and_then(string) {
            let id = EventId::parse(&text).ok_or(Problem::EventId)?;
            header.event_id = Some(id);
        }
        header.dsn = self.dsn.and_then(string);
        header.sent_at = self.sent_at.and_then(string).and_then(|text| time(&text));
        for (name, value, out) in
            [("event_id", self.event_id, &mut header.members), ("trace", self.trace, &mut header.trace)]
        {
            if let Some(value) = value {
                keep(name, value, out);
            }
        }
        Ok(header)
    }
}

/// What a string says; `None` for any other value, which says nothing.
fn string(value: &RawValue) -> Option<Cow<'_, [u8]>> {
    let json = value.get().as_bytes();
    json.starts_with(b"\"").then(|| Cursor::new(json).text().map(|text| text.decoded(MAX_DSN)))?
}

fn time(text: &[u8]) -> Option<SystemTime> {
    let at: Timestamp = str::from_utf8(text).ok()?.parse().ok()?;
    Some(at.into())
}

/// Adds a member as it is, with a comma behind it.
fn keep(name: &str, value: &RawValue, out: &mut Vec<u8>) {
    let value = value.get().as_bytes();
    out.reserve(name.len() + value.len() + 4);
    // Names are nearly always of letters.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        [b"\"", name.as_bytes(), b"\""].into_iter().for_each(|piece| out.extend_from_slice(piece));
    } else if serde_json::to_writer(&mut *out, name).is_err() {
        return;
    }
    [b":", value, b","].into_iter().for_each(|piece| out.extend_from_slice(piece));
}

struct Members;

impl<'h> Visitor<'h> for Members {
    type Value = MemberList<'h>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'h>>(self, mut map: A) -> Result<MemberList<'h>, A::Error> {
        let mut list = MemberList::default();
        while let Some(Name(name)) = map.next_key()? {
            let value: &'h RawValue = map.next_value()?;
            let known = match &*name {
                "event_id" => &mut list.event_id,
                "dsn" => &mut list.dsn,
                "sent_at" => &mut list.sent_at,
                "trace" => &mut list.trace,
                other => {
                    keep(other, value, &mut list.others);
                    continue;
                }
            };
            if known.replace(value).is_some() {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(list)
    }
}

/// A member's name, borrowed if it can be.
#[derive(serde::Deserialize)]
struct Name<'h>(#[serde(borrow)] Cow<'h, str>);

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn members(line: &str) -> String {
        let header = Header::parse(line.as_bytes()).unwrap();
        String::from_utf8([header.members, header.trace].concat()).unwrap()
    }

    #[test]
    fn what_is_read_is_read_and_the_rest_is_kept_as_it_is() {
        let line = r#"{"event_id":"FC6D8C0C-43fc-4630-ad85-0ee518f1b9d0","dsn":"https:\/\/k@h/1","sent_at":"2026-01-01T00:00:00.5Z","sdk":{"name":"js", "x":[1.50,"\u00e4"]},"trace":{"a":null},"n\"w":1e2}"#;
        let header = Header::parse(line.as_bytes()).unwrap();
        assert_eq!(header.event_id.map(|id| id.to_string()).as_deref(), Some("fc6d8c0c43fc4630ad850ee518f1b9d0"));
        assert_eq!(header.dsn.as_deref(), Some(&b"https://k@h/1"[..]));
        assert_eq!(header.sent_at, Some(UNIX_EPOCH + Duration::from_millis(1_767_225_600_500)));
        let kept = r#""sdk":{"name":"js", "x":[1.50,"\u00e4"]},"n\"w":1e2,"event_id":"FC6D8C0C-43fc-4630-ad85-0ee518f1b9d0","trace":{"a":null},"#;
        assert_eq!(members(line), kept);
        assert_eq!(header.trace, b"\"trace\":{\"a\":null},");
    }

    #[test]
    fn what_says_nothing_is_as_if_it_were_not_there() {
        for line in [
            r#"{}"#,
            r#"{"dsn":null,"sent_at":null}"#,
            r#"{"dsn":7,"sent_at":1767225600}"#,
            r#"{"sent_at":"yesterday"}"#,
            r#"{"sent_at":"2026-02-30T00:00:00Z"}"#,
            r#"{"sent_at":"2026-01-01"}"#,
        ] {
            assert_eq!(Header::parse(line.as_bytes()), Ok(Header::default()), "{line}");
        }
    }

    #[test]
    fn a_time_comes_in_each_way_that_sdks_write_it() {
        let at = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        for text in
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z", "2026-01-01T01:00:00+01:00", "2026-01-01 00:00:00Z"]
        {
            let line = format!("{{\"sent_at\":\"{text}\"}}");
            assert_eq!(Header::parse(line.as_bytes()).unwrap().sent_at, Some(at), "{text}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for line in [
            "",
            "null",
            "[]",
            "{",
            "{} ",
            " {}",
            "{}\r",
            "{}{}",
            "{\"a\":tru}",
            "{\"a\":1,}",
            "{\"dsn\":\"a\",\"\\u0064sn\":\"b\"}",
            "{\"sent_at\":null,\"sent_at\":null}",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert_eq!(Header::parse(line.as_bytes()), Err(Problem::Header), "{line:?}");
        }
        assert_eq!(Header::parse(b"{\"a\":\"\xff\"}"), Err(Problem::Header));
        for id in ["", "1", "g", "fc6d8c0c43fc4630ad850ee518f1b9d00"] {
            assert_eq!(Header::parse(format!("{{\"event_id\":\"{id}\"}}").as_bytes()), Err(Problem::EventId), "{id}");
        }
    }

    #[test]
    fn a_header_may_be_nested_as_deep_as_its_line_is_long() {
        let line = format!("{{\"a\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
        let work = move || Header::parse(line.as_bytes()).unwrap().members.len();
        let length = std::thread::Builder::new().stack_size(48 << 10).spawn(work).unwrap().join().unwrap();
        assert_eq!(length, "\"a\":1,".len() + 60_000);
    }
}
