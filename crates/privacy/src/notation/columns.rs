// SPDX-License-Identifier: BSD-2-Clause
//! Names in brackets, and their values in others: `INSERT INTO t (a, b) VALUES (1, 2)`, `Key (a)=(1) already exists`.

use super::search::Search;
use super::value;

/// Bytes of the names.
const MAX_NAMES: usize = 1024;

/// Hides the values of the names between the brackets at `open` and `close`, all of them if one has to be; says where they end.
pub(crate) fn hide(search: &mut Search<'_, '_, '_>, open: usize, close: usize) -> Option<usize> {
    let text = search.text;
    let at = value::skip_space(text, close + 1);
    let rest = text.get(at..).unwrap_or_default();
    let behind = match rest {
        [b'=', ..] => 1,
        _ => rest.get(..6).filter(|word| word.eq_ignore_ascii_case(b"values")).map(|word| word.len())?,
    };
    let mut at = value::skip_space(text, at + behind);
    if text.get(at) != Some(&b'(') {
        return None;
    }
    let names = search.slice(open + 1, close);
    let names = names.get(..MAX_NAMES).unwrap_or(names);
    let is_listed = names.split(|byte| *byte == b',').any(|name| {
        let name = name.trim_ascii();
        let name = name.split(|byte| matches!(byte, b'"' | b'`' | b'\'' | b'[')).find(|part| !part.is_empty());
        name.is_some_and(|name| search.scrub.hides_name(name.strip_suffix(b"]").unwrap_or(name)))
    });
    if !is_listed {
        return None;
    }
    loop {
        let end = value::nest_end(text, at);
        let inner_to = end - usize::from(text.get(end - 1) == Some(&b')'));
        search.hide(at + 1, inner_to);
        let next = value::skip_any(text, end, b", \t\r\n");
        if text.get(next) != Some(&b'(') {
            return Some(end);
        }
        at = next;
    }
}
