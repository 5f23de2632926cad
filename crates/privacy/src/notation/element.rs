// SPDX-License-Identifier: BSD-2-Clause
//! An element of XML whose name is kept back.

use memchr::{memchr, memmem};

use super::mark::holds_title;
use super::search::Search;
use super::value::{self, skip_space};
use super::word::{self, MAX_NAME};
use crate::word_list::WordList;

/// Elements of HTML that have no content, and no end.
static VOID: WordList<3> = WordList::new(["input", "meta", "link"]);
/// Tags between a name and its value.
const MAX_TAGS: usize = 4;

/// Hides what is in the element whose tag's name is between `start` and `end`, attributes included; says where it ends.
pub(crate) fn hide(search: &mut Search<'_, '_, '_>, start: usize, end: usize) -> usize {
    let text = search.text;
    let attributes_at = skip_space(text, end);
    let close = tag_end(text, attributes_at);
    let is_empty = close > attributes_at && text.get(close - 1) == Some(&b'/');
    search.spans.hide(attributes_at, close - usize::from(is_empty));
    if is_empty || close >= text.len() {
        return close;
    }
    let content = text.get(close + 1..).unwrap_or_default();
    let len = content_len(content, search.slice(start, end)).unwrap_or(content.len());
    search.hide(close + 1, close + 1 + len);
    close + 1 + len
}

/// Hides what is in the element that follows the tags at `at`, or the text that does; says where it ends.
pub(crate) fn hide_beside(search: &mut Search<'_, '_, '_>, mut at: usize) -> usize {
    let text = search.text;
    for _ in 0..MAX_TAGS {
        if !text.get(at..).is_some_and(|rest| rest.starts_with(b"</")) {
            break;
        }
        at = value::skip_space(text, tag_end(text, at) + 1);
    }
    if text.get(at) == Some(&b'<') {
        return hide(search, at + 1, word::end(text, at + 1));
    }
    let rest = text.get(at..).unwrap_or_default();
    let end = at + memchr(b'<', rest).unwrap_or(rest.len());
    search.hide(at, end);
    end
}

/// Whether the element whose tag ends at `at` has a name for its text whose value must not be told.
pub(crate) fn is_title(search: &Search<'_, '_, '_>, tag: &[u8], at: usize) -> bool {
    if !holds_title(tag) {
        return false;
    }
    let start = skip_space(search.text, tag_end(word::near(search.text, at), at) + 1);
    let name = search.slice(start, word::end(word::near(search.text, start), start));
    word::is_name(name) && search.scrub.hides_name(name)
}

/// Hides the tag that begins at `open`, where one of its attributes ends at `at`, and what is in its element; says where that ends.
pub(crate) fn hide_whole(search: &mut Search<'_, '_, '_>, open: usize, at: usize) -> usize {
    let text = search.text;
    let close = tag_end(text, at);
    search.spans.hide(open + 1, close);
    let tag = search.slice(open + 1, word::end(text, open + 1));
    let content = text.get(close + 1..).unwrap_or_default();
    let next = memchr(b'<', content).unwrap_or(content.len());
    let has_content = !VOID.has(tag) && text.get(close.saturating_sub(1)) != Some(&b'/');
    let len = if has_content { content_len(content, tag).unwrap_or(content.len()) } else { next };
    if close < text.len() {
        search.hide(close + 1, close + 1 + len);
    }
    (close + 1 + len).min(text.len())
}

/// Where the tag ends in which `at` is.
fn tag_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    memchr(b'>', rest).map_or(text.len(), |end| at + end)
}

/// How long the content of an element is whose tag is `name`; `None` if nothing ends it. The prefix of a namespace may stand in front of the name.
fn content_len(content: &[u8], name: &[u8]) -> Option<usize> {
    let mut searched = 0;
    for at in memmem::find_iter(content, name) {
        let before = content.get(searched..at).unwrap_or_default();
        if let Some(slash) = before.windows(2).rposition(|pair| pair == b"</")
            && before.len() - slash < MAX_NAME
            && !before.get(slash..).is_some_and(|tag| tag.contains(&b'>'))
        {
            return Some(searched + slash);
        }
        searched = at;
    }
    None
}
