// SPDX-License-Identifier: BSD-2-Clause
//! Headers that say how HTTP works and nothing of who uses it, and those whose value has many parts.

use crate::word_list::WordList;

/// Headers that nearly every request or response has, and in whose names is no word of the table: they need not be looked at. The first ones say
/// how HTTP works and nothing of who uses it: what leaves where only known names do. Those that are URLs lose the values of their queries.
static USUAL_HEADERS: WordList<62> = WordList::new([
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
    "upgrade-insecure-requests",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-gpc",
    "priority",
    "dnt",
    "x-request-id",
    "x-requested-with",
    "referer",
    "cdn-loop",
    "x-cache",
    "link",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
]);
/// How many of them are harmless.
const HARMLESS: usize = 43;

pub(crate) fn is_harmless_header(name: &[u8]) -> bool {
    USUAL_HEADERS.place(name).is_some_and(|place| place < HARMLESS)
}

/// Whether nothing has to be looked for in the name of a header.
pub(crate) fn is_usual_header(name: &[u8]) -> bool {
    USUAL_HEADERS.has(name)
}

/// Whether the value of the header `name` is a list whose parts have blanks between them: what stands behind the name in a line is all of it.
pub(crate) fn is_of_many_parts(name: &[u8]) -> bool {
    let name = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    ["authorization", "authenticate", "authentication-info", "cookie", "cookie2"].iter().any(|end| {
        let at = name.len().checked_sub(end.len());
        at.and_then(|at| name.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::of;

    #[test]
    fn no_word_is_in_the_name_of_a_usual_header() {
        for name in USUAL_HEADERS.words() {
            let found = of(name.as_bytes());
            assert!(!found.is_secret() && !found.is_personal(), "{name}");
        }
    }
}
