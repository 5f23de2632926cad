// SPDX-License-Identifier: BSD-2-Clause
//! A place in JSON text, and how to move on from it.
//!
//! It finds its way in JSON that is one, and comes to an end in any other. It does not tell the two apart: whoever needs to know asks a parser. `None` says that the text ended, or is none, before what
//! was asked for did; what was read until then holds.

use memchr::memchr2;

use super::text::Text;

/// Bytes in which the end of a string is looked for by eight at a time.
const NEAR: usize = 32;

/// A place in a text.
#[derive(Clone, Debug)]
pub struct Cursor<'j> {
    json: &'j [u8],
    at: usize,
}

impl<'j> Cursor<'j> {
    pub fn new(json: &'j [u8]) -> Cursor<'j> {
        Cursor { json, at: 0 }
    }

    /// How many bytes are behind it.
    pub fn place(&self) -> usize {
        self.at
    }

    /// The first byte of what comes next, white space left aside.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.json.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Reads a string; anything else is stepped over, and is an empty one.
    pub fn text(&mut self) -> Option<Text<'j>> {
        if self.peek()? == b'"' { self.string() } else { self.skip().map(|()| Text::default()) }
    }

    /// Reads a string that is the next to come.
    fn string(&mut self) -> Option<Text<'j>> {
        self.take(b'"')?;
        let start = self.at;
        let is_escaped = self.skip_string()?;
        let raw = self.json.get(start..self.at - 1)?;
        Some(Text::new(raw, is_escaped))
    }

    /// Steps over what is left of a string, with its end; whether there are escapes in it.
    fn skip_string(&mut self) -> Option<bool> {
        let mut is_escaped = false;
        loop {
            let rest = self.json.get(self.at..)?;
            let found = quote_or_backslash(rest)?;
            self.at += found;
            if rest.get(found) == Some(&b'"') {
                self.at += 1;
                return Some(is_escaped);
            }
            is_escaped = true;
            self.at += 2;
        }
    }

    /// Reads a number, `true`, `false` or `null` as it stands; anything else is stepped over, and is empty.
    pub fn scalar(&mut self) -> Option<&'j [u8]> {
        if matches!(self.peek()?, b'"' | b'{' | b'[') {
            return self.skip().map(|()| &b""[..]);
        }
        let start = self.at;
        self.skip_scalar();
        self.json.get(start..self.at)
    }

    fn skip_scalar(&mut self) {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let ends =
            |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':' | b'"' | b'[' | b'{' | b' ' | b'\n' | b'\r' | b'\t');
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }

    /// Steps over a value. A loop, with no more memory than a number: what opens is only counted.
    pub fn skip(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.skip_string()?;
                }
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if open > 0 => {
                    self.at += 1;
                    continue;
                }
                // Nothing where a value should be.
                b',' | b':' => return None,
                _ => self.skip_scalar(),
            }
            if open == 0 {
                return Some(());
            }
        }
    }

    /// Shows `visit` the name of each member of an object, with the cursor at its value, which it has to read or to step over. What is no object is stepped over.
    pub fn members(&mut self, mut visit: impl FnMut(&mut Self, Text<'j>) -> Option<()>) -> Option<()> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.peek()?;
            let name = self.string()?;
            self.take(b':')?;
            visit(self, name)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    /// Shows `visit` the cursor at each element of an array, which it has to read or to step over. What is no array is stepped over.
    pub fn elements(&mut self, mut visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            visit(self)?;
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    /// Steps over what is between two values, or behind the last one: whether there is a further one.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b',' { Some(true) } else { (byte == end).then_some(false) }
    }
}

/// Where the first of the two is. Most strings are of a few bytes: before [`memchr2`] had begun with those, they are over.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let mut at = 0;
    while at < NEAR {
        let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) else { break };
        let word = u64::from_le_bytes(*word);
        // Of each byte that is one of both the highest bit is set, and of others that follow it maybe, too.
        let zeros = [b'"', b'\\'].map(|byte| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES));
        let found = (zeros[0] | zeros[1]) & !word & (ONES << 7);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', text.get(at..)?).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_not_asked_for_is_stepped_over() {
        let json = r#" {"a" : [1, {"b": "]}\"{"}, []], "c":-1.5e3 ,"d":{},"e": "x\u0079" , "\u0066":null} tail"#;
        let mut cursor = Cursor::new(json.as_bytes());
        let mut seen = Vec::new();
        let whole = cursor.members(|cursor, name| {
            let said = match name.word() {
                b"c" => String::from_utf8_lossy(cursor.scalar()?).into_owned(),
                b"e" => String::from_utf8_lossy(&cursor.text()?.decoded(9)).into_owned(),
                _ => cursor.skip().map(|()| String::new())?,
            };
            seen.push((String::from_utf8_lossy(&name.decoded(9)).into_owned(), said));
            Some(())
        });
        assert_eq!(whole, Some(()));
        let seen: Vec<_> = seen.iter().map(|(name, said)| (name.as_str(), said.as_str())).collect();
        assert_eq!(seen, [("a", ""), ("c", "-1.5e3"), ("d", ""), ("e", "xy"), ("f", "")]);
        assert_eq!(json.get(cursor.place()..), Some(" tail"));
    }

    #[test]
    fn another_kind_of_value_is_stepped_over() {
        let mut cursor = Cursor::new(b"[1,\"a\",{\"b\":2},[3],null]");
        let mut kinds = 0;
        assert_eq!(
            cursor.elements(|cursor| {
                kinds += 1;
                let mut copy = cursor.clone();
                assert_eq!(copy.text().map(|text| text.word() == b"a"), Some(kinds == 2));
                let mut copy = cursor.clone();
                copy.members(|cursor, _| cursor.skip())?;
                assert_eq!(cursor.clone().scalar().map(<[u8]>::is_empty), Some((2..5).contains(&kinds)));
                cursor.elements(|cursor| cursor.skip())?;
                assert_eq!(copy.place(), cursor.place());
                Some(())
            }),
            Some(())
        );
        assert_eq!(kinds, 5);
    }

    #[test]
    fn a_text_that_ends_early_or_is_none_comes_to_an_end() {
        for json in [
            "",
            " ",
            "{",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":\"x\\",
            "{a:1}",
            "{\"a\"1}",
            "[1",
            "[1 2]",
            "[,]",
            "}",
            "]",
            ",",
            "{\"a\":}",
        ] {
            let mut cursor = Cursor::new(json.as_bytes());
            let read = if json.starts_with('{') {
                cursor.members(|cursor, _| cursor.skip())
            } else {
                cursor.elements(|cursor| cursor.skip())
            };
            assert_eq!(read, None, "{json:?}");
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = |open: &str, close: &str| open.repeat(100_000) + "1" + &close.repeat(100_000);
        let all = [
            deep("[", "]"),
            deep("{\"a\":", "}"),
            deep("[{\"a\":", "}]"),
            "[".repeat(1_000_000),
            "{\"a\":".repeat(100_000),
        ];
        let work = move || {
            let cut = all.each_ref().map(|json| Cursor::new(json.as_bytes()).skip().is_some());
            assert_eq!(cut, [true, true, true, false, false]);
        };
        thread::Builder::new().stack_size(48 << 10).spawn(work).unwrap().join().unwrap();
    }

    proptest! {
        #[test]
        fn the_end_of_what_serde_takes_is_found(json in "[\\[\\]{},:\"a1\\\\ ]{0,12}", tail in "[,\\]} ]{0,2}") {
            let text = format!("{json}{tail}");
            if serde_json::from_str::<Value>(&json).is_ok() && (tail.is_empty() || !json.trim_end().ends_with(|c: char| c.is_ascii_digit() || c.is_alphabetic())) {
                let mut cursor = Cursor::new(text.as_bytes());
                prop_assert_eq!(cursor.skip(), Some(()));
                prop_assert_eq!(cursor.place(), json.trim_end().len());
            }
        }

        #[test]
        fn the_first_of_both_is_found_wherever_it_is(text in "[\"!#\\\\\\[\\]\u{1}\u{a2}\u{dc}]{0,80}", before in 0..70_usize) {
            let text = ["a".repeat(before), text].concat();
            let expected = text.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(text.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_come_to_an_end(json: Vec<u8>) {
            let mut cursor = Cursor::new(&json);
            while cursor.members(|cursor, _| cursor.elements(|cursor| cursor.scalar().map(drop))).is_some() {}
            prop_assert!(cursor.place() <= json.len() + 1);
        }
    }
}
