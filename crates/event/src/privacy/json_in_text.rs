// SPDX-License-Identifier: BSD-2-Clause
//! JSON inside of other text, whole or cut off: names are looked for, not parsed.

use std::borrow::Cow;

use crate::privacy::secret::FILTERED;

/// `text` without the values of the names that `hides` says are sensitive. JSON within a string of JSON,
/// whose quotes have backslashes, is read as well.
pub(super) fn without_secrets(text: &[u8], hides: impl Fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut name_at = 0;
    let mut at = 0;
    while let Some(quote) = quote_from(text, at) {
        at = quote + 1;
        let colon = skip_space(text, at);
        if text.get(colon) != Some(&b':') {
            name_at = at;
            continue;
        }
        let name = text.get(name_at..quote).unwrap_or_default();
        let depth = name.iter().rev().take_while(|byte| **byte == b'\\').count();
        let (name, escapes) = name.split_at_checked(name.len() - depth).unwrap_or_default();
        name_at = at;
        // A name that is spelled with escapes has something to hide.
        if !name.contains(&b'\\') && !hides(name) {
            continue;
        }
        let value_at = skip_space(text, colon + 1);
        let end = value_end(text, value_at, escapes);
        if end > value_at {
            out.extend_from_slice(text.get(copied..value_at).unwrap_or_default());
            let quote = [escapes, b"\""].concat();
            out.extend_from_slice(&[&*quote, FILTERED, &*quote].concat());
            copied = end;
            name_at = end;
            at = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where the value at `start` ends; its own quotes have `escapes` in front of them.
fn value_end(text: &[u8], start: usize, escapes: &[u8]) -> usize {
    let mut open = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at + 1, escapes);
                if open == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' if open <= 1 => return at + open,
            b'}' | b']' => open -= 1,
            b',' if open == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Behind the quote that ends the string whose text begins at `start`: one with as many backslashes as the
/// one that began it.
fn string_end(text: &[u8], start: usize, escapes: &[u8]) -> usize {
    let mut slashes = 0;
    for (at, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'\\' => slashes += 1,
            b'"' if slashes == escapes.len() || slashes % 2 == 0 => return at + 1,
            _ => slashes = 0,
        }
    }
    text.len()
}

fn quote_from(text: &[u8], start: usize) -> Option<usize> {
    Some(start + text.get(start..)?.iter().position(|byte| *byte == b'"')?)
}

fn skip_space(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(text: &str) -> String {
        let hides = |name: &[u8]| name.windows(5).any(|part| part == b"token");
        String::from_utf8_lossy(&without_secrets(text.as_bytes(), hides)).into_owned()
    }

    #[test]
    fn a_value_of_any_kind_is_hidden_and_the_rest_stays() {
        for (whole, kept) in [
            (r#"{"a":1,"token":"s3","b":[2]}"#, r#"{"a":1,"token":"[Filtered]","b":[2]}"#),
            (r#"{ "my_token" : "s3, \"s3\" }" , "b": 2 }"#, r#"{ "my_token" : "[Filtered]" , "b": 2 }"#),
            (r#"{"token":12345,"b":2}"#, r#"{"token":"[Filtered]","b":2}"#),
            (r#"{"token":12345}"#, r#"{"token":"[Filtered]"}"#),
            (r#"{"token":{"v":"s3}","w":[{}]},"b":2}"#, r#"{"token":"[Filtered]","b":2}"#),
            (r#"{"token":["s3",["s3"]]}"#, r#"{"token":"[Filtered]"}"#),
            (r#"[{"token":"s3"},{"token":"s4"}]"#, r#"[{"token":"[Filtered]"},{"token":"[Filtered]"}]"#),
            (r#"{"to\u006ben":"s3"}"#, r#"{"to\u006ben":"[Filtered]"}"#),
        ] {
            assert_eq!(scrubbed(whole), kept);
        }
    }

    #[test]
    fn json_that_is_cut_off_or_within_a_string_is_read_too() {
        for (whole, kept) in [
            (r#"{"token":"s3 s"#, r#"{"token":"[Filtered]""#),
            (r#"{"token":[1,"s3"#, r#"{"token":"[Filtered]""#),
            (r#"en":"s3","token":"s3"}"#, r#"en":"s3","token":"[Filtered]"}"#),
            (r#"{"a":"{\"token\":\"s3 s3\",\"b\":1}"}"#, r#"{"a":"{\"token\":\"[Filtered]\",\"b\":1}"}"#),
            (r#"event="x" data={"token":"s3"}"#, r#"event="x" data={"token":"[Filtered]"}"#),
        ] {
            assert_eq!(scrubbed(whole), kept);
        }
    }

    #[test]
    fn what_has_nothing_to_hide_is_not_copied() {
        for text in [r#"{"a":{"b":"token"}}"#, r#""Chromium";v="120""#, "", "\"", r#"W/"abc""#, r#"{"token":"#] {
            assert!(matches!(without_secrets(text.as_bytes(), |name| name == b"token"), Cow::Borrowed(_)), "{text}");
        }
    }
}
