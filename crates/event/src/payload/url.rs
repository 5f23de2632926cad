// SPDX-License-Identifier: BSD-2-Clause
//! The URL of a request, put together from what the wire says: scheme, `Host` and request target.

use protocol::percent::{self, AsciiSet, NOT_IN_URLS};
use protocol::text::cut;

/// Characters of a URL.
const MAX_URL: usize = 256;
/// Characters of a query.
const MAX_QUERY: usize = 1000;
/// What Sentry keeps of a query, which it takes apart: bytes of the JSON of its keys and values, with [`PAIR`] more for each two.
const MAX_PAIRS: usize = 1024;
const PAIR: usize = 8;

/// What Sentry encodes in a path by itself, after which it would be too long.
const IN_PATHS: &AsciiSet =
    &NOT_IN_URLS.add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}').add(b'^').add(b'|');

/// A request's URL in the two parts Sentry wants. The fragment is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestUrl {
    /// Without a host, only the path.
    pub url: String,
    pub query: String,
}

impl RequestUrl {
    /// `host` and `target` are as they may leave; an absolute target brings its own scheme and host.
    pub fn new(scheme: &[u8], host: &[u8], target: &[u8]) -> RequestUrl {
        let target = target.split(|byte| *byte == b'#').next().unwrap_or_default();
        let query_at = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (location, query) = target.split_at_checked(query_at).unwrap_or_default();
        let mut url = match split_scheme(location) {
            Some((scheme, rest)) => {
                let path_at = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(path_at).unwrap_or_default();
                [&*origin(scheme, authority), &*percent::encode(path, IN_PATHS)].concat()
            }
            None => {
                let scheme = if scheme == b"https" { "https" } else { "http" };
                let rooted = location.starts_with(b"/");
                // "*", or nonsense: it must not grow on to the host.
                let path = if rooted { location } else { without_user(location) };
                let slash = if rooted || location.is_empty() { "" } else { "/" };
                [&*origin(scheme, host), slash, &*percent::encode(path, IN_PATHS)].concat()
            }
        };
        if url.is_empty() {
            url.push('/');
        }
        let query = percent::encode(query.strip_prefix(b"?").unwrap_or_default(), NOT_IN_URLS);
        let limit = longest_query(&query);
        RequestUrl { url: cut(url.into(), MAX_URL).into_owned(), query: cut(query, limit).into_owned() }
    }
}

/// How many characters of an encoded query Sentry keeps.
fn longest_query(query: &str) -> usize {
    let mut room = MAX_PAIRS.saturating_sub(PAIR + 1);
    if query.len() <= room / (PAIR + 1) {
        // Whatever is in it.
        return MAX_QUERY;
    }
    let mut bytes = query.bytes().enumerate().take(MAX_QUERY).peekable();
    while let Some((at, byte)) = bytes.next() {
        let cost = match byte {
            b'"' | b'\\' => 2,
            // A control character: six in JSON, for three here.
            b'%' if matches!(bytes.peek(), Some((_, b'0' | b'1'))) => 4,
            b'&' => 1 + PAIR,
            _ => 1,
        };
        match room.checked_sub(cost) {
            Some(left) => room = left,
            None => return at,
        }
    }
    MAX_QUERY
}

/// `scheme://host`, or nothing where there is no host. A host ends where a host has to end, whatever was
/// sent; user and password in front of it go.
fn origin(scheme: &str, host: &[u8]) -> String {
    let host = without_user(host);
    let is_host_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_~:[]".contains(byte);
    let end = host.iter().position(|byte| !is_host_byte(byte)).unwrap_or(host.len());
    match host.get(..end).map(str::from_utf8) {
        Some(Ok(host)) if !host.is_empty() => [scheme, "://", host].concat(),
        _ => String::new(),
    }
}

/// What stands behind the last `@` of the part in front of the first slash.
fn without_user(text: &[u8]) -> &[u8] {
    let authority = text.split(|byte| *byte == b'/').next().unwrap_or_default();
    let user = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    text.get(user..).unwrap_or_default()
}

/// The scheme of an absolute URL, and what follows `://`.
fn split_scheme(url: &[u8]) -> Option<(&str, &[u8])> {
    if !url.first()?.is_ascii_alphabetic() {
        return None;
    }
    let at = url.windows(3).position(|window| window == b"://")?;
    let (scheme, rest) = url.split_at_checked(at)?;
    let is_scheme_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if !scheme.iter().all(is_scheme_byte) {
        return None;
    }
    Some((str::from_utf8(scheme).ok()?, rest.get(3..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use privacy::scrub::Scrub;

    fn build(scheme: &str, host: &[u8], target: &[u8]) -> (String, String) {
        let RequestUrl { url, query } = RequestUrl::new(scheme.as_bytes(), host, &Scrub::new(false).url(target));
        (url, query)
    }

    #[test]
    fn scheme_host_and_target_make_a_url_and_a_query() {
        for (scheme, host, target, url, query) in [
            ("http", "shop.example", "/a?b=c", "http://shop.example/a", "b=c"),
            ("https", "shop.example:8443", "/", "https://shop.example:8443/", ""),
            ("", "[::1]:80", "/a#top?x", "http://[::1]:80/a", ""),
            ("gopher", "h", "/a?b?c#d", "http://h/a", "b?c"),
            ("http", "", "/a?b", "/a", "b"),
            ("http", "", "", "/", ""),
            ("http", "h", "", "http://h", ""),
            ("http", "h", "*", "http://h/*", ""),
            ("http", "h", "?a=b", "http://h", "a=b"),
            ("http", "other", "https://h:1/a?b=c", "https://h:1/a", "b=c"),
            ("http", "other", "https://h", "https://h", ""),
        ] {
            let expected = (url.to_owned(), query.to_owned());
            assert_eq!(build(scheme, host.as_bytes(), target.as_bytes()), expected, "{host} {target}");
        }
    }

    #[test]
    fn a_hostile_host_does_not_break_the_url() {
        for (host, target, url) in [
            ("u:s3@h", "/a", "http://h/a"),
            ("h/x?token=s3", "/a", "http://h/a"),
            ("h x\r\nY: z", "/a", "http://h/a"),
            ("\"h\"", "/a", "/a"),
            ("h\u{e4}", "/a", "http://h/a"),
            ("h", ".evil.example/a", "http://h/.evil.example/a"),
            ("h", "u:s3@h:443", "http://h/h:443"),
            ("h", "https://u:s3@evil.example/a", "https://evil.example/a"),
            ("h", "1x://y", "http://h/1x://y"),
        ] {
            assert_eq!(build("http", host.as_bytes(), target.as_bytes()).0, url, "{host}");
        }
    }

    #[test]
    fn bytes_that_cannot_stand_in_a_url_are_encoded_and_secrets_are_gone() {
        let (url, query) = build("http", b"h", b"/\xff \x01?a=\xc3\xa4&token=s3 s3");
        assert_eq!((&*url, &*query), ("http://h/%FF%20%01", "a=%C3%A4&token=[Filtered]"));
    }

    #[test]
    fn a_long_url_and_a_long_query_are_cut() {
        let target = [b"/".as_slice(), &[b'p'; 3000], b"?", &[b'q'; 3000]].concat();
        let (url, query) = build("http", b"h", &target);
        assert_eq!(build("http", b"h", &[b"/".as_slice(), &[b'{'; 300]].concat()).0.len(), 256);
        assert_eq!((url.len(), query.len()), (256, 1000));
        assert!(url.ends_with("p...") && query.ends_with("q..."));
    }

    #[test]
    fn a_query_of_many_pairs_is_cut_where_sentry_has_no_room_for_more() {
        let of = |query: &str| build("http", b"h", format!("/?{}", query.repeat(1000)).as_bytes()).1.len();
        // 1015 of room; each takes 10, 11, 12 and 6.
        assert_eq!([of("a&"), of("a=&"), of("a=b&"), of("%01")], [203, 278, 339, 507]);
        assert_eq!((of("%41"), of("+"), of("\"")), (1000, 1000, 507));
        // The longest one that has room whatever is in it, and longer ones.
        let of = |len| build("http", b"h", format!("/?{}", "&".repeat(len)).as_bytes()).1.len();
        assert_eq!([112, 113, 140].map(of), [112; 3]);
    }
}
