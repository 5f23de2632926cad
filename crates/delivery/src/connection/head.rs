// SPDX-License-Identifier: BSD-2-Clause
//! The head of an answer, read line by line with a bound. What ureq is given in its place has only what tells
//! where the body ends: it refuses answers whose head is long, has many lines, or says something odd, and their status counts.

use super::field::{Field, FieldValues};

/// What is known of an answer once its head was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub status: u16,
    pub fields: FieldValues,
    http_1_0: bool,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHead {
    /// What came is no HTTP.
    Garbage,
    /// No final status came within [`MAX_HEAD`] bytes.
    Endless,
}

/// Bytes of a head, interim answers before it included. Of one that is longer the rest is not read, nor its body.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// Room for a line that is kept from one answer to the next.
const KEPT_ROOM: usize = 1024;

/// Reads one head.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// Bytes read so far.
    read: usize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Known once the status line was read.
    head: Option<Head>,
    /// What the line before was about, which may go on.
    last: Option<Field>,
}

impl HeadReader {
    /// Takes what belongs to the head from the front of `input`, a buffer full at most: how much that is, and the head if it is complete.
    /// The reader begins anew then.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Head>), NoHead> {
        let mut rest = input;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at_checked(end + 1).unwrap_or((rest, &[]));
            rest = after;
            self.read += line.len();
            let complete = if self.line.is_empty() {
                self.take_line(line)?
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                let complete = self.take_line(&whole)?;
                whole.clear();
                whole.shrink_to(KEPT_ROOM);
                self.line = whole;
                complete
            };
            if complete {
                return Ok((input.len() - rest.len(), self.finish()));
            }
        }
        self.line.extend_from_slice(rest);
        self.read += rest.len();
        if self.read > MAX_HEAD { self.cut(input.len()) } else { Ok((input.len(), None)) }
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.read = 0;
        self.line.clear();
        self.line.shrink_to(KEPT_ROOM);
        self.head = None;
        self.last = None;
    }

    fn finish(&mut self) -> Option<Head> {
        let head = self.head.take();
        self.reset();
        head
    }

    /// Ends a head that is too long: its status is known, and what follows is nobody's.
    fn cut(&mut self, consumed: usize) -> Result<(usize, Option<Head>), NoHead> {
        let mut head = self.finish().filter(Head::is_final).ok_or(NoHead::Endless)?;
        head.fields.put(Field::Connection, "close");
        for framing in [Field::ContentLength, Field::TransferEncoding] {
            head.fields.forget(framing);
        }
        head.fields.put(Field::ContentLength, "0");
        Ok((consumed, Some(head)))
    }

    /// Whether it was the last one.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, NoHead> {
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        let Some(head) = &mut self.head else {
            // An empty line before an answer is an old server's.
            if !line.is_empty() {
                self.head = Some(status_line(&line).ok_or(NoHead::Garbage)?);
                self.last = None;
            }
            return Ok(false);
        };
        if line.is_empty() {
            let is_final = head.is_final();
            if !is_final {
                self.head = None;
            }
            return Ok(is_final);
        }
        if line.starts_with([' ', '\t']) {
            if let Some(field) = self.last {
                head.fields.go_on(field, line.trim());
            }
            return Ok(false);
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        self.last = Field::named(name.trim_end());
        if let Some(field) = self.last {
            head.fields.put(field, value.trim());
        }
        Ok(false)
    }
}

/// `HTTP/1.1 200 OK`, the reason left out or not.
fn status_line(line: &str) -> Option<Head> {
    let (version, rest) = line.split_once(' ')?;
    let http_1_0 = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ => return None,
    };
    let rest = rest.trim_start();
    let (code, reason) = rest.split_at_checked(3)?;
    let status = code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.parse().ok()).flatten()?;
    let is_status = (100..=999).contains(&status) && (reason.is_empty() || reason.starts_with(' '));
    is_status.then(|| Head { status, http_1_0, ..Head::default() })
}

impl Head {
    /// Whether no other head follows it.
    fn is_final(&self) -> bool {
        self.status >= 200 || self.status == 101
    }

    /// A head that says no more than the status and where the body ends.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        let chunked = self.fields.get(Field::TransferEncoding).map(|coding| {
            let last = coding.rsplit(',').next().unwrap_or_default();
            last.trim().eq_ignore_ascii_case("chunked") && !self.http_1_0
        });
        let length = self.fields.get(Field::ContentLength).map(length);
        let (framing, certain) = match (chunked, length) {
            (Some(true), length) => ("Transfer-Encoding: chunked\r\n".to_owned(), length.is_none()),
            (None, Some(Some(length))) => (format!("Content-Length: {length}\r\n"), true),
            // The body ends with the connection, if the status has one.
            (None, None) => (String::new(), true),
            (Some(false), _) | (None, Some(None)) => (String::new(), false),
        };
        let close = if certain && self.keeps_connection() { "" } else { "Connection: close\r\n" };
        out.extend_from_slice(format!("HTTP/1.1 {} -\r\n{framing}{close}\r\n", self.status).as_bytes());
    }

    fn keeps_connection(&self) -> bool {
        let said = self.fields.get(Field::Connection).unwrap_or_default();
        let says = |word: &str| said.split(',').any(|option| option.trim().eq_ignore_ascii_case(word));
        !says("close") && (!self.http_1_0 || says("keep-alive"))
    }
}

/// The one length that all of them are.
fn length(said: &str) -> Option<u64> {
    let mut all = said.split(',').map(str::trim);
    let first = all.next()?;
    let digits = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if digits && all.all(|other| other == first) { first.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The head, and what is left behind it, however the bytes come in.
    fn read(bytes: &[u8], step: usize) -> Result<(Option<Head>, usize), NoHead> {
        let mut reader = HeadReader::default();
        let mut at = 0;
        for piece in bytes.chunks(step) {
            let (consumed, head) = reader.read(piece)?;
            at += consumed;
            if head.is_some() {
                return Ok((head, bytes.len() - at));
            }
            assert_eq!(consumed, piece.len());
        }
        Ok((None, bytes.len() - at))
    }

    fn canonical(head: &str) -> String {
        let (head, left) = read(head.as_bytes(), 7).unwrap();
        assert_eq!(left, 0);
        let mut out = Vec::new();
        head.expect("a head").write_canonical(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_of_interest_is_kept_and_lines_of_one_name_are_joined() {
        let bytes = b"\r\nHTTP/1.1 429 Too Many\r\nServer: x\r\nretry-after: Mon,\r\n 1 Jan\r\nX-Folded: a\r\n\tb\r\n\
            RETRY-AFTER : 7\nX-Sentry-Rate-Limits:60:error\r\nX-Sentry-Error: bad\xff\r\nno colon\r\nLocation: /x\r\n\r\n{}";
        for step in [1, 2, 3, 1000] {
            let (head, left) = read(bytes, step).unwrap();
            let head = head.unwrap();
            assert_eq!((head.status, left), (429, if step == 1000 { 2 } else { left }));
            let of = |field| head.fields.get(field);
            assert_eq!(of(Field::RetryAfter), Some("Mon, 1 Jan,7"));
            assert_eq!(of(Field::RateLimits), Some("60:error"));
            assert_eq!(of(Field::SentryError), Some("bad\u{fffd}"));
            assert_eq!(of(Field::Location), Some("/x"));
        }
    }

    #[test]
    fn interim_answers_are_passed_over_and_a_switch_of_protocols_is_none() {
        let interim = "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 103\r\nContent-Length: x\r\n\r\n";
        let bytes = format!("{interim}HTTP/1.1 200\r\n\r\n");
        let (head, _) = read(bytes.as_bytes(), 5).unwrap();
        assert_eq!(head, Some(Head { status: 200, ..Head::default() }));
        assert_eq!(read(b"HTTP/1.1 101 Switching\r\n\r\n", 5).unwrap().0.unwrap().status, 101);
    }

    #[test]
    fn where_the_body_ends_is_told_unless_it_is_in_doubt() {
        let close = "Connection: close\r\n";
        for (lines, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "Content-Length: 5\r\n".to_owned()),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\n".to_owned()),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", close.to_owned()),
            ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n", close.to_owned()),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\n", close.to_owned()),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n", close.to_owned()),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n", "Transfer-Encoding: chunked\r\n".to_owned()),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                format!("Transfer-Encoding: chunked\r\n{close}"),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n", close.to_owned()),
            ("HTTP/1.1 200 OK\r\n", String::new()),
            ("HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n", close.to_owned()),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n", format!("Content-Length: 5\r\n{close}")),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n", "Content-Length: 5\r\n".to_owned()),
        ] {
            assert_eq!(canonical(&format!("{lines}\r\n")), format!("HTTP/1.1 200 -\r\n{expected}\r\n"), "{lines}");
        }
    }

    #[test]
    fn a_head_without_end_is_cut_and_its_status_counts() {
        let endless = |begin: &str, line: &str| format!("{begin}{}", line.repeat(MAX_HEAD / line.len() + 1));
        for (framing, line) in [
            ("", "X-Line: value\r\n"),
            ("", "x"),
            ("Content-Length: 5\r\n", "x"),
            ("Transfer-Encoding: chunked\r\n", "x"),
        ] {
            let begin = format!("HTTP/1.1 202 OK\r\n{framing}X: ");
            let (head, left) = read(endless(&begin, line).as_bytes(), 999).unwrap();
            let mut out = Vec::new();
            head.unwrap().write_canonical(&mut out);
            assert_eq!(out, b"HTTP/1.1 202 -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            assert!(left < 999);
        }
        for text in [endless("", "HTTP/1.1 100 Continue\r\n\r\n"), endless("", "\r\n")] {
            assert_eq!(read(text.as_bytes(), 999), Err(NoHead::Endless));
        }
        let garbage =
            ["HTTP/2 200", "HTTP/1.1 20", "HTTP/1.1 2000 x", "HTTP/1.1 099 x", "HTTP/1.1 +99", "ICY 200 OK", "{}"];
        for line in garbage {
            assert_eq!(read(format!("{line}\r\n").as_bytes(), 99), Err(NoHead::Garbage), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_what_is_written_is_a_head_of_the_same_status(
            bytes in prop::collection::vec(prop_oneof!["HTTP/1.[01] [0-9]{3} ?[a-z]{0,3}\r?\n", "\\PC{0,20}\r?\n", "(Content-Length|Transfer-Encoding|Connection): ?[0-9a-z, ]{0,9}\r\n", "\r\n"], 0..12),
            step in 1_usize..40,
        ) {
            let bytes = bytes.concat().into_bytes();
            if let Ok((Some(head), _)) = read(&bytes, step) {
                prop_assert!((100..1000).contains(&head.status));
                let mut out = Vec::new();
                head.write_canonical(&mut out);
                let again = read(&out, 99).unwrap().0;
                prop_assert_eq!(again.map(|again| again.status), (head.status >= 200 || head.status == 101).then_some(head.status));
            }
        }
    }
}
