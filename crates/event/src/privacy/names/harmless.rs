// SPDX-License-Identifier: BSD-2-Clause
//! Headers that say how HTTP works and nothing of who uses it, and those whose value has many parts.

use crate::privacy::word_list::WordList;

/// Headers that say how HTTP works and nothing of who uses it: what leaves where only known names do. Those
/// that are URLs lose the values of their queries. Lower case.
static HARMLESS_HEADERS: WordList<43> = WordList::new([
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "warning",
    "x-varnish",
    "x-vinyl",
]);

pub(crate) fn is_harmless_header(name: &[u8]) -> bool {
    HARMLESS_HEADERS.has(name)
}

/// Whether the value of the header `name` is a list whose parts have blanks between them: what stands behind the name in a line is all of it.
pub(crate) fn is_of_many_parts(name: &[u8]) -> bool {
    let name = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    ["authorization", "authenticate", "authentication-info", "cookie", "cookie2"].iter().any(|end| {
        let at = name.len().checked_sub(end.len());
        at.and_then(|at| name.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
    })
}
