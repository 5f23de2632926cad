// SPDX-License-Identifier: BSD-2-Clause
//! Header lines of the wire as the map Sentry takes: each name once, within its size limits.
//!
//! A list of pairs would keep duplicates apart, but Sentry's own `sentry-types` refuses it.

use std::borrow::Cow;

use protocol::text::{fit, line};
use serde::{Serialize, Serializer};

use crate::filter::Line;

/// Characters of a name, and of a value, so that one header does not crowd out the rest.
const MAX_NAME: usize = 200;
const MAX_VALUE: usize = 2048;
/// Bytes of all cookies together; Sentry parses `Cookie` out of the headers and keeps 2 KiB of it. What it cannot
/// parse stays among the headers, so that cookies count there too.
const MAX_COOKIES: usize = 2000;

/// What explains a failure most often; kept first when there is no room for all. In the usual spelling.
const USEFUL: [&str; 21] = [
    "Host",
    "User-Agent",
    "Referer",
    "Location",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Content-Encoding",
    "X-Request-Id",
    "X-Varnish",
    "X-Vinyl",
    "Retry-After",
    "Accept",
    "Accept-Encoding",
    "Range",
    "Cache-Control",
    "Age",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "Cookie",
];
/// By the length of a name, the useful ones that have it, a bit for each.
static OF_LENGTH: [u32; 32] = {
    let mut of_length = [0; 32];
    let mut rank = 0;
    while rank < USEFUL.len() {
        of_length[USEFUL[rank].len()] |= 1 << rank;
        rank += 1;
    }
    of_length
};

/// Headers as an event carries them, the useful ones first.
#[derive(Debug, Default)]
pub(crate) struct Headers<'a> {
    kept: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    size: usize,
    cookies: usize,
    /// Lines there was no room for.
    pub left_out: usize,
}

impl<'a> Headers<'a> {
    /// Takes `lines`, name and value as they may leave, as far as `limit` bytes go. Lines of one name, whatever its
    /// case, become one value.
    pub fn new(lines: &'a [Line<'_>], limit: usize) -> Headers<'a> {
        let mut parsed = Vec::with_capacity(lines.len());
        parsed.extend(lines.iter().map(|(name, value)| (rank(name), *name, &**value)));
        parsed.sort_by_key(|(rank, ..)| *rank);
        let mut headers = Headers { kept: Vec::with_capacity(parsed.len()), ..Headers::default() };
        for (rank, name, value) in parsed {
            let name = match USEFUL.get(rank) {
                Some(useful) if useful.as_bytes() == name => Cow::Borrowed(*useful),
                _ => line(name, MAX_NAME),
            };
            if name.eq_ignore_ascii_case("cookie") {
                let cookies = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
                cookies.for_each(|cookie| headers.add_cookie(name.clone(), line(cookie, MAX_VALUE), limit));
                continue;
            }
            headers.add(name, line(value, MAX_VALUE), limit);
        }
        headers
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The headers, in the order of their names.
    pub fn sorted(mut self) -> Headers<'a> {
        self.kept.sort();
        self
    }

    fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>, limit: usize) {
        let old = self.kept.iter_mut().find(|(kept, _)| is_same(kept, &name));
        let fixed = if old.is_some() { ", ".len() } else { cost(&name, "") };
        // Sentry puts a copy of this one beside the headers, within the same size.
        let copies = if name.eq_ignore_ascii_case("content-type") { 2 } else { 1 };
        let room = limit.checked_sub(self.size + fixed * copies);
        let Some(value) = room.and_then(|room| fit(value, room / copies)) else {
            self.left_out += 1;
            return;
        };
        self.size += (fixed + value.len()) * copies;
        match old {
            Some((_, joined)) => joined.to_mut().extend([", ", &value]),
            None => self.kept.push((name, value)),
        }
    }

    /// One cookie, with its own name in it; `name` is the header's.
    fn add_cookie(&mut self, name: Cow<'a, str>, cookie: Cow<'_, str>, limit: usize) {
        let fixed = cost("", "");
        let rooms = [MAX_COOKIES.checked_sub(self.cookies + fixed), limit.checked_sub(self.size + fixed)];
        // No room in one of them is none at all.
        let room = rooms.into_iter().min().flatten();
        let Some(cookie) = room.and_then(|room| fit(cookie, room)) else {
            self.left_out += 1;
            return;
        };
        self.cookies += fixed + cookie.len();
        self.size += fixed + cookie.len();
        match self.kept.iter_mut().find(|(kept, _)| is_same(kept, &name)) {
            Some((_, joined)) => joined.to_mut().extend(["; ", &cookie]),
            None => self.kept.push((name, Cow::Owned(cookie.into_owned()))),
        }
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.kept.iter().map(|(name, value)| (name, value)))
    }
}

/// What `name` and `value` take of a limit: Sentry counts the bytes of the JSON that they make.
pub(crate) fn cost(name: &str, value: &str) -> usize {
    const PUNCTUATION: usize = 8;
    name.len() + value.len() + PUNCTUATION
}

/// Whether two names are one. Most of those of one length differ in their last letter.
fn is_same(one: &str, other: &str) -> bool {
    let last = |name: &str| name.as_bytes().last().map(u8::to_ascii_lowercase);
    one.len() == other.len() && last(one) == last(other) && one.eq_ignore_ascii_case(other)
}

/// The place of a header among the useful ones, behind all of them if it is none.
fn rank(name: &[u8]) -> usize {
    let mut possible = OF_LENGTH.get(name.len()).copied().unwrap_or_default();
    while possible != 0 {
        let rank = possible.trailing_zeros() as usize;
        let useful = USEFUL.get(rank).map_or(&b""[..], |useful| useful.as_bytes());
        if useful == name || useful.eq_ignore_ascii_case(name) {
            return rank;
        }
        possible &= possible - 1;
    }
    USEFUL.len()
}

#[cfg(test)]
mod tests {
    use protocol::header::parse;

    use super::*;
    use privacy::scrub::Scrub;

    /// Header lines as they may leave.
    fn scrubbed<'l>(lines: &[&'l [u8]], scrub: Scrub<'_>) -> Vec<Line<'l>> {
        let lines = lines.iter().filter_map(|line| parse(line));
        lines.map(|(name, value)| (name, scrub.header(name, value))).collect()
    }

    fn json(lines: &[&str], send_pii: bool) -> String {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        serde_json::to_string(&Headers::new(&scrubbed(&lines, Scrub::new(send_pii)), 8000)).unwrap()
    }

    #[test]
    fn lines_of_one_name_become_one_value_and_useful_ones_come_first() {
        assert_eq!(
            json(&["X-B: 1", "x-b:2", "user-agent:  curl \t", "X-A: ", "Host: h", "cookie: a=1", "Cookie: b=2"], true),
            r#"{"Host":"h","user-agent":"curl","cookie":"a=1; b=2","X-B":"1, 2","X-A":""}"#
        );
    }

    #[test]
    fn a_useful_header_has_its_place_in_any_case() {
        for (place, name) in USEFUL.into_iter().enumerate() {
            for spelled in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(rank(spelled.as_bytes()), place, "{spelled}");
            }
            assert_eq!(rank(&name.as_bytes()[1..]), USEFUL.len(), "{name}");
        }
        assert_eq!((rank(b""), rank(&[b'x'; 300])), (USEFUL.len(), USEFUL.len()));
    }

    #[test]
    fn what_is_no_header_line_is_left_out() {
        assert_eq!(json(&["s3cr3t", ": s3cr3t", "", "A:b:c"], true), r#"{"A":"b:c"}"#);
    }

    #[test]
    fn hostile_bytes_make_a_readable_line() {
        let lines = scrubbed(&[b"X\x00Y\xff: a\r\nb\xff\x1b"], Scrub::new(true));
        let headers = Headers::new(&lines, 8000);
        assert_eq!(serde_json::to_string(&headers).unwrap(), "{\"X Y\u{fffd}\":\"a  b\u{fffd}\"}");
    }

    #[test]
    fn headers_stay_within_their_size_and_the_rest_is_counted() {
        let many: Vec<_> = (0..40).map(|number| format!("X-{number}: {}", "v".repeat(600))).collect();
        let mut lines: Vec<_> = many.iter().map(String::as_bytes).collect();
        let (long, agent) = (format!("X-Long: {}", "v".repeat(9000)), "User-Agent: curl");
        lines.extend([long.as_bytes(), agent.as_bytes()]);
        let lines = scrubbed(&lines, Scrub::new(false));
        let headers = Headers::new(&lines, 8000);
        assert_eq!(headers.kept.first(), Some(&("User-Agent".into(), "curl".into())));
        let size: usize = headers.kept.iter().map(|(name, value)| cost(name, value)).sum();
        assert!((7900..=8000).contains(&size), "{size}");
        assert_eq!(headers.left_out + headers.kept.len(), lines.len());
    }

    #[test]
    fn a_content_type_takes_room_for_the_copy_that_sentry_makes() {
        let line = format!("Content-Type: {}", "v".repeat(3000));
        let lines = scrubbed(&[line.as_bytes(), line.as_bytes()], Scrub::new(false));
        let headers = Headers::new(&lines, 6000);
        let [(_, joined)] = &*headers.kept else { panic!("{} headers", headers.kept.len()) };
        assert!((2900..3000).contains(&joined.len()), "{}", joined.len());
    }

    #[test]
    fn a_name_without_a_value_takes_room_as_well() {
        let many: Vec<_> = (1000..2000).map(|number| format!("{number}:")).collect();
        let lines: Vec<_> = many.iter().map(String::as_bytes).collect();
        let lines = scrubbed(&lines, Scrub::new(false));
        let headers = Headers::new(&lines, 8000);
        assert_eq!((headers.kept.len(), headers.left_out), (8000 / 12, 1000 - 8000 / 12));
    }

    #[test]
    fn cookies_have_a_size_of_their_own() {
        let cookie = format!("Cookie: {}", vec!["cook=1"; 300].join("; "));
        let lines = scrubbed(&[cookie.as_bytes(), b"Cookie: more=2", b"X: y"], Scrub::new(true));
        let headers = Headers::new(&lines, 8000);
        let [(_, cookies), (name, _)] = &*headers.kept else { panic!("{headers:?}") };
        let pairs: Vec<_> = cookies.split("; ").collect();
        assert!((1980..=MAX_COOKIES).contains(&pairs.iter().map(|pair| pair.len() + 8).sum()), "{cookies}");
        assert_eq!((pairs.len() + headers.left_out, &**name), (301, "X"));
        let lines = scrubbed(&[cookie.as_bytes(), b"Host: h", b"X: y"], Scrub::new(true));
        let headers = Headers::new(&lines, 100);
        let [(host, _), (_, cookies)] = &*headers.kept else { panic!("{headers:?}") };
        assert!(host == "Host" && (40..100).contains(&cookies.len()), "{cookies}");
    }
}
