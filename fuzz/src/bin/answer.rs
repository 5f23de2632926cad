// SPDX-License-Identifier: BSD-2-Clause
//! Answers: whatever a server says, in whatever pieces it comes, its head is read within bounds, what is made of it for the HTTP
//! library is a head that tells no other end of the body than the server did, and what goes to the log is a short line without keys.
#![no_main]
// Not all of what is shared is asked here.
#![allow(dead_code)]

#[path = "../../../crates/delivery/src/connection/answer.rs"]
mod answer;
#[path = "../../../crates/delivery/src/connection/field.rs"]
mod field;
#[path = "../../../crates/delivery/src/connection/head.rs"]
mod head;
#[path = "../../../crates/delivery/src/connection/request.rs"]
mod request;

use answer::BodyEnd;
use field::Field;
use fuzz::bytes::Bytes;
use head::{Head, HeadReader, MAX_HEAD, NoHead};
use libfuzzer_sys::fuzz_target;
use request::Target;

const KEY: &str = "hunter2hunter2";

/// What servers say.
const LINES: [&str; 16] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 429\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "Content-Length: 2\r\n",
    "content-length :0",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, ",
    "Connection: close\r\n",
    "Connection: keep-alive,",
    "Retry-After: 60\r\n",
    "X-Sentry-Rate-Limits: 60:error:org,",
    "X-Sentry-Error: ",
    "Location: /",
    "\r\n",
    "\r\n\r\n",
    "\n ",
];

/// The first head in `bytes`, which come in pieces that end at `ends`, and how many bytes are its own.
fn read(bytes: &[u8], mut ends: impl FnMut() -> usize) -> (Result<Option<Head>, NoHead>, usize) {
    let mut reader = HeadReader::default();
    let mut at = 0;
    while at < bytes.len() {
        let piece = &bytes[at..bytes.len().min(at + ends().max(1))];
        match reader.read(piece) {
            Ok((consumed, head)) => {
                assert!(consumed <= piece.len() && (head.is_some() || consumed == piece.len()));
                at += consumed;
                if head.is_some() {
                    // It begins anew.
                    assert_eq!(reader.read(b"HTTP/1.1 204\n\n"), HeadReader::default().read(b"HTTP/1.1 204\n\n"));
                    return (Ok(head), at);
                }
            }
            Err(error) => return (Err(error), at),
        }
        assert!(at <= MAX_HEAD, "it goes on reading");
    }
    (Ok(None), at)
}

/// How the library would find the end of the body: its length, or whether it is chunked, and whether the connection is kept.
fn framing(head: &[u8], status: u16) -> (Option<u64>, bool, bool) {
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(response.parse(head), Ok(httparse::Status::Complete(head.len())));
    assert_eq!((response.code, response.version), (Some(status), Some(1)));
    let of = |name: &str| {
        let mut values = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let value = values.next().map(|header| str::from_utf8(header.value).unwrap());
        assert!(values.next().is_none());
        value
    };
    let chunked = of("transfer-encoding").inspect(|coding| assert_eq!(*coding, "chunked")).is_some();
    let close = of("connection").inspect(|option| assert_eq!(*option, "close")).is_some();
    (of("content-length").map(|length| length.parse().unwrap()), chunked, !close)
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let mut steps = Bytes(input.take(8));
    let begin = input.pick(&["HTTP/1.1 200 OK\r\n", "HTTP/1.1 503 \r\n", "HTTP/1.0 404 No\n", ""]);
    let mut bytes = begin.as_bytes().to_vec();
    while !input.is_empty() {
        match input.byte() {
            0..=127 => bytes.extend_from_slice(input.pick(&LINES).as_bytes()),
            128..=143 => bytes.extend_from_slice(KEY.as_bytes()),
            144..=151 => bytes.extend_from_slice(&input.text()),
            count => bytes.extend_from_slice(input.take(usize::from(count - 151))),
        }
    }
    // A buffer full, as the library has it.
    let (whole, end) = read(&bytes, || 16 * 1024);
    let (pieces, other_end) = read(&bytes, || usize::from(steps.byte()) + 256 * usize::from(steps.is_empty()));
    let Ok(Some(head)) = whole else {
        // How much of a head that never ends is looked at depends on how it comes.
        let is_cut = matches!(pieces, Ok(Some(_))) && other_end > MAX_HEAD;
        assert!(is_cut || matches!(pieces, Ok(Some(_))) == matches!(whole, Ok(Some(_))) || bytes.len() > MAX_HEAD);
        return;
    };
    let is_cut = end.max(other_end) > MAX_HEAD;
    assert!(is_cut || pieces == Ok(Some(head.clone())) && other_end == end);
    assert!((101..=999).contains(&head.status));

    let mut canonical = Vec::new();
    head.write_canonical(&mut canonical);
    let (length, chunked, kept) = framing(&canonical, head.status);
    let said = |field| head.fields.get(field);
    if let Some(length) = length {
        let lengths = said(Field::ContentLength).unwrap();
        assert!(!chunked && said(Field::TransferEncoding).is_none());
        assert!(lengths.split(',').all(|said| said.trim().parse() == Ok(length)), "{lengths:?} is {length}");
    }
    if chunked {
        let last = said(Field::TransferEncoding).unwrap().rsplit(',').next().unwrap();
        assert!(last.trim().eq_ignore_ascii_case("chunked"));
    }
    // In doubt where the body ends, the connection is not used again.
    let said_both = said(Field::TransferEncoding).is_some() && said(Field::ContentLength).is_some();
    assert!(!kept || !said_both);
    let said_none = said(Field::TransferEncoding).is_none() && said(Field::ContentLength).is_none();
    assert!(!kept || length.is_some() || chunked || said_none);

    let auth = format!("Sentry sentry_version=7, sentry_client=c/1, sentry_key={KEY}");
    let target = Target { url: "http://h/api/1/envelope/".to_owned(), auth };
    let answer = answer::answer(&head, bytes.get(end..).unwrap_or_default(), BodyEnd::Whole, &target);
    assert_eq!(answer.status, head.status);
    if let Some(complaint) = answer.complaint {
        assert!(!(200..300).contains(&answer.status) && !complaint.trim().is_empty());
        assert!(complaint.chars().count() <= 200 && !complaint.contains(|c: char| c.is_control()));
        assert!(!complaint.contains(KEY), "{complaint}");
    }
});
