// SPDX-License-Identifier: BSD-2-Clause
//! The words of a text: what names are made of.

use crate::syntax::set_of;

/// Characters of what is a name and nothing else.
pub(crate) const MAX_NAME: usize = 64;

/// What names are made of. An escape of JSON's is told by what follows its backslash.
static NAME: [bool; 256] = {
    let mut set = set_of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.$%~");
    let mut byte = 0x80;
    while byte < 256 {
        set[byte] = true;
        byte += 1;
    }
    set
};

/// Whether `byte`, which stands at `at`, is a part of a word.
pub(crate) fn is_part(text: &[u8], at: usize, byte: u8) -> bool {
    NAME[usize::from(byte)] || byte == b'\\' && text.get(at + 1) == Some(&b'u')
}

/// Where the word ends that begins at `start`.
pub(crate) fn end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let len = rest.iter().position(|byte| !NAME[usize::from(*byte)]).unwrap_or(rest.len());
        at += len;
        if !matches!(rest.get(len..), Some([b'\\', b'u', ..])) {
            return at;
        }
        at += 2;
    }
}

/// Whether `text` can be a name and nothing else.
pub(crate) fn is_name(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && text.iter().all(|byte| NAME[usize::from(*byte)])
}

/// The word with the brackets around it: `user[key]`, `$user['key']`.
pub(crate) fn with_brackets(text: &[u8], start: usize, end: usize) -> &[u8] {
    let (before, behind) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    let (before, close) = match (before, behind) {
        ([before @ .., b'['], [b']', ..]) => (before, end + 1),
        ([before @ .., b'[', b'"' | b'\''], [b'"' | b'\'', b']', ..]) => (before, end + 2),
        _ => (&b""[..], end),
    };
    let len = before.iter().rev().take(MAX_NAME).take_while(|byte| NAME[usize::from(**byte)]).count();
    let from = if len == 0 { start } else { before.len() - len };
    text.get(from..if len == 0 { end } else { close }).unwrap_or_default()
}

/// The text up to where a name, or an address, at `at` would end: what is looked for behind every word must not be looked for to the end.
pub(crate) fn near(text: &[u8], at: usize) -> &[u8] {
    text.get(..at.saturating_add(2 * MAX_NAME)).unwrap_or(text)
}
