// SPDX-License-Identifier: BSD-2-Clause
//! A base URL in place of the DSNs' own: a self-hosted Sentry behind the tunnel.

use std::fmt;

use protocol::dsn::{Dsn, DsnError};

/// A checked base URL, `http://sentry:9000` or `https://sentry.example/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// `http` or `https`, and what comes behind `://` without slashes at its end.
    scheme: String,
    rest: String,
}

/// Why a text is none. Never quotes it: who writes a DSN there by mistake has a key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamError;

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("upstream is no base URL, expected http://<host>[:<port>][/<path>]")
    }
}

impl std::error::Error for UpstreamError {}

impl Upstream {
    /// Checks a text.
    pub fn parse(text: &str) -> Result<Upstream, UpstreamError> {
        let text = text.trim().trim_end_matches('/');
        let (scheme, rest) = text.split_once("://").filter(|(_, rest)| !rest.contains('@')).ok_or(UpstreamError)?;
        let upstream = Upstream { scheme: scheme.to_owned(), rest: rest.to_owned() };
        upstream.dsn("key", None, "1").map(|_| upstream).map_err(|_| UpstreamError)
    }

    /// A DSN's key and project, there.
    pub fn of(&self, dsn: &Dsn) -> Result<Dsn, DsnError> {
        self.dsn(dsn.public_key(), dsn.secret(), dsn.project())
    }

    fn dsn(&self, key: &str, secret: Option<&str>, project: &str) -> Result<Dsn, DsnError> {
        let colon = if secret.is_some() { ":" } else { "" };
        let secret = secret.unwrap_or_default();
        Dsn::parse(&format!("{}://{key}{colon}{secret}@{}/{project}", self.scheme, self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_project_stay_and_the_rest_is_the_upstreams() {
        let dsn = Dsn::parse("https://key:secret@o1.ingest.example/a/42").unwrap();
        for (upstream, url) in [
            ("http://sentry:9000", "http://sentry:9000/api/42/envelope/"),
            (" https://sentry.example/x/y/ ", "https://sentry.example/x/y/api/42/envelope/"),
            ("http://[::1]:80", "http://[::1]/api/42/envelope/"),
        ] {
            let there = Upstream::parse(upstream).unwrap().of(&dsn).unwrap();
            assert_eq!(
                (there.envelope_url().as_str(), there.public_key(), there.secret()),
                (url, "key", Some("secret"))
            );
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_not_quoted() {
        for text in
            ["", "sentry:9000", "ftp://h", "http://", "http://h?x", "http://key@h", "http://h:0", "http://h/a b", "//h"]
        {
            assert_eq!(Upstream::parse(text), Err(UpstreamError), "{text}");
        }
    }
}
