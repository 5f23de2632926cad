// SPDX-License-Identifier: BSD-2-Clause
//! What stands between a name and its value.

use super::value::{self, Ends};
use super::word::{MAX_NAME, near};
use crate::syntax::set_of;

/// What may stand behind a name that a value follows.
static BEHIND: [bool; 256] = set_of(b"=:\\\"'`]& \t\r\n>/");

/// What stands between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `=`, `=>`, `:=`.
    Equals,
    Colon,
    /// A comma or a semicolon between two strings, a blank behind an option of a command or in front of a string.
    Apart,
    /// A tag that ends here, or has attributes.
    Tag,
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
    let closed = at;
    at = value::skip_space(text, at);
    let at_value = |mark, len: usize| Some(Between { mark, value_at: value::skip_space(text, at + len), quoted });
    let rest = text.get(at..).unwrap_or_default();
    match rest {
        [b'=', b'>' | b'=', ..] | [b':', b'=', ..] => at_value(Mark::Equals, 2),
        [b'=', ..] => at_value(Mark::Equals, 1),
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
        // --password x
        [_, ..] if at > closed && name.starts_with(b"--") => at_value(Mark::Apart, 0),
        // password "x"; a parser's complaint about one character is none.
        [b'"' | b'\'', ..] if at > closed && !quoted => {
            let to = value::end(near(text, at), at, Ends::Pair).0;
            if to - at > 5 { at_value(Mark::Apart, 0) } else { None }
        }
        _ => None,
    }
}

/// Whether the word behind `before` is the name of a tag, maybe behind that of its namespace.
fn is_tag(before: &[u8]) -> bool {
    match before {
        [.., b'<'] => true,
        [before @ .., b':'] => {
            let len = before.iter().rev().take(MAX_NAME).take_while(|byte| byte.is_ascii_alphanumeric()).count();
            before.get(..before.len() - len).is_some_and(|before| before.ends_with(b"<"))
        }
        _ => false,
    }
}

/// Whether a string begins with the word behind `before`.
fn begins_string(before: &[u8]) -> bool {
    matches!(before, [.., b'"' | b'\'' | b'`'] | [.., b'&', b'q', b'u', b'o', b't', b';'])
}
