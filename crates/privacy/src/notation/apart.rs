// SPDX-License-Identifier: BSD-2-Clause
//! A name that is a value itself, and its value elsewhere: `{"name":"password","value":"…"}`.

use memchr::memchr;

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

/// Whether the value of `word` may be a name.
pub(crate) fn holds_name(word: &[u8]) -> bool {
    OF_NAMES.has(word)
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
    // s:7:"…", a:2:{…}
    if let [kind, b':', rest @ ..] = text.get(at..).unwrap_or_default()
        && b"saONC".contains(kind)
    {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if rest.get(digits) == Some(&b':') {
            let inner = at + 2 + digits + 1;
            let slashes = text.get(inner..).unwrap_or_default().iter().take_while(|byte| **byte == b'\\').count();
            return if matches!(text.get(inner + slashes), Some(b'{' | b'"')) { inner } else { at };
        }
    }
    at
}

/// Hides all that the name that stands `between` may be the name of, if it is one whose value must not be told. `open` is the bracket around it. Says
/// where that ends.
pub(crate) fn hide(search: &mut Search<'_, '_, '_>, open: Option<usize>, between: Between) -> Option<usize> {
    let text = search.text;
    let near = near(text, between.value_at);
    let (to, is_string) = value::end(near, between.value_at, Ends::Item);
    let (from, inner_to) = if is_string { value::inside(near, between.value_at, to) } else { (between.value_at, to) };
    let name = search.slice(from, inner_to);
    if !word::is_name(name) || !search.scrub.hides_name(name) {
        return None;
    }
    if let Some(open) = open.filter(|_| is_string) {
        let close = if text.get(open) == Some(&b'<') {
            let gt = text.get(to..).and_then(|rest| memchr(b'>', rest)).map_or(text.len(), |at| to + at);
            let content = text.get(gt..).and_then(|rest| memchr(b'<', rest)).map_or(text.len(), |at| gt + at);
            if gt < content {
                search.hide(gt + 1, content);
            }
            gt
        } else {
            value::nest_end(text, open).saturating_sub(1).max(to)
        };
        search.spans.hide(open + 1, close);
        return Some(close);
    }
    let next = value::skip_any(text, to, b",;& \t\r\n");
    let value_at = value_place(text, next);
    if value_at != next {
        let (end, is_string) = value::end(text, value_at, Ends::Pair);
        let (from, inner_to) = if is_string { value::inside(text, value_at, end) } else { (value_at, end) };
        search.hide(from, inner_to);
        return Some(end);
    }
    if !is_string || next >= text.len() {
        return None;
    }
    search.spans.hide(next, text.len());
    Some(text.len())
}
