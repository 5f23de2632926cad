// SPDX-License-Identifier: BSD-2-Clause
//! The escapes of JSON's strings.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

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

/// Shows `see` the text without its escapes, those of percent-encoding and of JSON alike: once decoded, twice, and so on, at most `times`. Returns the last
/// of them if it has an escape of percent-encoding left.
pub(crate) fn decoded(text: &[u8], times: usize, mut see: impl FnMut(&View)) -> Option<View> {
    memchr2(b'%', b'\\', text)?;
    let mut view = View { bytes: text.to_vec(), places: Vec::new(), is_encoded: true };
    for _ in 0..times {
        view = view.decoded()?;
        see(&view);
    }
    (view.next_escape(0).is_some()).then_some(view)
}

/// A text without its escapes, of which it is known where in the text each byte stood.
pub(crate) struct View {
    pub(crate) bytes: Vec<u8>,
    /// As many as bytes, and the end; empty for the text itself.
    places: Vec<u32>,
    is_encoded: bool,
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
        self.places.get(at).map_or(at, |place| *place as usize)
    }

    /// The same without percent-encoding and without escapes of JSON; `None` if there are none.
    fn decoded(&self) -> Option<View> {
        if !self.is_encoded {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut places = Vec::with_capacity(self.bytes.len() + 1);
        let (mut at, mut changed) = (0, false);
        while let Some(byte) = self.bytes.get(at).copied() {
            let rest = self.bytes.get(at + 1..).unwrap_or_default();
            let (len, plain) = match byte {
                b'%' => hex(rest, 2).map_or((1, byte.into()), |code| (3, code)),
                b'\\' => match rest.first() {
                    Some(b'u') => hex(rest.get(1..).unwrap_or_default(), 4).map_or((1, byte.into()), |code| (6, code)),
                    Some(escaped @ (b'"' | b'\\' | b'/' | b'\'')) => (2, u32::from(*escaped)),
                    _ => (1, byte.into()),
                },
                _ => (1, byte.into()),
            };
            changed |= len > 1;
            let place = self.place(at) as u32;
            match u8::try_from(plain) {
                // A byte, or the character below 128 that is one.
                Ok(plain) if len == 3 || plain < 0x80 || len == 1 => {
                    bytes.push(plain);
                    places.push(place);
                }
                _ => {
                    let character = char::from_u32(plain).unwrap_or(char::REPLACEMENT_CHARACTER);
                    for part in character.encode_utf8(&mut [0; 4]).bytes() {
                        bytes.push(part);
                        places.push(place);
                    }
                }
            }
            at += len;
        }
        places.push(self.place(self.bytes.len()) as u32);
        let is_encoded = changed && bytes.iter().any(|byte| matches!(byte, b'%' | b'\\'));
        changed.then_some(View { bytes, places, is_encoded })
    }
}

/// The number that the first `digits` bytes are.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digits = text.get(..digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}
