// SPDX-License-Identifier: BSD-2-Clause
//! What a URL asks for.

use std::borrow::Cow;

use protocol::percent;

/// What a body is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/api/N/envelope/`, and every path that is none of the others: a tunnel's may be any.
    Envelope,
    /// `/api/N/store/`, one event, as SDKs sent it before there were envelopes.
    Store,
    /// `/api/N/security/` and `/api/N/csp-report/`, a browser's report.
    Security,
}

/// A URL in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'r> {
    pub endpoint: Endpoint,
    /// The project in the path.
    pub project: Option<&'r [u8]>,
    query: &'r [u8],
}

impl<'r> Target<'r> {
    /// Reads path and query. A slash at the end may be there or not, and there may be a path in front of `/api/`.
    pub fn of(url: &'r [u8]) -> Target<'r> {
        let (path, query) = match url.iter().position(|byte| *byte == b'?') {
            Some(at) => (url.get(..at).unwrap_or_default(), url.get(at + 1..).unwrap_or_default()),
            None => (url, &b""[..]),
        };
        let mut parts = path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let endpoint = match parts.next() {
            Some(b"envelope") => Endpoint::Envelope,
            Some(b"store") => Endpoint::Store,
            Some(b"security" | b"csp-report") => Endpoint::Security,
            _ => return Target { endpoint: Endpoint::Envelope, project: None, query },
        };
        match (parts.next(), parts.next()) {
            (Some(project), Some(b"api")) => Target { endpoint, project: Some(project), query },
            (Some(b"api"), _) => Target { endpoint, project: None, query },
            _ => Target { endpoint: Endpoint::Envelope, project: None, query },
        }
    }

    /// The values of a parameter of the query, decoded.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Cow<'r, [u8]>> {
        let pairs = self.query.split(|byte| *byte == b'&');
        pairs.filter_map(move |pair| {
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(percent::decode(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_is_for_and_maybe_whose() {
        use Endpoint::{Envelope, Security, Store};
        let table: &[(&str, Endpoint, Option<&str>)] = &[
            ("/api/42/envelope/", Envelope, Some("42")),
            ("/api/42/envelope", Envelope, Some("42")),
            ("//sentry//api//42//envelope//?sentry_key=k", Envelope, Some("42")),
            ("/api/42/store/", Store, Some("42")),
            ("/api/store/?sentry_data=/api/1/envelope/", Store, None),
            ("/x/api/42/security/", Security, Some("42")),
            ("/api/42/csp-report/", Security, Some("42")),
            ("/api/api/store/", Store, Some("api")),
            ("/1nkzn7d", Envelope, None),
            ("/store/", Envelope, None),
            ("/42/store/", Envelope, None),
            ("/api/42/minidump/", Envelope, None),
            ("/", Envelope, None),
            ("", Envelope, None),
            ("?x", Envelope, None),
        ];
        for (url, endpoint, project) in table {
            let target = Target::of(url.as_bytes());
            assert_eq!((target.endpoint, target.project), (*endpoint, project.map(str::as_bytes)), "{url}");
        }
    }

    #[test]
    fn parameters_are_found_by_their_whole_name_and_decoded() {
        let target =
            Target::of(b"/x?sentry_key=a%62&my_sentry_key=c&sentry_keys=d&sentry_key&sentry_key=e+f&sentry_key=");
        let values: Vec<_> =
            target.values("sentry_key").map(|value| String::from_utf8_lossy(&value).into_owned()).collect();
        assert_eq!(values, ["ab", "e f", ""]);
    }
}
