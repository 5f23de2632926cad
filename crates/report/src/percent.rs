// SPDX-License-Identifier: BSD-2-Clause
//! Percent-encoding (RFC 3986, section 2.1), both ways.

use std::borrow::Cow;

/// Whether there is anything to decode but a `+`.
pub(crate) fn is_encoded(text: &[u8]) -> bool {
    text.contains(&b'%') && text.windows(3).any(|window| escaped_byte(window).is_some())
}

/// `text` decoded as a query is, `+` to a space; a `%` without two hex digits stays. Owned only if it changed.
pub(crate) fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'+') || is_encoded(text) { Cow::Owned(decoded(text, b' ')) } else { Cow::Borrowed(text) }
}

/// As [`decode`], and a `+` stays what it is.
pub(crate) fn decode_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    if is_encoded(text) { Cow::Owned(decoded(text, b'+')) } else { Cow::Borrowed(text) }
}

/// `text` decoded, a `+` to `plus`.
fn decoded(text: &[u8], plus: u8) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        if let Some(escaped) = escaped_byte(rest) {
            decoded.push(escaped);
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        decoded.push(if *byte == b'+' { plus } else { *byte });
        rest = tail;
    }
    decoded
}

/// `text` with all that cannot stand in a URL encoded: spaces, control characters, bytes above ASCII, and what
/// is among the `reserved`. What is encoded already stays as it is.
pub(crate) fn encode<'t>(text: &'t [u8], reserved: &[u8]) -> Cow<'t, str> {
    let stays = |byte: u8| byte.is_ascii_graphic() && !reserved.contains(&byte);
    let plain = if text.iter().all(|byte| stays(*byte)) { str::from_utf8(text).ok() } else { None };
    plain.map_or_else(|| Cow::Owned(encode_unless(text, stays)), Cow::Borrowed)
}

/// `text` with all encoded but what never means anything: letters, digits and `-._~`.
pub(crate) fn encode_all(text: &[u8]) -> String {
    encode_unless(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn encode_unless(text: &[u8], stays: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        if stays(*byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(hex_digit));
        }
    }
    encoded
}

/// The byte that `text` starts with the escape of.
fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn hex_digit(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_stay() {
        for (text, decoded) in [
            ("a%20b+c", "a b c"),
            ("%74%6f%4B%4b", "toKK"),
            ("%2574", "%74"),
            ("100%", "100%"),
            ("%zz%2", "%zz%2"),
            ("%%41", "%A"),
            ("", ""),
        ] {
            assert_eq!(*decode(text.as_bytes()), *decoded.as_bytes(), "{text}");
        }
        assert!(matches!(decode(b"50%&a=b"), Cow::Borrowed(_)));
        assert_eq!(*decode_escapes(b"a%20b+c%2B%"), *b"a b+c+%");
        assert!(is_encoded(b"a%2F") && !is_encoded(b"a+%2"));
    }

    #[test]
    fn only_what_cannot_stand_in_a_url_is_encoded() {
        assert_eq!(encode(b"/a{b}", b"{}"), "/a%7Bb%7D");
        assert_eq!(encode(b"/a b%20\x00\xff\"<\x7f?k=[v]", b""), "/a%20b%20%00%FF\"<%7F?k=[v]");
        assert_eq!(encode_all("shop@1.2-3_4~ä,;=%\"".as_bytes()), "shop%401.2-3_4~%C3%A4%2C%3B%3D%25%22");
    }
}
