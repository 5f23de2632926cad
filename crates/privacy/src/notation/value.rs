// SPDX-License-Identifier: BSD-2-Clause
//! Where a value in free text ends.

use memchr::{memchr_iter, memmem};

/// What ends a value that has no quotes and no brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Of `name=value`.
    Pair,
    /// Of `name: value`, as above, and a comma that another name or a blank follows.
    Item,
    /// Of a line, and of those behind it that begin with a blank.
    Line,
    /// As a line, and such a quote.
    Quote(u8),
}

/// Where the value at `start` ends, and whether it is a string with quotes around it.
pub(crate) fn end(text: &[u8], start: usize, ends: Ends) -> (usize, bool) {
    if let Some((at, quote, escapes)) = string_at(text, start) {
        return (string_end(text, at + 1, quote, escapes), true);
    }
    let is_line = matches!(ends, Ends::Line | Ends::Quote(_));
    let end = match text.get(start..).unwrap_or_default() {
        [b'{' | b'[' | b'(', ..] if !is_line => nest_end(text, start),
        // As a placeholder is written, but not a tag.
        [b'<', inner @ ..] if !is_line && inner.first().is_some_and(|first| !b"/!?".contains(first)) => {
            start + 1 + inner.iter().position(|byte| *byte == b'>').map_or(inner.len(), |at| at + 1)
        }
        rest => typographic_len(rest).map_or_else(|| bare_end(text, start, ends), |len| start + len),
    };
    (end, false)
}

/// How long the string is that `text` begins with, in quotes as they are printed.
fn typographic_len(text: &[u8]) -> Option<usize> {
    const QUOTES: [(&str, &str); 4] = [("“", "”"), ("„", "“"), ("‘", "’"), ("«", "»")];
    let (open, close) = QUOTES.into_iter().find(|(open, _)| text.starts_with(open.as_bytes()))?;
    let end = memmem::find(text.get(open.len()..)?, close.as_bytes());
    Some(end.map_or(text.len(), |end| open.len() + end + close.len()))
}

/// What is between the quotes of a string from `start` to `end`; the last one may have been cut off.
pub(crate) fn inside(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    let Some((at, quote, escapes)) = string_at(text, start) else { return (start, end) };
    let from = at + 1;
    let string = text.get(from..end).unwrap_or_default();
    let closing = 1 + escapes;
    let is_closed = string.len() >= closing && string.last() == Some(&quote);
    (from, if is_closed { end - closing } else { end })
}

/// Place of the quote that begins the string at `start`, the quote, and how many backslashes it has; a prefix of one letter, as some languages
/// have it, may stand in front.
fn string_at(text: &[u8], start: usize) -> Option<(usize, u8, usize)> {
    let mut at = start;
    if text.get(at).is_some_and(u8::is_ascii_alphabetic) {
        at += 1;
    }
    let rest = text.get(at..)?;
    let escapes = rest.iter().take_while(|byte| **byte == b'\\').count();
    let quote = *rest.get(escapes)?;
    matches!(quote, b'"' | b'\'' | b'`').then_some((at + escapes, quote, escapes))
}

/// Behind the quote that ends the string whose text begins at `start`: one with as many backslashes as the one that began it. One that stands
/// there twice is part of the text, as SQL and CSV have it; what begins with three ends with three.
fn string_end(text: &[u8], start: usize, quote: u8, escapes: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    if escapes == 0 && rest.starts_with(&[quote; 2]) {
        let inner = rest.get(2..).unwrap_or_default();
        return memmem::find(inner, &[quote; 3]).map_or(text.len(), |end| start + 2 + end + 3);
    }
    let mut slashes = 0;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => slashes += 1,
            _ if *byte == quote => {
                if slashes == escapes || slashes % 2 == 0 {
                    if quote == b'`' || text.get(at + 1) != Some(&quote) || at == start {
                        return at + 1;
                    }
                    at += 1;
                }
                slashes = 0;
            }
            _ => slashes = 0,
        }
        at += 1;
    }
    text.len()
}

/// Behind the bracket that closes the one at `start`, whatever strings are between them.
pub(crate) fn nest_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    let mut slashes = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at + 1, b'"', slashes);
                slashes = 0;
                continue;
            }
            b'\\' => {
                slashes += 1;
                at += 1;
                continue;
            }
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        slashes = 0;
        at += 1;
    }
    text.len()
}

fn bare_end(text: &[u8], start: usize, ends: Ends) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        let is_end = match ends {
            Ends::Line => matches!(byte, b'\r' | b'\n') && !is_folded(text, at),
            Ends::Quote(quote) => matches!(byte, b'\r' | b'\n') || *byte == quote,
            Ends::Pair | Ends::Item => {
                byte.is_ascii_whitespace()
                    || matches!(byte, b'&' | b';' | b'"' | b'<' | b'>')
                    || *byte == b',' && begins_next(text, at + 1, ends)
                    || *byte == b'\\' && text.get(at + 1) == Some(&b'"')
                    || ends == Ends::Item && matches!(byte, b'}' | b']') && closes(text, at + 1)
            }
        };
        if is_end {
            break;
        }
        // SecretStr('…')
        let is_call = *byte == b'(' && at > start && matches!(ends, Ends::Pair | Ends::Item);
        at = if is_call { nest_end(text, at) } else { at + 1 };
    }
    at
}

/// Whether a line goes on behind its end at `at`.
fn is_folded(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    matches!(rest, [b'\n', b' ' | b'\t', ..])
}

/// Where the block of YAML ends whose mark stands at `at`, if one does: all lines that begin with a blank. Who wrote it into a log may have made
/// blanks of the ends of its lines.
pub(crate) fn block_end(text: &[u8], at: usize) -> Option<usize> {
    let [b'|' | b'>', how @ ..] = text.get(at..)? else { return None };
    let len = how.iter().take(2).take_while(|byte| byte.is_ascii_digit() || b"+-".contains(byte)).count();
    let mark_end = at + 1 + len;
    let at = skip_any(text, mark_end, b" \t\r");
    let rest = text.get(at..).filter(|rest| at > mark_end || rest.starts_with(b"\n"))?;
    let mut ends = memchr_iter(b'\n', rest)
        .filter(|end| rest.get(end + 1).is_some_and(|next| !matches!(next, b' ' | b'\t' | b'\r' | b'\n')));
    Some(ends.next().map_or(text.len(), |end| at + end))
}

/// Where the value is behind the type that stands at `at`: `string(14) "…"`, `string '…'`, `!!str …`.
pub(crate) fn behind_type(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if rest.starts_with(b"!") {
        let len = rest.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or_default();
        return skip_space(text, at + len);
    }
    let Some(behind) = rest.strip_prefix(b"string") else { return at };
    let brackets = behind.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'(' | b')')).count();
    let value_at = skip_space(text, at + b"string".len() + brackets);
    if matches!(text.get(value_at), Some(b'"' | b'\'')) { value_at } else { at }
}

/// Whether behind the comma in front of `at` comes something else.
fn begins_next(text: &[u8], at: usize, ends: Ends) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let Some(first) = rest.first() else { return true };
    if first.is_ascii_whitespace() || matches!(first, b'"' | b'\'') {
        return true;
    }
    let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')).count();
    let mark = rest.get(len);
    len > 0 && (mark == Some(&b'=') || ends == Ends::Item && mark == Some(&b':'))
}

/// Whether nothing but more brackets, or what may stand behind them, follows.
fn closes(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte.is_ascii_whitespace() || b"}]),;\"'".contains(byte))
}

/// Bytes of the quote at `at`; 0 without one.
pub(crate) fn quote_len(text: &[u8], at: usize) -> usize {
    usize::from(matches!(text.get(at), Some(b'"' | b'\'' | b'`')))
}

pub(crate) fn skip_space(text: &[u8], start: usize) -> usize {
    skip_any(text, start, b" \t\r\n")
}

pub(crate) fn skip_any(text: &[u8], start: usize, what: &[u8]) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| what.contains(byte)).count()
}
