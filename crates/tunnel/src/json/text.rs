// SPDX-License-Identifier: BSD-2-Clause
//! A string of JSON as it stands there.

use std::borrow::Cow;

/// What is between the quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text<'j> {
    raw: &'j [u8],
    is_escaped: bool,
}

impl<'j> Text<'j> {
    pub(super) fn new(raw: &'j [u8], is_escaped: bool) -> Text<'j> {
        Text { raw, is_escaped }
    }

    /// One without escapes.
    pub fn plain(raw: &'j [u8]) -> Text<'j> {
        Text { raw, is_escaped: false }
    }

    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// What it says, as far as it stands in its first `limit` bytes. Escapes that are none stay as they are; a half of a surrogate pair becomes a replacement character.
    pub fn decoded(&self, limit: usize) -> Cow<'j, [u8]> {
        let raw = self.raw.get(..limit).unwrap_or(self.raw);
        if self.is_escaped { Cow::Owned(unescaped(raw)) } else { Cow::Borrowed(raw) }
    }

    /// Whether it says this.
    pub fn is(&self, text: &str) -> bool {
        if self.is_escaped { *self.decoded(self.raw.len()) == *text.as_bytes() } else { self.raw == text.as_bytes() }
    }

    /// What it says if that is one of few words without escapes, as names of members nearly always are; else an empty text. For `match`; [`Text::is`] is never fooled.
    pub fn word(&self) -> &'j [u8] {
        if self.is_escaped { b"" } else { self.raw }
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = unescape(escape, &mut out);
    }
    out.extend_from_slice(rest);
    out
}

/// Writes what the escape in front of `text` stands for; what follows it.
fn unescape<'j>(text: &'j [u8], out: &mut Vec<u8>) -> &'j [u8] {
    let byte = match text.get(1) {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'u') => return unescape_unicode(text, out),
        _ => {
            out.push(b'\\');
            return text.get(1..).unwrap_or_default();
        }
    };
    out.push(byte);
    text.get(2..).unwrap_or_default()
}

fn unescape_unicode<'j>(text: &'j [u8], out: &mut Vec<u8>) -> &'j [u8] {
    let Some(first) = unit(text) else {
        out.push(b'\\');
        return text.get(1..).unwrap_or_default();
    };
    let rest = text.get(6..).unwrap_or_default();
    let second = unit(rest).filter(|second| (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(second));
    let (code, rest) = match second {
        Some(second) => (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), rest.get(6..).unwrap_or_default()),
        None => (first, rest),
    };
    let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// The code unit of an escape `\uXXXX` in front of `text`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(raw: &str) -> Text<'_> {
        Text::new(raw.as_bytes(), raw.contains('\\'))
    }

    #[test]
    fn escapes_stand_for_what_json_says_and_broken_ones_for_themselves() {
        for (raw, said) in [
            ("plain", "plain"),
            (r#"a\"b\\c\/d\n\t\r\b\f"#, "a\"b\\c/d\n\t\r\u{8}\u{c}"),
            (r"\u0041\u00e4\u20AC", "Aä€"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83d!", "\u{fffd}!"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\x \u12 \u12zz \u+123", r"\x \u12 \u12zz \u+123"),
            ("\\", "\\"),
        ] {
            assert_eq!(String::from_utf8_lossy(&text(raw).decoded(100)), said, "{raw}");
        }
    }

    #[test]
    fn a_name_is_known_however_it_is_written() {
        assert!(text("dsn").is("dsn") && text(r"\u0064sn").is("dsn") && !text("dsn2").is("dsn"));
        assert_eq!((text("dsn").word(), text(r"\u0064sn").word()), (&b"dsn"[..], &b""[..]));
        assert_eq!(*text("abcdef").decoded(3), *b"abc");
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read(said: String) {
            let json = serde_json::to_string(&said).unwrap();
            let raw = &json[1..json.len() - 1];
            prop_assert_eq!(&*text(raw).decoded(raw.len()), said.as_bytes());
            prop_assert!(text(raw).is(&said));
        }

        #[test]
        fn any_bytes_are_read(raw: Vec<u8>, limit in 0..50_usize) {
            let _ = Text::new(&raw, true).decoded(limit);
        }
    }
}
