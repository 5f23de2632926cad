// SPDX-License-Identifier: BSD-2-Clause
//! What the name of a header tells: what it speaks of, how its value is read, and whether it says anything but how HTTP works.

use super::find::{Found, of};
use crate::word_list::WordList;

/// How the value of a header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Host,
    /// A URL and nothing else.
    Url,
    Cookie,
    SetCookie,
}

/// A header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) found: Found,
    pub(crate) form: Form,
    /// Whether it says how HTTP works and nothing of who uses it: what leaves where only known names do. Those that are URLs lose the values of their
    /// queries.
    pub(crate) is_harmless: bool,
}

/// Headers that nearly every request or response has, and in whose names is no word of the table but in the last two, which are read by themselves:
/// they need not be looked at. The harmless ones come first.
static USUAL: WordList<64> = WordList::new([
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
    "destination",
    "cookie",
    "set-cookie",
]);
/// How many of them are harmless.
const HARMLESS: usize = 43;
/// How their values are read.
static FORMS: [Form; 64] = {
    let mut forms = [Form::Text; 64];
    forms[place("host")] = Form::Host;
    forms[place("referer")] = Form::Url;
    forms[place("origin")] = Form::Url;
    forms[place("location")] = Form::Url;
    forms[place("content-location")] = Form::Url;
    forms[place("destination")] = Form::Url;
    forms[place("cookie")] = Form::Cookie;
    forms[place("set-cookie")] = Form::SetCookie;
    forms
};

/// Where in [`USUAL`] the word is; without it the build fails.
const fn place(word: &str) -> usize {
    let (mut at, word) = (0, word.as_bytes());
    loop {
        let (known, mut same) = (USUAL.words()[at].as_bytes(), 0);
        while same < word.len() && same < known.len() && word[same] == known[same] {
            same += 1;
        }
        if same == word.len() && same == known.len() {
            return at;
        }
        at += 1;
    }
}

/// What the name of a header tells; `From` is a person's address (RFC 9110, section 10.1.2).
pub(crate) fn header(name: &[u8]) -> Header {
    if let Some(place) = USUAL.place(name) {
        let form = FORMS.get(place).copied().unwrap_or(Form::Text);
        return Header { found: Found::default(), form, is_harmless: place < HARMLESS };
    }
    let found = if name.eq_ignore_ascii_case(b"from") { of(b"email") } else { of(name) };
    Header { found, form: if ends_in_url(name) { Form::Url } else { Form::Text }, is_harmless: false }
}

fn ends_in_url(name: &[u8]) -> bool {
    name.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"-url") || end.eq_ignore_ascii_case(b"-uri"))
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

    #[test]
    fn no_word_is_in_the_name_of_a_usual_header() {
        for name in USUAL.words().iter().filter(|name| !name.ends_with("cookie")) {
            let found = of(name.as_bytes());
            assert!(!found.is_secret() && !found.is_personal(), "{name}");
        }
    }

    #[test]
    fn a_name_tells_how_the_value_is_read() {
        for (name, form, is_harmless) in [
            ("HOST", Form::Host, true),
            ("Referer", Form::Url, false),
            ("location", Form::Url, true),
            ("X-Original-URL", Form::Url, false),
            ("Set-Cookie", Form::SetCookie, false),
            ("User-Agent", Form::Text, true),
            ("X-Any", Form::Text, false),
        ] {
            let header = header(name.as_bytes());
            assert_eq!((header.form, header.is_harmless), (form, is_harmless), "{name}");
        }
        assert!(header(b"From").found.is_personal() && header(b"X-Api-Key").found.is_secret());
    }
}
