// SPDX-License-Identifier: BSD-2-Clause
//! Where a value in free text ends.

/// Bytes in front of the name of an entity.
const MAX_ENTITY: usize = 16;

/// What ends a value that has no quotes and no brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Of `name=value`.
    Pair,
    /// Of `name: value`, as above, and a comma that another name or a blank follows.
    Item,
    Line,
    /// As a line, and such a quote.
    Quote(u8),
}

/// Where the value at `start` ends, and whether it is a string with quotes around it.
pub(crate) fn end(text: &[u8], start: usize, ends: Ends) -> (usize, bool) {
    let quote_at = string_at(text, start);
    if let Some((at, quote, escapes)) = quote_at {
        return (string_end(text, at + 1, quote, escapes), true);
    }
    match text.get(start) {
        Some(b'{' | b'[' | b'(') if !matches!(ends, Ends::Line | Ends::Quote(_)) => (nest_end(text, start), false),
        _ => (bare_end(text, start, ends), false),
    }
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
/// there twice is part of the text, as SQL has it.
fn string_end(text: &[u8], start: usize, quote: u8, escapes: usize) -> usize {
    let mut slashes = 0;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => slashes += 1,
            _ if *byte == quote => {
                if slashes == escapes || slashes % 2 == 0 {
                    if quote != b'\'' || text.get(at + 1) != Some(&quote) || at == start {
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
    // An entity in place of a quote: the value is behind it.
    at += quote_len(text, at);
    while let Some(byte) = text.get(at) {
        let is_end = match ends {
            Ends::Line => matches!(byte, b'\r' | b'\n'),
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
        at += 1;
    }
    // Brackets around all of it are not part of it.
    at
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

/// Bytes of the quote at `at`, an entity of XML included; 0 without one.
pub(crate) fn quote_len(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first() {
        Some(b'"' | b'\'' | b'`') => 1,
        Some(b'&') => {
            // An entity in XML within XML.
            let mut len = 1;
            while len < MAX_ENTITY && rest.get(len..).is_some_and(|rest| rest.starts_with(b"amp;")) {
                len += b"amp;".len();
            }
            let entities: [&[u8]; 5] = [b"quot;", b"apos;", b"#34;", b"#39;", b"#x22;"];
            let behind = rest.get(len..).unwrap_or_default();
            entities.into_iter().find(|entity| behind.starts_with(entity)).map_or(0, |entity| len + entity.len())
        }
        _ => 0,
    }
}

pub(crate) fn skip_space(text: &[u8], start: usize) -> usize {
    skip_any(text, start, b" \t\r\n")
}

pub(crate) fn skip_any(text: &[u8], start: usize, what: &[u8]) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| what.contains(byte)).count()
}
