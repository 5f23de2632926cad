// SPDX-License-Identifier: BSD-2-Clause
//! Values that were taken out of a named place, and where the same ones stand again: as they are, percent-encoded, escaped as JSON does it, or
//! cut at the end of a text.

use std::borrow::Cow;

use memchr::memmem;

use crate::address::anonymous_text;
use crate::escape::decoded;
use crate::secret::FILTERED;
use crate::spans::Spans;
use crate::syntax::MAX_DEPTH;
use crate::taken::{MAX_VALUES, MIN_VALUE, Taken};

/// What is looked for in the texts of one event.
///
/// Every value has at least [`MIN_VALUE`] bytes, so that of every [`STRIDE`] places in a text one is that of four bytes from the begin of a value
/// that stands there: most texts are told to have none by a look at a fifth of their bytes.
#[derive(Debug, Default)]
pub struct Known {
    needles: Vec<Needle>,
    /// Four bytes of each begin.
    begins: Grams,
    /// Four bytes of each, at every [`STRIDE`]: of any [`MIN_VALUE`] bytes of a value, one of them is in it.
    parts: Grams,
    /// All values, one after the other.
    all: Vec<u8>,
    beyond: usize,
}

#[derive(Debug)]
struct Needle {
    value: Box<[u8]>,
    /// What comes in place of it.
    by: Cow<'static, [u8]>,
    is_address: bool,
}

impl Needle {
    /// How many bytes at the begin of `text` are the value; of a long one, those that agree after enough of them did: what costs more to compare
    /// is hidden and not compared again.
    fn len_in(&self, text: &[u8]) -> Option<usize> {
        const ENOUGH: usize = 128;
        let Some((head, tail)) = self.value.split_at_checked(ENOUGH) else {
            return text.starts_with(&self.value).then_some(self.value.len());
        };
        let rest = text.strip_prefix(head)?;
        Some(ENOUGH + rest.iter().zip(tail).take_while(|(one, other)| one == other).count())
    }
}

/// Places of a text that are passed over.
const STRIDE: usize = MIN_VALUE - GRAM + 1;
const GRAM: usize = 4;

/// A set of four bytes each, which takes some for members that are none.
#[derive(Debug)]
struct Grams([u64; WORDS]);

/// A power of two.
const WORDS: usize = 128;

impl Default for Grams {
    fn default() -> Grams {
        Grams([0; WORDS])
    }
}

impl Grams {
    /// Place and bit of what stands for the four bytes.
    fn hash(gram: [u8; GRAM]) -> (usize, u64) {
        let hash = u32::from_le_bytes(gram).wrapping_mul(0x9e37_79b1) >> 19;
        (hash as usize % WORDS, 1 << (hash >> 7))
    }

    /// Adds every four bytes of `text` that begin so many bytes apart.
    fn add(&mut self, text: &[u8], apart: usize) {
        let mut at = 0;
        while let Some(gram) = gram(text, at) {
            let (word, bit) = Grams::hash(gram);
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
            at += apart;
        }
    }

    fn may_have(&self, gram: [u8; GRAM]) -> bool {
        let (word, bit) = Grams::hash(gram);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The four bytes at `at`.
fn gram(text: &[u8], at: usize) -> Option<[u8; GRAM]> {
    text.get(at..).and_then(<[u8]>::first_chunk).copied()
}

impl Known {
    /// With `anonymize`, addresses are made anonymous rather than hidden.
    pub fn new(taken: Taken, anonymize: bool) -> Known {
        let Taken { values, addresses, beyond } = taken;
        if values.is_empty() && addresses.is_empty() {
            return Known { beyond, ..Known::default() };
        }
        let (mut begins, mut parts, mut all) = (Grams::default(), Grams::default(), Vec::new());
        for value in &values {
            begins.add(value.get(..STRIDE + GRAM - 1).unwrap_or(value), 1);
            parts.add(value, STRIDE);
            all.extend_from_slice(value);
            all.push(0);
        }
        let by = |address: &[u8]| match anonymize.then(|| anonymous_text(address)) {
            Some(Cow::Owned(anonymous)) => Cow::Owned(anonymous),
            _ => Cow::Borrowed(FILTERED),
        };
        addresses.iter().for_each(|value| begins.add(value.get(..STRIDE + GRAM - 1).unwrap_or(value), 1));
        let addresses = addresses.into_iter().map(|value| Needle { by: by(&value), value, is_address: true });
        let values = values.into_iter().map(|value| Needle { value, by: Cow::Borrowed(FILTERED), is_address: false });
        Known { needles: values.chain(addresses).collect(), begins, parts, all, beyond }
    }

    /// How many values there was no room for.
    pub fn beyond(&self) -> usize {
        self.beyond
    }

    /// `text` without any of the values; addresses only if it is no place where one is told on purpose.
    pub fn hide<'t>(&self, text: Cow<'t, [u8]>, with_addresses: bool) -> Cow<'t, [u8]> {
        if self.needles.is_empty() || text.len() < MIN_VALUE || *text == *FILTERED {
            return text;
        }
        let mut spans = Spans::default();
        self.find(&text, with_addresses, |start| start, &mut spans);
        decoded(&text, MAX_DEPTH, |view| self.find(&view.bytes, with_addresses, |at| view.place(at), &mut spans));
        if let Some(start) = self.cut(&text) {
            spans.hide(start, text.len());
        }
        if spans.is_empty() {
            return text;
        }
        Cow::Owned(spans.apply(&text).into_owned())
    }

    fn find(&self, text: &[u8], with_addresses: bool, place: impl Fn(usize) -> usize, spans: &mut Spans) {
        // Of each value, where the last one that was found ends.
        let mut ends: Option<[usize; MAX_VALUES]> = None;
        let mut at = 0;
        while let Some(gram) = gram(text, at) {
            if self.begins.may_have(gram) {
                let ends = ends.get_or_insert([0; MAX_VALUES]);
                // A value that begins here, or so many bytes in front.
                for start in at.saturating_sub(STRIDE - 1)..=at {
                    let rest = text.get(start..).unwrap_or_default();
                    for (needle, end) in self.needles.iter().zip(&mut *ends).filter(|(_, end)| **end <= start) {
                        let Some(len) = needle.len_in(rest) else { continue };
                        if !needle.is_address || with_addresses && is_whole(text, start, start + len) {
                            *end = start + len;
                            spans.put(place(start), place(*end), needle.by.clone());
                        }
                    }
                }
            }
            at += STRIDE;
        }
    }

    /// From where on the end of `text` is the begin of a value that was cut off.
    fn cut(&self, text: &[u8]) -> Option<usize> {
        let tail = text.last_chunk::<MIN_VALUE>()?;
        if !(0..STRIDE).any(|at| gram(tail, at).is_some_and(|gram| self.parts.may_have(gram))) {
            return None;
        }
        memmem::find(&self.all, tail)?;
        let values = self.needles.iter().filter(|needle| !needle.is_address);
        // Most have it not.
        let values = values.filter(|needle| memmem::find(&needle.value, tail).is_some());
        values.filter_map(|needle| overlap(text, &needle.value)).max().map(|len| text.len() - len)
    }
}

/// Whether the address between `start` and `end` is not a part of a longer one.
fn is_whole(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    let goes_on = match text.get(end..).unwrap_or_default() {
        [b'.', next, ..] => next.is_ascii_digit(),
        [next, ..] => next.is_ascii_hexdigit(),
        [] => false,
    };
    !before.is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b'.') && !goes_on
}

/// How many bytes at the end of `text` are the begin of `value`, if they are enough to tell it.
fn overlap(text: &[u8], value: &[u8]) -> Option<usize> {
    // Of each prefix of the value, how many of its last bytes are a prefix as well (Knuth, Morris, Pratt).
    let mut borders = vec![0_usize; value.len()];
    let step = |borders: &[usize], mut len: usize, byte: u8| {
        loop {
            if value.get(len) == Some(&byte) {
                return len + 1;
            }
            match len.checked_sub(1).and_then(|last| borders.get(last)) {
                Some(border) => len = *border,
                None => return 0,
            }
        }
    };
    let mut len = 0;
    for (at, byte) in value.iter().enumerate().skip(1) {
        len = step(&borders, len, *byte);
        if let Some(border) = borders.get_mut(at) {
            *border = len;
        }
    }
    let from = text.len().saturating_sub(value.len());
    len = 0;
    for byte in text.get(from..)? {
        len = step(&borders, len, *byte);
    }
    (len >= MIN_VALUE).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(values: &[&str], addresses: &str, anonymize: bool) -> Known {
        let mut taken = Taken::default();
        values.iter().for_each(|value| taken.secret(value.as_bytes()));
        taken.addresses(addresses.as_bytes());
        Known::new(taken, anonymize)
    }

    fn hidden(known: &Known, text: &str) -> String {
        String::from_utf8_lossy(&known.hide(Cow::Borrowed(text.as_bytes()), true)).into_owned()
    }

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let known = known(&["a/b\"c+hunter2", "pass%20word%2Fx", "Bearer 0123456789"], "", false);
        for (text, kept) in [
            ("x a/b\"c+hunter2 y", "x [Filtered] y"),
            ("x a%2Fb%22c%2bhunter2y", "x [Filtered]y"),
            ("x a%252Fb%2522c%252bhunter2", "x [Filtered]"),
            (r#"{"q":"a\/b\"c\u002bhunter2"}"#, r#"{"q":"[Filtered]"}"#),
            ("pass word/x", "[Filtered]"),
            ("pass+word/x", "[Filtered]"),
            ("pass%20word%2Fx", "[Filtered]"),
            ("of 0123456789.", "of [Filtered]."),
            ("cut: a/b\"c+hun", "cut: [Filtered]"),
            ("cut: a/b\"c+", "cut: a/b\"c+"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(hidden(&known, text), kept);
        }
    }

    #[test]
    fn an_address_is_whole_or_none_and_may_only_lose_its_end() {
        let one = "192.0.2.71, 2001:db8:1:2::3";
        for (anonymize, kept) in [
            (false, "by [Filtered]: [Filtered]. not 192.0.2.711 1192.0.2.71"),
            (true, "by 192.0.2.0: 2001:db8:1::. not 192.0.2.711 1192.0.2.71"),
        ] {
            let known = known(&[], one, anonymize);
            assert_eq!(hidden(&known, "by 192.0.2.71: 2001:db8:1:2::3. not 192.0.2.711 1192.0.2.71"), kept);
        }
    }

    #[test]
    fn short_values_and_too_many_are_not_looked_for_and_those_are_counted() {
        let values: Vec<_> = (0..100).map(|number| format!("value-{number:04}")).collect();
        let known = known(
            &[&["short", "value-0000"], &*values.iter().map(|value| &**value).collect::<Vec<_>>()].concat(),
            "",
            false,
        );
        assert_eq!(known.beyond(), 100 - MAX_VALUES);
        assert_eq!(hidden(&known, "short value-0000 value-0063 value-0064"), "short [Filtered] [Filtered] value-0064");
    }

    #[test]
    fn the_longest_begin_of_a_value_at_the_end_is_the_one() {
        assert_eq!(overlap(b"aaaaaaaaaa", b"aaaaaaaaaaaab"), Some(10));
        assert_eq!(overlap(b"xabcabcabcabc", b"abcabcabcabd"), Some(9));
        assert_eq!(overlap(b"abcdefg", b"abcdefgh"), None);
    }
}
