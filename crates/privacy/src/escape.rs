// SPDX-License-Identifier: BSD-2-Clause
//! Escapes: of JSON's strings, of percent-encoding, of XML.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr3, memchr3_iter};

/// A string of JSON as it is meant. What is escaped wrongly, or is half of a pair, is a character that no name
/// and no URL has.
pub(crate) fn unescaped(string: &[u8]) -> Cow<'_, [u8]> {
    if !string.contains(&b'\\') {
        return Cow::Borrowed(string);
    }
    let mut out = Vec::with_capacity(string.len());
    let mut rest = string;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&escaped, tail)) = rest.split_first() else { break };
        rest = tail;
        match escaped {
            b'n' | b'r' | b't' | b'b' | b'f' => out.push(b' '),
            b'u' => {
                let digits = rest.get(..4).and_then(|digits| str::from_utf8(digits).ok());
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = rest.get(4..).unwrap_or_default();
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Kinds of escapes, as bits. Each one is the outer one of those behind it, where a text has more than one kind: so they are written.
const PERCENT: u8 = 1;
const XML: u8 = 2;
const STRING: u8 = 4;

/// Shows `see` the text without its escapes, those of percent-encoding, of strings and of XML alike: once decoded, twice, and so on, at most `times`. Returns
/// the last of them if it has an escape of percent-encoding left.
///
/// Where a string's own escapes go together with those that it was written in, as in `%22a\\\%22b%22`, it seems to end too early: then all is shown again without
/// the inner ones.
pub(crate) fn decoded(text: &[u8], times: usize, mut see: impl FnMut(&View)) -> Option<View> {
    // Most have none.
    memchr3(b'%', b'\\', b'&', text)?;
    let (left, mixed) = views(text, times, PERCENT | XML | STRING, &mut see);
    let outer = if mixed & STRING != 0 { PERCENT | XML } else { PERCENT };
    if mixed != 0 && views(text, times, outer, &mut see).1 != 0 {
        views(text, times, PERCENT, &mut see);
    }
    left
}

/// As [`decoded`], by these kinds of escapes; also says which kinds went together.
fn views(text: &[u8], times: usize, kinds: u8, see: &mut impl FnMut(&View)) -> (Option<View>, u8) {
    let (mut view, mut mixed) = (View { bytes: Vec::new(), layers: Vec::new() }, 0);
    for depth in 0..times {
        let before = std::mem::take(&mut view.bytes);
        let found = view.decode(if depth == 0 { text } else { &before }, kinds);
        if found == 0 {
            return (None, mixed);
        }
        if found.count_ones() > 1 {
            mixed |= found;
        }
        see(&view);
    }
    (view.next_escape(0).is_some().then_some(view), mixed)
}

/// A text without its escapes, of which it is known where in the text each byte stood.
pub(crate) struct View {
    pub(crate) bytes: Vec<u8>,
    /// Of each time that it was decoded, where in the result and in what was decoded a piece begins that has no escape.
    layers: Vec<Vec<(u32, u32)>>,
}

impl View {
    /// Where the next escape of percent-encoding is, from `at` on.
    pub(crate) fn next_escape(&self, at: usize) -> Option<usize> {
        let rest = self.bytes.get(at..)?;
        memchr_iter(b'%', rest)
            .map(|found| at + found)
            .find(|at| hex(self.bytes.get(at + 1..).unwrap_or_default(), 2).is_some())
    }

    /// Where in the text the byte `at` stood.
    pub(crate) fn place(&self, at: usize) -> usize {
        self.layers.iter().rev().fold(at, |at, pieces| {
            let behind = pieces.partition_point(|(begin, _)| *begin as usize <= at);
            let piece = behind.checked_sub(1).and_then(|index| pieces.get(index));
            piece.map_or(at, |(begin, place)| *place as usize + (at - *begin as usize))
        })
    }

    /// Takes the bytes of `text` without the escapes of these kinds; says of which there were some.
    fn decode(&mut self, text: &[u8], kinds: u8) -> u8 {
        let (mut pieces, mut copied, mut found) = (Vec::new(), 0, 0);
        for at in memchr3_iter(b'%', b'\\', b'&', text) {
            let rest = text.get(at..).unwrap_or_default();
            let kind = match rest.first() {
                Some(b'%') => PERCENT,
                Some(b'&') => XML,
                _ => STRING,
            };
            // The second of two backslashes.
            let Some((len, character)) = escape(rest).filter(|_| at >= copied && kinds & kind != 0) else {
                continue;
            };
            found |= kind;
            if pieces.is_empty() {
                self.bytes = Vec::with_capacity(text.len());
            }
            self.bytes.extend_from_slice(text.get(copied..at).unwrap_or_default());
            // All of what it stands for stood where it stands.
            let mut put = |bytes: &[u8]| {
                for byte in bytes {
                    pieces.push((self.bytes.len() as u32, at as u32));
                    self.bytes.push(*byte);
                }
            };
            match character {
                Decoded::Byte(byte) => put(&[byte]),
                Decoded::Character(character) => put(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            copied = at + len;
            pieces.push((self.bytes.len() as u32, copied as u32));
        }
        if found != 0 {
            self.bytes.extend_from_slice(text.get(copied..).unwrap_or_default());
            self.layers.push(pieces);
        }
        found
    }
}

/// What an escape stands for.
enum Decoded {
    Byte(u8),
    Character(char),
}

impl Decoded {
    fn of(code: u32) -> Decoded {
        Decoded::Character(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

/// How long the escape is that `text` begins with, and what it stands for.
fn escape(text: &[u8]) -> Option<(usize, Decoded)> {
    let (first, rest) = text.split_first()?;
    if *first == b'%' {
        return hex(rest, 2).and_then(|code| u8::try_from(code).ok()).map(|byte| (3, Decoded::Byte(byte)));
    }
    if *first == b'&' {
        return entity(rest).map(|(len, character)| (1 + len, character));
    }
    match rest.first()? {
        b'u' => hex(rest.get(1..)?, 4).map(|code| (6, Decoded::of(code))),
        // As servers write it into their logs.
        b'x' => hex(rest.get(1..)?, 2).and_then(|code| u8::try_from(code).ok()).map(|byte| (4, Decoded::Byte(byte))),
        b'n' => Some((2, Decoded::Byte(b'\n'))),
        b'r' => Some((2, Decoded::Byte(b'\r'))),
        b't' => Some((2, Decoded::Byte(b'\t'))),
        escaped @ (b'"' | b'\\' | b'/' | b'\'') => Some((2, Decoded::Byte(*escaped))),
        _ => None,
    }
}

/// How long the entity of XML is whose `&` is in front of `text`, and what it stands for. One in XML within XML has an ampersand that is one itself.
fn entity(text: &[u8]) -> Option<(usize, Decoded)> {
    const NAMED: [(&[u8], u8); 5] =
        [(b"lt;", b'<'), (b"gt;", b'>'), (b"quot;", b'"'), (b"apos;", b'\''), (b"nbsp;", b' ')];
    if !matches!(text.first(), Some(b'a' | b'g' | b'l' | b'n' | b'q' | b'#')) {
        return None;
    }
    let mut inner = text;
    while let Some(deeper) = inner.strip_prefix(b"amp;") {
        inner = deeper;
    }
    let amps = text.len() - inner.len();
    if let Some((name, byte)) = NAMED.into_iter().find(|(name, _)| inner.starts_with(name)) {
        return Some((amps + name.len(), Decoded::Byte(byte)));
    }
    if let Some(number) = inner.strip_prefix(b"#") {
        let (digits, radix) = number.strip_prefix(b"x").map_or((number, 10), |digits| (digits, 16));
        let len = digits.iter().take(8).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let code = digits.get(..len).and_then(|digits| u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok());
        if let Some(code) = code.filter(|_| digits.get(len) == Some(&b';')) {
            return Some((text.len() - digits.len() + len + 1, Decoded::of(code)));
        }
    }
    (amps > 0).then_some((amps, Decoded::Byte(b'&')))
}

/// The number that the first `digits` bytes are.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digits = text.get(..digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_decoded_as_often_as_it_is_encoded_and_tells_where_a_byte_stood() {
        for (text, views) in [
            ("a%20b", &["a b"][..]),
            ("%2541%", &["%41%", "A%"]),
            ("\\u0041\\\"\\n\\\\", &["A\"\n\\"]),
            ("\\\\u00e9x%", &["\\u00e9x%", "éx%"]),
            ("\\x22a\\x3d", &["\"a="]),
            ("&lt;a&gt;&amp;&#39;&#x22;&amp;amp;quot;", &["<a>&'\"\""]),
            ("&amp;lt&#x;&#xg;&b=&lt", &["&lt&#x;&#xg;&b=&lt"]),
            ("100% \\x &", &[]),
            (r"%22a\\\%22b%22", &[r#""a\\"b""#, r#""a\"b""#, r#""a"b""#, r#""a\\\"b""#]),
            (r"&#39;a\u0027&#39;", &["'a''", r"'a\u0027'"]),
            (r"%22\u0022&quot;", &[r#"""""#, r#""\u0022""#, r#""\u0022&quot;"#]),
        ] {
            let mut seen = Vec::new();
            let left = decoded(text.as_bytes(), 3, |view| seen.push(String::from_utf8(view.bytes.clone()).unwrap()));
            assert_eq!(seen, views, "{text}");
            assert!(left.is_none());
        }
        let mut places = Vec::new();
        let (left, _) = views(b"ab%2541c\\u00e9d", 3, PERCENT | STRING, &mut |view| {
            places.push((0..=view.bytes.len()).map(|at| view.place(at)).collect::<Vec<_>>())
        });
        assert!(left.is_none());
        // ab%41céd, abAcéd
        assert_eq!(places, [vec![0, 1, 2, 5, 6, 7, 8, 8, 14, 15], vec![0, 1, 2, 7, 8, 8, 14, 15]]);
        assert!(decoded(b"%25252541", 3, |_| ()).is_some_and(|left| left.next_escape(0) == Some(0)));
    }
}
