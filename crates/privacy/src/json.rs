// SPDX-License-Identifier: BSD-2-Clause
//! A walk over JSON that may be cut anywhere. It is not parsed into values: a body that is cut has none, and what passes is to be seen as it
//! came.

use std::borrow::Cow;

use crate::escape::unescaped;
use crate::half::ends_in_half;
use crate::scrub::Scrub;
use crate::secret::FILTERED;

/// What comes next in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// Behind `[`.
    ValueOrEnd,
    Name,
    /// Behind `{`.
    NameOrEnd,
    CommaOrEnd,
}

/// A walk over one text.
pub(crate) struct Json<'a, 'p> {
    scrub: Scrub<'p>,
    text: &'a [u8],
    at: usize,
    /// How deep this text was found inside of others.
    depth: usize,
    out: Vec<u8>,
    copied: usize,
}

impl<'a, 'p> Json<'a, 'p> {
    pub(crate) fn new(scrub: Scrub<'p>, text: &'a [u8], depth: usize) -> Json<'a, 'p> {
        Json { scrub, text, at: 0, depth, out: Vec::new(), copied: 0 }
    }

    /// The text without secrets; from where it is no JSON on, without the rest.
    pub(crate) fn scrubbed(mut self) -> Cow<'a, [u8]> {
        if self.walk().is_none() {
            self.replace(self.at, self.text.len(), FILTERED);
        }
        if self.copied == 0 && self.out.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.out.extend_from_slice(self.text.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.out)
    }

    /// Goes to the end, or to what is no JSON: `None`.
    fn walk(&mut self) -> Option<()> {
        // Of each array and object around here what closes it.
        let mut closers = Vec::new();
        let mut next = Next::Value;
        loop {
            self.skip_space();
            let Some(&byte) = self.text.get(self.at) else { return Some(()) };
            match (next, byte) {
                (Next::Value | Next::ValueOrEnd, b'{') => {
                    closers.push(b'}');
                    next = Next::NameOrEnd;
                    self.at += 1;
                }
                (Next::Value | Next::ValueOrEnd, b'[') => {
                    closers.push(b']');
                    next = Next::ValueOrEnd;
                    self.at += 1;
                }
                (Next::ValueOrEnd, b']') | (Next::NameOrEnd, b'}') | (Next::CommaOrEnd, b']' | b'}') => {
                    if closers.pop()? != byte {
                        return None;
                    }
                    next = Next::CommaOrEnd;
                    self.at += 1;
                }
                (Next::CommaOrEnd, b',') => {
                    next = if *closers.last()? == b'}' { Next::Name } else { Next::Value };
                    self.at += 1;
                }
                (Next::Name | Next::NameOrEnd, b'"') => {
                    next = if self.pair()? { Next::CommaOrEnd } else { Next::Value };
                }
                (Next::Value | Next::ValueOrEnd, b'"') => {
                    self.string();
                    next = Next::CommaOrEnd;
                }
                (Next::Value | Next::ValueOrEnd, _) => {
                    self.literal()?;
                    next = Next::CommaOrEnd;
                }
                _ => return None,
            }
        }
    }

    /// A name and the colon behind it, and the value if it is a secret: true.
    fn pair(&mut self) -> Option<bool> {
        let end = self.string_end(self.at);
        let name = unescaped(self.inside(self.at, end));
        self.at = end;
        self.skip_space();
        match self.text.get(self.at) {
            Some(b':') => self.at += 1,
            // Cut here.
            None => return Some(false),
            Some(_) => return None,
        }
        self.skip_space();
        if self.at >= self.text.len() || !self.scrub.hides_key(&name) {
            return Some(false);
        }
        let end = self.value_end();
        self.scrub.take_secret(&unescaped(self.text.get(self.at..end).unwrap_or_default()));
        self.replace(self.at, end, b"\"[Filtered]\"");
        Some(true)
    }

    fn string(&mut self) {
        let end = self.string_end(self.at);
        let value = unescaped(self.inside(self.at, end));
        let half = end == self.text.len() && ends_in_half(&value);
        if half || self.scrub.hides_text(&value, self.depth) {
            self.replace(self.at, end, b"\"[Filtered]\"");
        }
        self.at = end;
    }

    fn literal(&mut self) -> Option<()> {
        let end = self.literal_end();
        let literal = self.text.get(self.at..end)?;
        let is_number = literal.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
        let is_word = [&b"true"[..], b"false", b"null"].into_iter().any(|word| {
            // Cut, it is the beginning of one.
            literal == word || end == self.text.len() && word.starts_with(literal)
        });
        if literal.is_empty() || !is_number && !is_word {
            return None;
        }
        self.at = end;
        Some(())
    }

    /// Where the value here ends, whatever is in it.
    fn value_end(&self) -> usize {
        match self.text.get(self.at) {
            Some(b'"') => self.string_end(self.at),
            Some(b'{' | b'[') => self.nest_end(),
            _ => self.literal_end(),
        }
    }

    fn nest_end(&self) -> usize {
        let mut depth = 0_usize;
        let mut at = self.at;
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'"' => {
                    at = self.string_end(at);
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        at
    }

    /// Behind the string that begins at `start`, or the end of the text.
    fn string_end(&self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.text.len()
    }

    fn literal_end(&self) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| b",]}".contains(byte) || byte.is_ascii_whitespace();
        self.at + rest.iter().position(ends).unwrap_or(rest.len())
    }

    /// What is between the quotes of a string; the last one may have been cut off.
    fn inside(&self, start: usize, end: usize) -> &'a [u8] {
        let string = self.text.get(start + 1..end).unwrap_or_default();
        string.strip_suffix(b"\"").unwrap_or(string)
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn replace(&mut self, start: usize, end: usize, by: &[u8]) {
        self.out.extend_from_slice(self.text.get(self.copied..start).unwrap_or_default());
        self.out.extend_from_slice(by);
        self.copied = end;
        self.at = end;
    }
}
