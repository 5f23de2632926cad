// SPDX-License-Identifier: BSD-2-Clause
//! Finds header and items in a body. One pass, without a copy of any payload.

use memchr::memchr;

use super::header::Header;
use super::item::{Item, ItemHeader};
use super::kind::Kind;
use super::problem::{MAX_ITEMS, MAX_LINE, Problem};

/// An envelope, by its places in the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading<'b> {
    pub header: Header<'b>,
    /// In their order; at least one.
    pub items: Vec<Item>,
}

/// Reads a body. The payload of an item with a length ends there, with the end of a line or of the body behind it; that of one without at the end of the line. Empty lines between items are nothing.
pub fn read(body: &[u8]) -> Result<Reading<'_>, Problem> {
    let first = line(body, 0, Problem::Header)?;
    let header = Header::parse(first)?;
    let mut items = Vec::new();
    let mut at = first.len() + 1;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(b"\n") {
            at += 1;
            continue;
        }
        if items.len() == MAX_ITEMS {
            return Err(Problem::Items);
        }
        let item = item(body, at)?;
        at = item.payload.end + 1;
        items.push(item);
    }
    if items.is_empty() { Err(Problem::Empty) } else { Ok(Reading { header, items }) }
}

/// The line that begins at `start`, without its end.
fn line(body: &[u8], start: usize, otherwise: Problem) -> Result<&[u8], Problem> {
    let rest = body.get(start..).unwrap_or_default();
    let window = rest.get(..=MAX_LINE).unwrap_or(rest);
    match memchr(b'\n', window) {
        Some(end) => window.get(..end).ok_or(otherwise),
        None if window.len() > MAX_LINE => Err(Problem::Line),
        None => Ok(rest),
    }
}

fn item(body: &[u8], start: usize) -> Result<Item, Problem> {
    let line = line(body, start, Problem::ItemHeader)?;
    let header = ItemHeader::parse(line)?;
    let end = start + line.len();
    // A header at the end of the body needs no line end: its payload, which is empty, is behind the end.
    let payload = end + 1;
    let rest = body.get(payload..).unwrap_or_default();
    let length = match header.length {
        Some(length) => {
            let length = usize::try_from(length).ok().filter(|length| *length <= rest.len()).ok_or(Problem::Short)?;
            if rest.get(length).is_some_and(|byte| *byte != b'\n') {
                return Err(Problem::Long);
            }
            length
        }
        None => memchr(b'\n', rest).unwrap_or(rest.len()),
    };
    let kind = Kind::of(&header.kind);
    Ok(Item { kind, header: start..end, payload: payload..payload + length, count: header.item_count })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(body: &[u8]) -> Result<Vec<(Kind, Vec<u8>)>, Problem> {
        let reading = read(body)?;
        let payload = |item: &Item| (item.kind, body.get(item.payload.clone()).unwrap_or_default().to_vec());
        Ok(reading.items.iter().map(payload).collect())
    }

    #[test]
    fn items_are_found_by_their_length_or_their_line() {
        type Case<'a> = (&'a [u8], &'a [(Kind, &'a [u8])]);
        let table: &[Case<'_>] = &[
            (b"{}\n{\"type\":\"event\"}\n{}", &[(Kind::Event, b"{}")]),
            (b"{}\n{\"type\":\"event\"}\n{}\n", &[(Kind::Event, b"{}")]),
            (b"{}\n\n\n{\"type\":\"event\",\"length\":2}\n{}\n\n", &[(Kind::Event, b"{}")]),
            (
                b"{}\n{\"type\":\"attachment\",\"length\":5}\n\xff\n{}\n\n{\"type\":\"session\"}\n{}\n{\"type\":\"new\",\"x\":[]}\n",
                &[(Kind::Attachment, b"\xff\n{}\n"), (Kind::Session, b"{}"), (Kind::Other, b"")],
            ),
            // What ends early where nothing is missing.
            (b"{}\n{\"type\":\"a\"}", &[(Kind::Other, b"")]),
            (b"{}\n{\"type\":\"a\",\"length\":0}", &[(Kind::Other, b"")]),
            (b"{}\n{\"type\":\"a\",\"length\":0}\n", &[(Kind::Other, b"")]),
            (b"{}\n{\"type\":\"a\",\"length\":0}\n\n{\"type\":\"b\"}\nx", &[(Kind::Other, b""), (Kind::Other, b"x")]),
            (b"{}\n{\"type\":\"a\",\"length\":null}\nabc", &[(Kind::Other, b"abc")]),
            // The last byte of a payload is one of its own.
            (b"{}\n{\"type\":\"a\",\"length\":1}\n\n", &[(Kind::Other, b"\n")]),
        ];
        for (body, expected) in table {
            let expected: Vec<_> = expected.iter().map(|(kind, payload)| (*kind, payload.to_vec())).collect();
            assert_eq!(items(body), Ok(expected), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused_by_name() {
        let long = "x".repeat(MAX_LINE);
        let many = "{\"type\":\"a\"}\n\n".repeat(MAX_ITEMS + 1);
        let table: &[(&str, Problem)] = &[
            ("", Problem::Header),
            ("\n", Problem::Header),
            ("hello", Problem::Header),
            ("{\"a\":\n1}\n", Problem::Header),
            ("{}\r\n{\"type\":\"event\"}\r\n{}", Problem::Header),
            ("{}", Problem::Empty),
            ("{}\n\n\n", Problem::Empty),
            (&long, Problem::Header),
            (&format!("{long}x"), Problem::Line),
            (&format!("{long}x\n"), Problem::Line),
            (&format!("{{}}\n{long}x"), Problem::Line),
            ("{}\n{}\n", Problem::ItemHeader),
            ("{}\n[]\n", Problem::ItemHeader),
            ("{}\n{\"type\":7}\n", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\",\"length\":-1}\n", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\",\"length\":1.5}\n", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\",\"length\":\"1\"}\nx", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\",\"length\":1,\"length\":1}\nx", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\",\"type\":\"b\"}\nx", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\"} \nx", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\"}x\n", Problem::ItemHeader),
            ("{}\n \n", Problem::ItemHeader),
            ("{}\n{\"type\":\"a\",\"length\":1}", Problem::Short),
            ("{}\n{\"type\":\"a\",\"length\":1}\n", Problem::Short),
            ("{}\n{\"type\":\"a\",\"length\":4294967296}\nx", Problem::Short),
            ("{}\n{\"type\":\"a\",\"length\":18446744073709551615}\nx", Problem::Short),
            ("{}\n{\"type\":\"a\",\"length\":1}\nxy", Problem::Long),
            ("{}\n{\"type\":\"a\",\"length\":0}\nx\n", Problem::Long),
            (&format!("{{}}\n{many}"), Problem::Items),
        ];
        for (body, expected) in table {
            let start: String = body.chars().take(60).collect();
            assert_eq!(items(body.as_bytes()), Err(*expected), "{start:?}");
        }
        assert_eq!(items(b"{}\n{\"type\":\"a\",\"x\":\"\xff\"}\n"), Err(Problem::ItemHeader));
    }

    #[test]
    fn as_many_items_and_bytes_of_a_line_as_may_be_are_read() {
        let many = format!("{{}}\n{}", "{\"type\":\"a\"}\n\n".repeat(MAX_ITEMS));
        assert_eq!(items(many.as_bytes()).map(|items| items.len()), Ok(MAX_ITEMS));
        let line = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_LINE - 8));
        assert_eq!(line.len(), MAX_LINE);
        assert!(items(format!("{line}\n{{\"type\":\"a\"}}").as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_harm(body: Vec<u8>, text in "[{}\"a-z:,\n0-9]{0,60}") {
            let _ = read(&body);
            let _ = read(&[b"{}\n{\"type\":\"a\"}\n", &body[..]].concat());
            let _ = read(text.as_bytes());
        }
    }
}
