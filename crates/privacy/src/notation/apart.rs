// SPDX-License-Identifier: BSD-2-Clause
//! A name that is a value itself, and its value elsewhere: `{"name":"password","value":"…"}`.

use super::element;
use super::mark::{Between, Mark, between};
use super::search::Search;
use super::value::{self, Ends};
use super::word::{self, near};
use crate::word_list::WordList;

/// Names of what holds a name, and of what holds the value that belongs to it.
static OF_NAMES: WordList<13> = WordList::new([
    "name",
    "key",
    "field",
    "param",
    "parameter",
    "header",
    "id",
    "k",
    "n",
    "attribute",
    "property",
    "label",
    "variable",
]);
static OF_VALUES: WordList<7> = WordList::new(["value", "val", "v", "content", "text", "data", "default"]);

/// What stands between pairs.
const SEPARATORS: &[u8] = b",;& \t\r\n";
/// Other pairs between a name and its value.
const MAX_BETWEEN: usize = 4;
/// Bytes between a value and its name.
const MAX_APART: usize = 512;

/// Whether the value of `word` may be a name.
pub(crate) fn holds_name(word: &[u8]) -> bool {
    OF_NAMES.has(word)
}

/// Whether the value of `word` may be that of a name that stands apart.
pub(crate) fn holds_value(word: &[u8]) -> bool {
    OF_VALUES.has(word)
}

/// Where the value is that stands apart from its name, maybe behind a word that says so.
pub(crate) fn value_place(text: &[u8], at: usize) -> usize {
    let start = at + value::quote_len(text, at);
    let end = word::end(text, start);
    if OF_VALUES.has(text.get(start..end).unwrap_or_default())
        && let Some(between) = between(text, start, end)
        && matches!(between.mark, Mark::Equals | Mark::Colon)
    {
        return between.value_at;
    }
    // s:7:"…", a:2:{…}, O:1:"A":2:{…}
    if let [kind, b':', rest @ ..] = text.get(at..).unwrap_or_default()
        && b"saONC".contains(kind)
    {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if rest.get(digits) == Some(&b':') {
            let inner = at + 2 + digits + 1;
            let slashes = text.get(inner..).unwrap_or_default().iter().take_while(|byte| **byte == b'\\').count();
            let is_value = matches!(text.get(inner + slashes), Some(b'{' | b'"'));
            if matches!(kind, b'O' | b'C') && is_value {
                let class = value::end(near(text, inner), inner, Ends::Pair).0;
                return value::skip_any(text, class, b":0123456789");
            }
            return if is_value { inner } else { at };
        }
    }
    at
}

/// Hides all that the name that stands `between` may be the name of, if it is one whose value must not be told. `open` is the bracket around it, `before`
/// the last value in front of it. Says where that ends.
pub(crate) fn hide(
    search: &mut Search<'_, '_, '_>,
    open: Option<usize>,
    before: Option<usize>,
    between: Between,
) -> Option<usize> {
    let text = search.text;
    let near = near(text, between.value_at);
    let (to, is_string) = value::end(near, between.value_at, Ends::Item);
    let (from, inner_to) = if is_string { value::inside(near, between.value_at, to) } else { (between.value_at, to) };
    let name = search.slice(from, inner_to);
    if !word::is_name(name) || !search.scrub.hides_name(name) {
        return None;
    }
    match open {
        Some(open) if text.get(open) == Some(&b'<') => return Some(element::hide_whole(search, open, to)),
        Some(open) if is_string => {
            let close = value::nest_end(text, open).saturating_sub(1).max(to);
            search.spans.hide(open + 1, close);
            return Some(close);
        }
        _ => {}
    }
    if let Some(value_at) = value_behind(text, to) {
        return Some(hide_value(search, value_at));
    }
    if let Some(value_at) = before.filter(|before| to - before < MAX_APART) {
        return Some(hide_value(search, value_at).max(to));
    }
    let next = value::skip_any(text, to, SEPARATORS);
    if !is_string || next >= text.len() {
        return None;
    }
    search.spans.hide(next, text.len());
    Some(text.len())
}

/// Where the value is that one of the next pairs behind `at` says to have.
fn value_behind(text: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..MAX_BETWEEN {
        let start = value::skip_any(text, at, SEPARATORS);
        let start = start + value::quote_len(text, start);
        let end = word::end(text, start);
        let between = between(text, start, end).filter(|found| matches!(found.mark, Mark::Equals | Mark::Colon))?;
        if holds_value(text.get(start..end)?) {
            return Some(between.value_at);
        }
        at = value::end(near(text, between.value_at), between.value_at, Ends::Item).0;
    }
    None
}

/// Where the value ends that a word which says so has behind the one that ends at `at`: `password: rejected value [x]`.
pub(crate) fn behind_words(text: &[u8], at: usize) -> Option<usize> {
    let start = value::skip_any(text, at, b" ");
    let end = word::end(text, start);
    let value_at = value::skip_any(text, end, b" ");
    let is_value = start > at && value_at > end && holds_value(text.get(start..end)?);
    let begins = matches!(text.get(value_at), Some(b'[' | b'"' | b'\''));
    (is_value && begins).then(|| value::end(text, value_at, Ends::Item).0)
}

fn hide_value(search: &mut Search<'_, '_, '_>, at: usize) -> usize {
    let (end, is_string) = value::end(search.text, at, Ends::Item);
    let (from, inner_to) = if is_string { value::inside(search.text, at, end) } else { (at, end) };
    search.hide(from, inner_to);
    end
}
