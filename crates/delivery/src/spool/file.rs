// SPDX-License-Identifier: BSD-2-Clause
//! What is in an entry's file, and whether it is what was written.
//!
//! ```text
//! vmod-sentry spool 3 <CRC-32 of all that follows, in hex> <its length>
//! {"id":"…","at":<milliseconds>,"members":<bytes>,"parts":[{"category":"error","quantity":1,"with":null,"bytes":<of its items>}]}
//! <the envelope's members><the items of each part>
//! ```
//!
//! An envelope that somebody else has written has `"foreign":{"drift":<milliseconds or null>}` in front of the members' length, one with header lines of its own `"headers":"Origin: …\n"`. Version 2 had neither.

use std::ops::Range;

use protocol::entry::Part;
use protocol::envelope::Author;
use protocol::request_headers::RequestHeaders;
use serde::{Deserialize, Serialize};

use super::file_name::{are_sound, category_of};
use super::key::Key;
use super::written::Written;

/// The first line, before version, checksum and length.
const MAGIC: &str = "vmod-sentry spool ";
const VERSION: &str = "3";
/// Those that can be read.
const READABLE: [&str; 2] = ["2", VERSION];
/// The first line is not longer.
const LONGEST_HEAD: usize = 100;

/// An entry out of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    pub key: Key,
    pub author: Author,
    pub headers: RequestHeaders,
    pub members: Vec<u8>,
    pub parts: Vec<Part>,
    /// Of each part, which bytes of the items are its own.
    pub places: Vec<Range<usize>>,
    pub items: Vec<u8>,
}

/// Why there is none in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not what was written.
    Damaged,
    /// It is whole, as far as can be told, and says more than is known here: a later version's.
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    id: &'a str,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    foreign: Option<Foreign>,
    /// Its line ends are escaped, so it cannot be borrowed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    headers: String,
    members: usize,
    #[serde(borrow)]
    parts: Vec<HeadPart<'a>>,
}

/// An envelope that somebody else has written, as [`Author::Foreign`].
#[derive(Serialize, Deserialize)]
struct Foreign {
    drift: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct HeadPart<'a> {
    category: &'a str,
    quantity: u64,
    with: Option<usize>,
    bytes: usize,
}

/// The file of an entry.
pub fn encode(key: Key, written: &Written) -> Vec<u8> {
    let Written { author, headers, members, parts, .. } = written;
    let head_part = |(part, items): &(Part, Vec<u8>)| HeadPart {
        category: part.category.as_str(),
        quantity: part.quantity,
        with: part.with,
        bytes: items.len(),
    };
    let id = format!("{:032x}", key.id);
    let head = Head {
        id: &id,
        at: key.millis,
        foreign: match *author {
            Author::Own => None,
            Author::Foreign { drift } => Some(Foreign { drift }),
        },
        headers: headers.as_text().to_owned(),
        members: members.len(),
        parts: parts.iter().map(head_part).collect(),
    };
    let mut body = serde_json::to_vec(&head).unwrap_or_default();
    body.push(b'\n');
    body.extend_from_slice(members);
    parts.iter().for_each(|(_, items)| body.extend_from_slice(items));
    let mut file = format!("{MAGIC}{VERSION} {:08x} {}\n", crc32fast::hash(&body), body.len()).into_bytes();
    file.append(&mut body);
    file
}

/// The entry in a file.
pub fn decode(file: &[u8]) -> Result<Contents, Problem> {
    let body = body(file)?;
    // From here on it is what was written.
    contents(body).ok_or(Problem::Unknown)
}

fn body(file: &[u8]) -> Result<&[u8], Problem> {
    let end = file.iter().take(LONGEST_HEAD).position(|byte| *byte == b'\n').ok_or(Problem::Damaged)?;
    let (head, body) = file.split_at_checked(end).ok_or(Problem::Damaged)?;
    let body = body.get(1..).ok_or(Problem::Damaged)?;
    let head = str::from_utf8(head).ok().and_then(|head| head.strip_prefix(MAGIC)).ok_or(Problem::Damaged)?;
    let (version, rest) = head.split_once(' ').ok_or(Problem::Damaged)?;
    if !READABLE.contains(&version) {
        let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if is_number { Problem::Unknown } else { Problem::Damaged });
    }
    if rest != format!("{:08x} {}", crc32fast::hash(body), body.len()) {
        return Err(Problem::Damaged);
    }
    Ok(body)
}

fn contents(body: &[u8]) -> Option<Contents> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let head: Head<'_> = serde_json::from_slice(body.get(..end)?).ok()?;
    let (members, items) = body.get(end + 1..)?.split_at_checked(head.members)?;
    let key = Key { millis: head.at, id: u128::from_str_radix(head.id, 16).ok()? };
    let (mut parts, mut places, mut start) = (Vec::new(), Vec::new(), 0_usize);
    for part in &head.parts {
        let end = start.checked_add(part.bytes)?;
        parts.push(Part { category: category_of(part.category)?, quantity: part.quantity, with: part.with });
        places.push(start..end);
        start = end;
    }
    if start != items.len() || !are_sound(&parts) {
        return None;
    }
    let author = head.foreign.map_or(Author::Own, |Foreign { drift }| Author::Foreign { drift });
    let headers = RequestHeaders::from_text(&head.headers)?;
    Some(Contents { key, author, headers, members: members.to_vec(), parts, places, items: items.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use protocol::category::Category;

    use super::*;
    use crate::counters::Ledger;

    fn parts() -> Vec<(Part, Vec<u8>)> {
        vec![
            (Part::new(Category::Error, 1), b"{\"type\":\"event\",\"length\":2}\n{}\n".to_vec()),
            (Part::new(Category::Attachment, 9).together_with(0), b"{\"length\":1}\n\xff\n".to_vec()),
        ]
    }

    /// An entry of those parts.
    fn written(members: &[u8], parts: Vec<(Part, Vec<u8>)>) -> Written {
        let (at, id, ledger) = (KEY.at(), KEY.id(), Arc::new(Ledger::new(None)));
        let (author, headers) = Default::default();
        Written { at, id, author, headers, members: members.to_vec(), parts, ledger }
    }

    const KEY: Key = Key { millis: 1000, id: 0xab };

    /// CRC-32 as it is written down in RFC 1952.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    #[test]
    fn a_file_is_what_the_format_says() {
        let file = encode(KEY, &written(b"\"event_id\":\"x\",", parts()));
        let body = [
            "{\"id\":\"000000000000000000000000000000ab\",\"at\":1000,\"members\":15,\"parts\":[\
             {\"category\":\"error\",\"quantity\":1,\"with\":null,\"bytes\":31},\
             {\"category\":\"attachment\",\"quantity\":9,\"with\":0,\"bytes\":15}]}\n\
             \"event_id\":\"x\",{\"type\":\"event\",\"length\":2}\n{}\n{\"length\":1}\n"
                .as_bytes(),
            b"\xff\n",
        ]
        .concat();
        let head = format!("vmod-sentry spool 3 {:08x} {}\n", crc(&body), body.len());
        assert_eq!(String::from_utf8_lossy(&file), String::from_utf8_lossy(&[head.as_bytes(), &body].concat()));
        let contents = decode(&file).unwrap();
        assert_eq!((contents.key, contents.members.as_slice()), (KEY, &b"\"event_id\":\"x\","[..]));
        assert_eq!(contents.parts, parts().iter().map(|(part, _)| *part).collect::<Vec<_>>());
        for ((_, items), place) in parts().iter().zip(contents.places) {
            assert_eq!(contents.items.get(place), Some(&items[..]));
        }
    }

    #[test]
    fn what_somebody_else_has_written_says_so_and_whose_request_it_was() {
        let headers = "Origin: https://a\nUser-Agent: b \"c\"\n";
        for (drift, said) in [(Some(-5), "-5"), (None, "null")] {
            let author = Author::Foreign { drift };
            let of = RequestHeaders::from_text(headers).unwrap();
            let file = encode(KEY, &Written { author, headers: of.clone(), ..written(b"", parts()) });
            let text = String::from_utf8_lossy(&file).into_owned();
            let expected = format!(
                "\"at\":1000,\"foreign\":{{\"drift\":{said}}},\"headers\":\"Origin: https://a\\nUser-Agent: b \\\"c\\\"\\n\",\"members\":0,"
            );
            assert!(text.contains(&expected), "{text}");
            let contents = decode(&file).unwrap();
            assert_eq!((contents.author, contents.headers), (author, of));
        }
    }

    #[test]
    fn a_file_of_the_version_before_is_read() {
        let body = "{\"id\":\"ab\",\"at\":1,\"members\":0,\"parts\":[{\"category\":\"error\",\"quantity\":1,\"with\":null,\"bytes\":1}]}\nx";
        let file = format!("{MAGIC}2 {:08x} {}\n{body}", crc(body.as_bytes()), body.len());
        let contents = decode(file.as_bytes()).unwrap();
        assert_eq!(
            (contents.author, contents.headers, contents.items),
            (Author::Own, RequestHeaders::default(), b"x".to_vec())
        );
    }

    #[test]
    fn a_file_that_is_not_what_was_written_is_damaged() {
        let whole = encode(KEY, &written(b"", parts()));
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), Err(Problem::Damaged), "cut to {length}");
        }
        assert_eq!(decode(&[&whole[..], b"x"].concat()), Err(Problem::Damaged));
        let version = MAGIC.len();
        for at in (0..whole.len()).filter(|at| *at != version) {
            let mut other = whole.clone();
            // Of a digit it makes another one.
            other[at] ^= 1;
            assert_eq!(decode(&other), Err(Problem::Damaged), "another byte at {at}");
        }
    }

    /// A file with that body, whose checksum is right.
    fn sealed(body: &str) -> Vec<u8> {
        format!("{MAGIC}{VERSION} {:08x} {}\n{body}", crc(body.as_bytes()), body.len()).into_bytes()
    }

    #[test]
    fn what_another_version_wrote_is_not_damaged() {
        assert_eq!(decode(b"vmod-sentry spool 1 00000000 2\n{}"), Err(Problem::Unknown));
        assert_eq!(decode(b"vmod-sentry spool 33 anything\n{}"), Err(Problem::Unknown));
        let head = |parts: &str| format!("{{\"id\":\"ab\",\"at\":1,\"members\":0,\"parts\":[{parts}]}}\n");
        let part = "{\"category\":\"error\",\"quantity\":1,\"with\":null,\"bytes\":1}";
        assert!(decode(&sealed(&(head(part) + "x"))).is_ok());
        for body in [
            String::new(),
            head(part),
            head(part) + "xy",
            head("") + "",
            head(&part.replace("error", "sunshine")) + "x",
            head(&part.replace("null", "0")) + "x",
            head(&part.replace("null", "1")) + "x",
            head(&part.replace(":1}", ":18446744073709551615}")) + "x",
            head(&format!("{part},{}", part.replace(":1}", ":18446744073709551615}"))) + "x",
            head(part).replace("\"members\":0", "\"members\":9") + "x",
            head(part).replace("ab", "xyz") + "x",
            head(part).replace("\"members\"", "\"headers\":\"Host: a\\n\",\"members\"") + "x",
        ] {
            assert_eq!(decode(&sealed(&body)), Err(Problem::Unknown), "{body}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_looked_at_without_harm(bytes: Vec<u8>, body: String, cut in 0..400_usize) {
            let _ = decode(&bytes);
            let _ = decode(&sealed(&body));
            let whole = encode(KEY, &written(b"\"a\":1,", parts()));
            let _ = decode(&[whole.get(..cut).unwrap_or(&whole), &bytes].concat());
        }

        #[test]
        fn what_goes_in_comes_out(millis: u64, id: u128, members: Vec<u8>, items: Vec<(u64, Vec<u8>)>) {
            let parts: Vec<_> = items.iter().map(|(n, items)| (Part::new(Category::Span, *n), items.clone())).collect();
            let decoded = decode(&encode(Key { millis, id }, &written(&members, parts.clone())));
            if parts.is_empty() {
                prop_assert_eq!(decoded, Err(Problem::Unknown));
            } else {
                let decoded = decoded.unwrap();
                prop_assert_eq!(decoded.key, Key { millis, id });
                prop_assert_eq!(decoded.members, members);
                let again: Vec<_> = decoded.parts.iter().zip(&decoded.places)
                    .map(|(part, place)| (*part, decoded.items[place.clone()].to_vec())).collect();
                prop_assert_eq!(again, parts);
            }
        }
    }
}
