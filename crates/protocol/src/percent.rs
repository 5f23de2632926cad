// SPDX-License-Identifier: BSD-2-Clause
//! Percent-encoding (RFC 3986, section 2.1), both ways.

use std::borrow::Cow;

pub use percent_encoding::AsciiSet;
use percent_encoding::{CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What cannot stand in a URL at all, next to bytes above ASCII.
pub const NOT_IN_URLS: &AsciiSet = &CONTROLS.add(b' ');
/// All but what never means anything.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether there is anything to decode but a `+`.
pub fn is_encoded(text: &[u8]) -> bool {
    text.contains(&b'%') && matches!(decode_escapes(text), Cow::Owned(_))
}

/// `text` decoded as a query is, `+` to a space; a `%` without two hex digits stays. Owned only if it changed.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return decode_escapes(text);
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(decode_escapes(&spaced).into_owned())
}

/// As [`decode`], and a `+` stays what it is.
pub fn decode_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'%') { percent_decode(text).into() } else { Cow::Borrowed(text) }
}

/// `text` with what is in `set`, and bytes above ASCII, encoded. What is encoded already stays as it is.
pub fn encode<'t>(text: &'t [u8], set: &'static AsciiSet) -> Cow<'t, str> {
    percent_encode(text, set).into()
}

/// `text` with all encoded but what never means anything: letters, digits and `-._~`.
pub fn encode_all(text: &[u8]) -> Cow<'_, str> {
    encode(text, RESERVED)
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
        const BRACES: &AsciiSet = &NOT_IN_URLS.add(b'{').add(b'}');
        assert_eq!(encode(b"/a{b}", BRACES), "/a%7Bb%7D");
        assert_eq!(encode(b"/a b%20\x00\xff\"<\x7f?k=[v]", NOT_IN_URLS), "/a%20b%20%00%FF\"<%7F?k=[v]");
        assert_eq!(encode_all("shop@1.2-3_4~ä,;=%\"".as_bytes()), "shop%401.2-3_4~%C3%A4%2C%3B%3D%25%22");
    }
}
