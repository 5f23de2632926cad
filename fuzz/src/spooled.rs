// SPDX-License-Identifier: BSD-2-Clause
//! Files of the spool: as they are written, as they are after something happened to them, and what may be read out of one.

use std::sync::Arc;

use crc32fast::hash;
use delivery::counters::Ledger;
use delivery::spool::file::{self, Contents};
use delivery::spool::file_name::FileName;
use delivery::spool::key::Key;
use delivery::spool::written::Written;
use protocol::category::Category;
use protocol::entry::Part;
use protocol::envelope::Author;
use protocol::request_headers::{HeaderName, RequestHeaders};

use crate::bytes::Bytes;

/// An entry, its file, and the name of that.
pub fn written(input: &mut Bytes<'_>) -> (Contents, String, Vec<u8>) {
    let key = Key { millis: input.byte().into(), id: input.byte().into() };
    let author = match input.byte() % 3 {
        0 => Author::Own,
        1 => Author::Foreign { drift: None },
        _ => Author::Foreign { drift: Some(input.byte().into()) },
    };
    let mut headers = RequestHeaders::default();
    if input.flag() {
        headers.add(input.pick(&HeaderName::ALL), &input.text());
    }
    let members = input.text();
    let parts: Vec<_> = (0..=input.byte() % 3)
        .map(|place| {
            let quantity = u64::from(input.byte());
            let part = Part::new(input.pick(&Category::ALL), quantity);
            let part = if place > 0 && input.flag() { part.together_with(0) } else { part };
            (part, input.text())
        })
        .collect();
    let (at, id, ledger) = (key.at(), key.id(), Arc::new(Ledger::new(None)));
    let bytes = file::encode(
        key,
        &Written { at, id, author, headers: headers.clone(), members: members.clone(), parts: parts.clone(), ledger },
    );
    let contents = contents(key, author, headers, members, parts);
    let length = bytes.len() as u64;
    let (name, _) = FileName { key, length, parts: &contents.parts }.names().unwrap();
    (contents, name, bytes)
}

fn contents(
    key: Key,
    author: Author,
    headers: RequestHeaders,
    members: Vec<u8>,
    written: Vec<(Part, Vec<u8>)>,
) -> Contents {
    let (mut parts, mut places, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for (part, item) in written {
        parts.push(part);
        places.push(items.len()..items.len() + item.len());
        items.extend_from_slice(&item);
    }
    Contents { key, author, headers, members, parts, places, items }
}

/// Does to `bytes` what a disk, a person or another program may have done.
pub fn change(bytes: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let at = usize::from(u16::from_le_bytes(input.array())) % (bytes.len() + 1);
    match input.byte() % 6 {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(..at)),
        2 => drop(bytes.splice(at..at, input.text())),
        3 => bytes[at..].iter_mut().take(1).for_each(|byte| *byte ^= input.byte()),
        // A person who knows how: all that follows the first line may be anything.
        4 => {
            let body = bytes.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
            let head = format!("vmod-sentry spool 3 {:08x} {}\n", hash(body), body.len());
            *bytes = [head.as_bytes(), body].concat();
        }
        _ => {
            let text = input.text();
            let end = bytes.len().min(at + text.len());
            bytes.splice(at..end, text);
        }
    }
}

/// What the entry of a file is must be in the file.
pub fn is_said(contents: &Contents, bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let (head, said) = (lines.next().unwrap(), lines.next().unwrap());
    let rest = lines.next().unwrap();
    let body = &bytes[head.len() + 1..];
    let expected = |version| format!("vmod-sentry spool {version} {:08x} {}", hash(body), body.len());
    assert!([2, 3].map(expected).iter().any(|expected| expected.as_bytes() == head));
    assert!(rest == [&*contents.members, &contents.items].concat());
    let said: serde_json::Value = match serde_json::from_slice(said) {
        Ok(said) => said,
        // In a member that is none of ours, and is passed over.
        Err(error) => {
            return assert!(
                ["unicode", "surrogate", "escape"].iter().any(|what| error.to_string().contains(what)),
                "{error}"
            );
        }
    };
    assert_eq!(said["headers"].as_str().unwrap_or_default(), contents.headers.as_text());
    match contents.author {
        Author::Own => assert!(said["foreign"].is_null()),
        Author::Foreign { drift } => assert_eq!(said["foreign"]["drift"].as_i64(), drift),
    }
    let parts = said["parts"].as_array().unwrap();
    assert!(parts.len() == contents.parts.len() && !parts.is_empty());
    let mut start = 0;
    for ((said, part), place) in parts.iter().zip(&contents.parts).zip(&contents.places) {
        assert_eq!(said["category"], part.category.as_str());
        assert_eq!(
            (said["quantity"].as_u64(), said["with"].as_u64()),
            (Some(part.quantity), part.with.map(|n| n as u64))
        );
        assert_eq!((place.start, place.len() as u64), (start, said["bytes"].as_u64().unwrap()));
        start = place.end;
    }
    assert_eq!(start, contents.items.len());
}
