// SPDX-License-Identifier: BSD-2-Clause
//! What stands between a name and its value.

use super::option::is_option;
use super::value::{self, Ends};
use super::word::{self, MAX_NAME, near};
use crate::syntax::set_of;
use crate::word_list::WordList;

/// What may stand behind a name that a value follows.
static BEHIND: [bool; 256] = set_of(b"=:\\\"'`]& \t\r\n>/!<([|");
/// What compares a name with a value, in SQL.
static COMPARISONS: WordList<5> = WordList::new(["like", "ilike", "in", "rlike", "regexp"]);
/// Elements whose text may be the name of what is in the next one.
static TITLES: WordList<8> = WordList::new(["key", "name", "td", "th", "dt", "b", "strong", "label"]);

/// What stands between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `=`, `=>`, `:=`, `!=` and the like.
    Equals,
    Colon,
    /// A comma or a semicolon between two strings, a blank behind an option of a command or in front of a string.
    Apart,
    /// The bracket of a call.
    Call,
    /// A tag that ends here, or has attributes.
    Tag,
    /// The end of an element, and the value is in the next one.
    Beside,
}

/// A mark, and where the value begins behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between {
    pub(crate) mark: Mark,
    pub(crate) value_at: usize,
    /// Whether the name had quotes.
    pub(crate) quoted: bool,
}

/// What stands between the name that ends at `end` and its value; `None` if no value follows.
pub(crate) fn between(text: &[u8], start: usize, end: usize) -> Option<Between> {
    text.get(end).filter(|next| BEHIND[usize::from(**next)])?;
    let before = text.get(..start).unwrap_or_default();
    let name = text.get(start..end).unwrap_or_default();
    let mut at = end;
    while text.get(at) == Some(&b'\\') {
        at += 1;
    }
    let quote = value::quote_len(text, at);
    let quoted = quote > 0;
    at += quote;
    if text.get(at) == Some(&b']') {
        at += 1;
    }
    at += index_len(text, at);
    let closed = at;
    at = value::skip_space(text, at);
    let at_value = |mark, len: usize| Some(Between { mark, value_at: value::skip_space(text, at + len), quoted });
    let rest = text.get(at..).unwrap_or_default();
    match rest {
        [b'=', b'=', b'=' | b'>', ..] | [b'!', b'=', b'=', ..] => at_value(Mark::Equals, 3),
        [b'=', b'>' | b'=', ..] | [b':' | b'!', b'=', ..] | [b'<', b'>', ..] => at_value(Mark::Equals, 2),
        [b'-', b'>', ..] if at > closed => at_value(Mark::Equals, 2),
        [b'=', ..] => at_value(Mark::Equals, 1),
        [b':', behind @ ..] if value::skip_space(behind, 0) < MAX_NAME && is_closing_tag(behind) => {
            at_value(Mark::Beside, 1)
        }
        [b'<', b'/', ..] if is_title(before) => at_value(Mark::Beside, 0),
        [b'>', ..] | [b'/', b'>', ..] if is_tag(before) => Some(Between { mark: Mark::Tag, value_at: at, quoted }),
        [first, ..] if at > closed && first.is_ascii_alphabetic() && is_tag(before) => {
            Some(Between { mark: Mark::Tag, value_at: at, quoted })
        }
        [b':', b'/', b'/', ..] | [] => None,
        // The end of a path.
        [b':', ..] if !quoted && before.ends_with(b"/") => None,
        [b':', ..] => at_value(Mark::Colon, 1),
        [b',', ..] if quoted && begins_string(before) => at_value(Mark::Apart, 1),
        [b';', kind, b':', ..] if quoted && b"sidbaONC".contains(kind) => {
            Some(Between { mark: Mark::Apart, value_at: at + 1, quoted })
        }
        // A session of PHP's.
        [b'|', kind, b':', ..] if b"sidbaO".contains(kind) => at_value(Mark::Apart, 1),
        // --password x
        [_, ..] if at > closed && is_option(before, name) => at_value(Mark::Apart, 0),
        // password("x")
        [b'(', b'"' | b'\'', ..] if at == closed => at_value(Mark::Call, 0),
        [first, ..] if at > closed && matches!(first, b'I' | b'L' | b'R' | b'i' | b'l' | b'r') => {
            let end = word::end(text, at);
            let value_at = value::skip_space(text, end);
            let is_comparison = COMPARISONS.has(text.get(at..end).unwrap_or_default())
                && matches!(text.get(value_at), Some(b'"' | b'\'' | b'('));
            is_comparison.then_some(Between { mark: Mark::Apart, value_at, quoted })
        }
        // password "x"; a parser's complaint about one character is none.
        [b'"' | b'\'', ..] if at > closed && !quoted => {
            let to = value::end(near(text, at), at, Ends::Pair).0;
            if to - at > 5 { at_value(Mark::Apart, 0) } else { None }
        }
        _ => None,
    }
}

/// Whether the word behind `before` is the name of a tag, maybe behind that of its namespace.
pub(crate) fn is_tag(before: &[u8]) -> bool {
    match before {
        [.., b'<'] => true,
        [before @ .., b':'] => {
            let len = before.iter().rev().take(MAX_NAME).take_while(|byte| byte.is_ascii_alphanumeric()).count();
            before.get(..before.len() - len).is_some_and(|before| before.ends_with(b"<"))
        }
        _ => false,
    }
}

/// Whether `text` begins with a closing tag.
fn is_closing_tag(text: &[u8]) -> bool {
    text.get(value::skip_space(text, 0)..).is_some_and(|text| text.starts_with(b"</"))
}

/// Whether the word behind `before` is the first one of an element that may have a name for its text.
fn is_title(before: &[u8]) -> bool {
    let Some((b'>', before)) = before.trim_ascii_end().split_last() else { return false };
    let len = before.iter().rev().take(MAX_NAME).position(|byte| *byte == b'<');
    let tag = len.and_then(|len| before.get(before.len() - len..)).unwrap_or_default();
    holds_title(tag.split(|byte| *byte == b' ').next().unwrap_or_default())
}

/// Whether the text of an element with this tag may be the name of what is in the next one.
pub(crate) fn holds_title(tag: &[u8]) -> bool {
    TITLES.has(tag)
}

/// How long the brackets behind a name are: `[]`, `[0]`.
fn index_len(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if rest.first() != Some(&b'[') {
        return 0;
    }
    let inner = rest.iter().skip(1).take(MAX_NAME).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if rest.get(1 + inner) == Some(&b']') { inner + 2 } else { 0 }
}

/// Whether a string begins with the word behind `before`.
fn begins_string(before: &[u8]) -> bool {
    matches!(before, [.., b'"' | b'\'' | b'`'])
}
