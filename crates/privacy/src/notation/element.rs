// SPDX-License-Identifier: BSD-2-Clause
//! An element of XML whose name is kept back.

use memchr::{memchr, memmem};

use super::search::Search;
use super::word::MAX_NAME;

/// Hides what is in the element whose tag's name is between `start` and `end`, attributes included; says where it ends.
pub(crate) fn hide(search: &mut Search<'_, '_, '_>, start: usize, end: usize, attributes_at: usize) -> usize {
    let text = search.text;
    let rest = text.get(attributes_at..).unwrap_or_default();
    let close = memchr(b'>', rest).map_or(text.len(), |at| attributes_at + at);
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
