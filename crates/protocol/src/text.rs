// SPDX-License-Identifier: BSD-2-Clause
//! Bytes of the wire as text that a Sentry server takes: UTF-8, no control characters, not too long.
//!
//! The limit of a text is in characters, and what several texts share is in bytes, because Sentry's
//! ingestion counts so. A NUL is legal JSON, but a server that keeps events in PostgreSQL cannot store
//! it and loses the event.

use std::borrow::Cow;

/// What ends a text that was cut, as Sentry's own trimming does it.
const MARK: &str = "...";

/// `bytes` as text that may have lines; a control character becomes U+FFFD, as invalid UTF-8 does.
pub fn text(bytes: &[u8], limit: usize) -> Cow<'_, str> {
    if let Some(plain) = plain(bytes) {
        return cut(Cow::Borrowed(plain), limit);
    }
    let readable = |c: char| if c.is_control() && !matches!(c, '\n' | '\r' | '\t') { '\u{fffd}' } else { c };
    cut(Cow::Owned(String::from_utf8_lossy(bytes).chars().map(readable).collect()), limit)
}

/// `bytes` as one line without white space around it; line ends and control characters become spaces.
pub fn line(bytes: &[u8], limit: usize) -> Cow<'_, str> {
    if let Some(plain) = plain(bytes) {
        return cut(Cow::Borrowed(plain.trim_ascii()), limit);
    }
    let one_line = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    let mut line: String = String::from_utf8_lossy(bytes).chars().map(one_line).collect();
    line.truncate(line.trim_end().len());
    line.drain(..line.len() - line.trim_start().len());
    cut(Cow::Owned(line), limit)
}

/// As [`line`], of bytes that may be a copy.
pub fn line_of(bytes: Cow<'_, [u8]>, limit: usize) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => line(bytes, limit),
        Cow::Owned(bytes) => Cow::Owned(line(&bytes, limit).into_owned()),
    }
}

/// `bytes` as they are, if all of them are printable ASCII: nearly every text is, and needs no copy.
fn plain(bytes: &[u8]) -> Option<&str> {
    // Without an early end: a loop that the compiler can do for many bytes at a time.
    let is_plain = bytes.iter().fold(true, |all, byte| all & (b' '..=b'~').contains(byte));
    if is_plain { str::from_utf8(bytes).ok() } else { None }
}

/// `text` in at most `limit` characters; what is cut ends in a mark.
pub fn cut(mut text: Cow<'_, str>, limit: usize) -> Cow<'_, str> {
    if text.len() > limit && text.chars().nth(limit).is_some() {
        let kept = limit.saturating_sub(MARK.len());
        let kept = text.char_indices().nth(kept).map_or(0, |(at, _)| at);
        mark(text.to_mut(), kept);
    }
    text
}

/// `text` in at most `room` bytes, cut if that leaves enough of it to be of use.
pub fn fit(mut text: Cow<'_, str>, room: usize) -> Option<Cow<'_, str>> {
    const MIN_CUT: usize = 32;
    if text.len() <= room {
        return Some(text);
    }
    if room < MIN_CUT {
        return None;
    }
    let kept = (0..=room - MARK.len()).rev().find(|at| text.is_char_boundary(*at))?;
    mark(text.to_mut(), kept);
    Some(text)
}

/// Cuts `text` at byte `kept`, and says so.
fn mark(text: &mut String, kept: usize) {
    text.truncate(kept);
    text.push_str(MARK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_into_bytes_whole_or_cut_or_not_at_all() {
        let fitted = |text: &str, room| fit(Cow::Borrowed(text), room).map(Cow::into_owned);
        assert_eq!(fitted("äö", 4).as_deref(), Some("äö"));
        assert_eq!(fitted("äö", 3), None);
        assert_eq!(fitted(&"ä".repeat(20), 33), Some("ä".repeat(15) + "..."));
        assert_eq!(fitted(&"ä".repeat(20), 32), Some("ä".repeat(14) + "..."));
        assert_eq!(fitted(&"ä".repeat(20), 31), None);
    }

    #[test]
    fn invalid_utf8_and_control_characters_become_readable() {
        assert_eq!(text(b"a\xffb\0c\x1b[1m\r\n\td\xc2\x85", 99), "a\u{fffd}b\u{fffd}c\u{fffd}[1m\r\n\td\u{fffd}");
        assert_eq!(line(b" \ta\r\nb\xff\0c\xe2\x80\xa8d \x7f", 99), "a  b\u{fffd} c d");
        assert_eq!(line(b"\t \r\n\0", 99), "");
    }

    #[test]
    fn what_needs_no_change_is_not_copied() {
        for bytes in [&b"GET /a?b=c HTTP/1.1 ~"[..], b""] {
            assert!(matches!(text(bytes, 99), Cow::Borrowed(_)) && matches!(line(bytes, 99), Cow::Borrowed(_)));
        }
        assert!(matches!(line(b"  a b ", 3), Cow::Borrowed("a b")));
    }

    #[test]
    fn a_text_is_cut_by_characters_and_says_so() {
        for (whole, limit, kept) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc..."),
            ("äöüäöü", 6, "äöüäöü"),
            ("äöüäöüß", 6, "äöü..."),
            ("😀😀😀😀😀", 4, "😀..."),
            ("", 3, ""),
        ] {
            assert_eq!(text(whole.as_bytes(), limit), kept);
        }
    }
}
