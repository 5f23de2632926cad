// SPDX-License-Identifier: BSD-2-Clause
//! `user:password@` in a URL, which is nobody's business, whole or cut off.

use std::borrow::Cow;

use crate::privacy::secret::FILTERED;
use crate::privacy::syntax::Form;

/// `text` without the `user:password@` of any URL in it.
pub(super) fn without_userinfo(text: &[u8], form: Form) -> Cow<'_, [u8]> {
    if !text.contains(&b'@') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    let mut copied = 0;
    let mut start = (form == Form::Url && text.starts_with(b"//")).then_some(2);
    let mut searched = 0;
    while let Some(authority_at) = start.take().or_else(|| form.next_authority(text, searched)) {
        let rest = text.get(authority_at..).unwrap_or_default();
        let len = rest.iter().position(|byte| form.ends_authority(*byte)).unwrap_or(rest.len());
        let (mut authority, _) = rest.split_at_checked(len).unwrap_or_default();
        if has_bad_port(authority) && !authority.contains(&b'@') {
            // Half a password: the other half has a character that should have been encoded.
            let ends = |byte: &u8| form == Form::Text && byte.is_ascii_whitespace();
            authority = rest.split(ends).next().unwrap_or_default();
        }
        // Onwards from the '@', or past all that was searched for one: no byte is looked at many times.
        searched = authority_at + authority.len();
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            out.extend_from_slice(text.get(copied..authority_at).unwrap_or_default());
            copied = authority_at + at + 1;
            searched = copied;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn has_bad_port(authority: &[u8]) -> bool {
    match authority.iter().rposition(|byte| b":]".contains(byte)) {
        Some(at) => authority.get(at) == Some(&b':') && !authority.iter().skip(at + 1).all(u8::is_ascii_digit),
        None => false,
    }
}

/// `text` without what may be the first half of `user:password@` at its end.
pub(super) fn without_cut_userinfo(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(at) = text.windows(2).rposition(|pair| pair == b"//") else { return Cow::Borrowed(text) };
    let authority = text.get(at + 2..).unwrap_or_default();
    let is_last = !authority.iter().any(|byte| b"/\\?#\"<>[".contains(byte) || byte.is_ascii_whitespace());
    let password = authority.iter().position(|byte| *byte == b':').and_then(|colon| authority.get(colon + 1..));
    let is_port = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    if is_last && password.is_some_and(|word| !is_port(word)) { hidden(text, at + 2) } else { Cow::Borrowed(text) }
}

/// `text` with all from `from` on hidden.
fn hidden(text: &[u8], from: usize) -> Cow<'_, [u8]> {
    Cow::Owned([text.get(..from).unwrap_or_default(), FILTERED].concat())
}
