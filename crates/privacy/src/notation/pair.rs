// SPDX-License-Identifier: BSD-2-Clause
//! The value of a name that is kept back.

use super::apart;
use super::mark::{Between, Mark};
use super::search::Search;
use super::value::{self, Ends};
use super::word::near;
use crate::{credential, names};

/// Hides the value of the name between `start` and `end`; says where it ends.
pub(crate) fn hide(search: &mut Search<'_, '_, '_>, start: usize, end: usize, between: Between) -> usize {
    let text = search.text;
    let Between { mark, mut value_at, quoted } = between;
    if mark == Mark::Call {
        let to = value::nest_end(text, value_at);
        search.hide(value_at + 1, to - usize::from(text.get(to - 1) == Some(&b')')));
        return to;
    }
    if mark == Mark::Apart {
        value_at = apart::value_place(text, value_at);
    }
    value_at = value::behind_type(text, value_at);
    let (mut to, is_string) = value::end(text, value_at, ends(search, start, end, between));
    let (mut from, mut inner_to) = (value_at, to);
    if is_string {
        (from, inner_to) = value::inside(text, value_at, to);
    } else if let Some(end) = value::block_end(text, value_at).or_else(|| apart::behind_words(text, to)) {
        (to, inner_to) = (end, end);
    } else if matches!(text.get(to), Some(b' ' | b'\t')) {
        let word = search.slice(value_at, to);
        if let Some((_, credential_to)) =
            credential::scheme(word).and_then(|_| credential::behind_scheme(text, to, false))
        {
            (to, inner_to) = (credential_to, credential_to);
        }
    }
    // A type in front of it: `$password: String = "…"`.
    let equals = value::skip_any(near(text, to), to, b" ");
    if mark == Mark::Colon && !is_string && text.get(equals) == Some(&b'=') {
        let value_at = value::skip_space(text, equals + 1);
        to = value::end(text, value_at, Ends::Item).0;
        search.scrub.take_secret(search.slice(value_at, to));
        search.spans.hide(from, to);
        return to;
    }
    // What had no quotes where all else has some.
    if quoted && !is_string && mark == Mark::Colon && search.slice(0, end).contains(&b'"') {
        search.scrub.take_secret(search.slice(from, inner_to));
        search.spans.hide_quoted(from, inner_to);
    } else {
        search.hide(from, inner_to);
    }
    to
}

/// What ends the value of the name between `start` and `end`.
fn ends(search: &Search<'_, '_, '_>, start: usize, end: usize, between: Between) -> Ends {
    let name = search.slice(start, end);
    match between.mark {
        // As an environment has them: HTTP_COOKIE=a=b; c=d
        Mark::Equals if names::is_of_many_parts(name) && is_list(search, name, between.value_at) => Ends::Line,
        // Cookies and credentials have blanks between their parts.
        Mark::Colon if !between.quoted && (names::is_of_many_parts(name) || is_header(name)) => {
            match search.slice(0, start).last() {
                Some(quote @ (b'"' | b'\'' | b'`')) => Ends::Quote(*quote),
                _ => Ends::Line,
            }
        }
        Mark::Colon => Ends::Item,
        _ => Ends::Pair,
    }
}

/// Whether `name` is spelled as that of a header: `X-Auth-Token`.
fn is_header(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_uppercase) && name.contains(&b'-')
}

/// Whether what stands at `at` has blanks between its parts: cookies, or a credential behind its scheme.
fn is_list(search: &Search<'_, '_, '_>, name: &[u8], at: usize) -> bool {
    let text = search.text;
    let end = value::end(near(text, at), at, Ends::Pair).0;
    let first = search.slice(at, end);
    first.contains(&b'=') || name.to_ascii_lowercase().ends_with(b"authorization") && !first.starts_with(b"[")
}
