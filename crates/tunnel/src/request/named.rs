// SPDX-License-Identifier: BSD-2-Clause
//! Whose a request is: the key and the project that it names, in each of the ways there are, which must all say the same.
//! <https://develop.sentry.dev/sdk/overview/#authentication>

use std::borrow::Cow;

use protocol::dsn::Dsn;

use super::head::Request;
use super::target::Target;

/// Key and project, as far as they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<'r> {
    pub key: Option<Cow<'r, [u8]>>,
    pub project: Option<Cow<'r, [u8]>>,
}

/// Why it is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nameless {
    /// Two of the ways do not say the same.
    Differ,
    /// The `dsn` of an envelope is none.
    NoDsn,
}

impl<'r> Named<'r> {
    /// By URL and header lines: the project in the path, `sentry_key` in the query, in `X-Sentry-Auth` and in an `Authorization` of Sentry's.
    pub fn by_head(request: &Request<'r>, target: &Target<'r>) -> Result<Named<'r>, Nameless> {
        let mut named = Named { key: None, project: target.project.map(Cow::Borrowed) };
        for key in target.values("sentry_key") {
            agree(&mut named.key, key)?;
        }
        for header in [request.sentry_auth, request.authorization].into_iter().flatten() {
            for key in keys(header) {
                agree(&mut named.key, Cow::Borrowed(key))?;
            }
        }
        Ok(named)
    }

    /// By the `dsn` of an envelope's header, too. Its host is nobody's business: what is on the list counts.
    pub fn and_by_dsn(mut self, dsn: &[u8]) -> Result<Named<'r>, Nameless> {
        let dsn = str::from_utf8(dsn).ok().and_then(|dsn| Dsn::parse(dsn).ok()).ok_or(Nameless::NoDsn)?;
        agree(&mut self.key, Cow::Owned(dsn.public_key().as_bytes().to_vec()))?;
        agree(&mut self.project, Cow::Owned(dsn.project().as_bytes().to_vec()))?;
        Ok(self)
    }
}

/// Takes what is named if nothing was, or the same.
fn agree<'r>(known: &mut Option<Cow<'r, [u8]>>, named: Cow<'r, [u8]>) -> Result<(), Nameless> {
    match known {
        Some(known) if *known != named => Err(Nameless::Differ),
        _ => {
            *known = Some(named);
            Ok(())
        }
    }
}

/// The keys in `Sentry sentry_version=7, sentry_key=…`. Other schemes have none.
fn keys(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (scheme, rest) = header.trim_ascii().split_at_checked(6).unwrap_or_default();
    let is_sentry = scheme.eq_ignore_ascii_case(b"sentry") && rest.first().is_some_and(u8::is_ascii_whitespace);
    let fields = if is_sentry { rest } else { &b""[..] };
    fields.split(|byte| *byte == b',').filter_map(|field| field.trim_ascii().strip_prefix(b"sentry_key="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_head(url: &str, auth: Option<&str>, authorization: Option<&str>) -> Result<(String, String), Nameless> {
        let request = Request {
            url: url.as_bytes(),
            sentry_auth: auth.map(str::as_bytes),
            authorization: authorization.map(str::as_bytes),
            ..Request::default()
        };
        Named::by_head(&request, &Target::of(request.url)).map(shown)
    }

    fn shown(named: Named<'_>) -> (String, String) {
        let text = |part: Option<Cow<'_, [u8]>>| String::from_utf8_lossy(&part.unwrap_or_default()).into_owned();
        (text(named.key), text(named.project))
    }

    #[test]
    fn each_way_of_naming_a_key_is_understood_and_all_must_agree() {
        let auth = Some("Sentry sentry_version=7, sentry_client=x/1, sentry_key=k, sentry_secret=s");
        let ok = |key: &str, project: &str| Ok((key.to_owned(), project.to_owned()));
        for (url, auth, authorization, expected) in [
            ("/api/42/envelope/", auth, None, ok("k", "42")),
            ("/api/42/envelope/", None, auth, ok("k", "42")),
            ("/api/42/envelope/?sentry_version=7&sentry_key=k", auth, auth, ok("k", "42")),
            ("/x?sentry_key=%6b", None, None, ok("k", "")),
            ("/x", Some("sentry\tsentry_key=k"), None, ok("k", "")),
            ("/x", None, Some("Basic sentry_key=k"), ok("", "")),
            ("/x", Some("Sentrysentry_key=k"), Some("Sentry"), ok("", "")),
            ("/x", Some("Sentry my_sentry_key=k,sentry_key=l"), None, ok("l", "")),
            ("/x?sentry_key=other", auth, None, Err(Nameless::Differ)),
            ("/x?sentry_key=k&sentry_key=other", None, None, Err(Nameless::Differ)),
            ("/x", auth, Some("Sentry sentry_key=K"), Err(Nameless::Differ)),
            ("/x", Some("Sentry sentry_key=k,sentry_key=l"), None, Err(Nameless::Differ)),
        ] {
            assert_eq!(by_head(url, auth, authorization), expected, "{url} {auth:?} {authorization:?}");
        }
    }

    #[test]
    fn the_dsn_of_an_envelope_must_agree_whatever_its_host() {
        let named = |key: &'static str, project: &'static str| Named {
            key: (!key.is_empty()).then_some(Cow::Borrowed(key.as_bytes())),
            project: (!project.is_empty()).then_some(Cow::Borrowed(project.as_bytes())),
        };
        for (key, project) in [("", ""), ("k", ""), ("", "42"), ("k", "42")] {
            let both = named(key, project).and_by_dsn(b"https://k:secret@evil.example/x/42").map(shown);
            assert_eq!(both, Ok(("k".to_owned(), "42".to_owned())));
        }
        for (key, project) in [("l", ""), ("", "43"), ("k", "43"), ("l", "42")] {
            assert_eq!(named(key, project).and_by_dsn(b"https://k@h/42"), Err(Nameless::Differ));
        }
        for dsn in ["", "k", "https://h/42", "https://k@h", "ftp://k@h/42"] {
            assert_eq!(named("k", "42").and_by_dsn(dsn.as_bytes()), Err(Nameless::NoDsn), "{dsn}");
        }
        assert_eq!(named("", "").and_by_dsn(b"https://\xff@h/1"), Err(Nameless::NoDsn));
    }
}
