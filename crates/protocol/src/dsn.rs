// SPDX-License-Identifier: BSD-2-Clause
//! The DSN: where events go and the key that lets them in.
//!
//! `{http|https}://{public}[:{secret}]@{host}[:port]{path}/{project}` (Sentry's SDK specification). What is often pasted in its place is
//! understood too: the address of an endpoint, `{path}/api/{project}/envelope/`, with the keys there or as `?sentry_key={public}`.
//! Keys travel in one header, so only characters that cannot end a field of it are taken.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use Part::{Missing, Unusable};

/// Some editors begin a text with it.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Where a server takes events: what may stand behind `/api/{project}/` in an address that is pasted as a DSN.
const ENDPOINTS: [&str; 5] = ["envelope", "store", "security", "csp-report", "minidump"];

/// A parsed DSN. Shows as host and project, never with its keys.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dsn {
    scheme: Scheme,
    public_key: String,
    secret: Option<String>,
    host: String,
    port: u16,
    path: String,
    project: String,
}

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The word in front of `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// What is wrong with a part of a DSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Missing,
    /// It has characters that do not belong there, or is out of range.
    Unusable,
}

/// Why a text is no DSN. It names the part and never quotes it: any part may turn out to be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnError {
    /// Blank, or white space or a control character inside.
    Text(Part),
    Scheme,
    PublicKey(Part),
    Secret,
    Host(Part),
    Port,
    Path,
    Project(Part),
    /// More than keys behind a question mark.
    Query,
    /// One key before the host, another one behind the question mark.
    TwoKeys,
}

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DsnError::Text(Missing) => "dsn is empty",
            DsnError::Text(Unusable) => "dsn has white space or a control character inside",
            DsnError::Scheme => "dsn does not start with http:// or https://",
            DsnError::PublicKey(Missing) => "dsn has no key",
            DsnError::PublicKey(Unusable) => "dsn has a key with unexpected characters",
            DsnError::Secret => "dsn has a secret with unexpected characters",
            DsnError::Host(Missing) => "dsn has no host",
            DsnError::Host(Unusable) => "dsn has a host that is neither a name nor an address",
            DsnError::Port => "dsn has a port that is not a number between 1 and 65535",
            DsnError::Path => "dsn has a path with unexpected characters",
            DsnError::Project(Missing) => "dsn has no project id",
            DsnError::Project(Unusable) => "dsn has a project id with unexpected characters",
            DsnError::Query => "dsn has a query with other than Sentry's keys",
            DsnError::TwoKeys => "dsn has two different keys",
        })?;
        f.write_str(", expected https://<key>@<host>/<id>")
    }
}

impl std::error::Error for DsnError {}

impl Dsn {
    /// Parses a DSN. White space, quotes and a byte order mark around it and slashes after the project id are ignored, the secret is
    /// optional, a path before the project id is kept.
    pub fn parse(text: &str) -> Result<Dsn, DsnError> {
        let text = unquoted(text.trim().trim_start_matches(BYTE_ORDER_MARK).trim());
        if text.is_empty() {
            return Err(DsnError::Text(Missing));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(DsnError::Text(Unusable));
        }
        let (scheme, rest) = text.split_once("://").ok_or(DsnError::Scheme)?;
        let scheme = [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or(DsnError::Scheme)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (before, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (place, query) = endpoint(path).map_or((None, None), |(place, query)| (Some(place), query));
        let (public_key, secret) = parse_keys(&keys(before, query)?)?;
        let (host, port) = parse_address(address)?;
        let (path, project) = place.map_or_else(|| parse_path(path), |(path, project)| check_path(path, project))?;
        Ok(Dsn {
            scheme,
            public_key,
            secret,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(scheme.default_port()),
            path: path.to_owned(),
            project: project.to_owned(),
        })
    }

    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The secret, which old servers want; an empty one counts as none.
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    pub fn project(&self) -> &str {
        &self.project
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The organization's number, which Sentry's own service has in its host names (`o42.ingest.sentry.io`).
    pub fn organization(&self) -> Option<&str> {
        let (label, _) = self.host.split_once('.')?;
        label.strip_prefix('o').filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The host in lower case; an IPv6 address in its brackets, as a URL wants it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the DSN leaves it to the scheme.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where envelopes are posted to. The slash at the end is part of it.
    pub fn envelope_url(&self) -> String {
        let Dsn { scheme, host, path, project, .. } = self;
        format!("{}://{host}{}{path}/api/{project}/envelope/", scheme.as_str(), self.explicit_port())
    }

    /// The value of `X-Sentry-Auth`; `client` is name and version, `sentry.varnish/0.1.0`.
    pub fn auth_header(&self, client: &str) -> String {
        let public = &self.public_key;
        let mut header = format!("Sentry sentry_version=7, sentry_client={client}, sentry_key={public}");
        if let Some(secret) = &self.secret {
            header.push_str(", sentry_secret=");
            header.push_str(secret);
        }
        header
    }

    /// A name for a folder: host, port and path as in the URL, then the project, and no key. DSNs that differ
    /// only in their keys have the same one, others have not: neither a host nor a path has a comma in it.
    pub fn folder_name(&self) -> String {
        let path = self.path.replace('%', "%25").replace('/', "%2F");
        format!("{}{}{path},{}", self.host, self.explicit_port(), self.project)
    }

    /// Whether it leads to the same project as `other`, by whatever key.
    pub fn is_of_same_project(&self, other: &Dsn) -> bool {
        let Dsn { host, port, path, project, .. } = self;
        (*port, project, path, host) == (other.port, &other.project, &other.path, &other.host)
    }

    fn explicit_port(&self) -> String {
        if self.port == self.scheme.default_port() { String::new() } else { format!(":{}", self.port) }
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.host, self.explicit_port(), self.project)
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

/// Text without the quotes around it, of which a file for a shell's variables has some.
fn unquoted(text: &str) -> &str {
    let inner = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inner.map_or(text, str::trim)
}

/// Path and project of an endpoint's address, `/api/42/envelope/`, and what is behind its question mark; `None` if it is none. Pasted to a
/// DSN, as `/42/api/42/envelope/`, it is that DSN's.
fn endpoint(path: &str) -> Option<((&str, &str), Option<&str>)> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let (path, _) = path.trim_end_matches('/').rsplit_once('/').filter(|(_, word)| ENDPOINTS.contains(word))?;
    if path.ends_with("/api") {
        return Some(((path, ""), query));
    }
    let (path, project) = path.rsplit_once('/')?;
    let path = path.strip_suffix("/api")?;
    if ENDPOINTS.contains(&project) {
        // An id of that name would make another endpoint's address of what is in front of it.
        return Some(((path, ""), query));
    }
    let pasted = path.strip_suffix(project).and_then(|path| path.strip_suffix('/')).filter(|_| !project.is_empty());
    Some(((pasted.unwrap_or(path), project), query))
}

/// The keys as a DSN has them, `public:secret`, from before the host or from an endpoint's query.
fn keys<'t>(before: &'t str, query: Option<&'t str>) -> Result<Cow<'t, str>, DsnError> {
    let (mut public, mut secret) = ("", "");
    for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sentry_key", value)) => public = value,
            Some(("sentry_secret", value)) => secret = value,
            Some((name, _)) if name.starts_with("sentry_") => {}
            _ => return Err(DsnError::Query),
        }
    }
    if public.contains(':') {
        return Err(DsnError::PublicKey(Unusable));
    }
    let said = if secret.is_empty() { Cow::Borrowed(public) } else { Cow::Owned(format!("{public}:{secret}")) };
    match (before, public) {
        ("", _) => Ok(said),
        (_, "") => Ok(Cow::Borrowed(before)),
        _ if before == said || before.split(':').next() == Some(public) && secret.is_empty() => {
            Ok(Cow::Borrowed(before))
        }
        _ => Err(DsnError::TwoKeys),
    }
}

fn parse_keys(keys: &str) -> Result<(String, Option<String>), DsnError> {
    let (public, secret) = keys.split_once(':').unwrap_or((keys, ""));
    if public.is_empty() {
        return Err(DsnError::PublicKey(Missing));
    }
    if !public.bytes().all(is_key_byte) {
        return Err(DsnError::PublicKey(Unusable));
    }
    if !secret.bytes().all(is_key_byte) {
        return Err(DsnError::Secret);
    }
    Ok((public.to_owned(), (!secret.is_empty()).then(|| secret.to_owned())))
}

pub fn parse_address(address: &str) -> Result<(&str, Option<u16>), DsnError> {
    let host_len = match address.find(']') {
        Some(bracket) if address.starts_with('[') => bracket + 1,
        _ => address.find(':').unwrap_or(address.len()),
    };
    let (host, port) = address.split_at(host_len);
    if host.is_empty() {
        return Err(DsnError::Host(Missing));
    }
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let usable = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    if !usable {
        return Err(DsnError::Host(Unusable));
    }
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.strip_prefix(':').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let port = digits.and_then(|digits| digits.parse().ok()).filter(|port| *port != 0);
    port.map(|port| (host, Some(port))).ok_or(DsnError::Port)
}

fn parse_path(path: &str) -> Result<(&str, &str), DsnError> {
    let (path, project) = path.trim_end_matches('/').rsplit_once('/').ok_or(DsnError::Project(Missing))?;
    check_path(path, project)
}

fn check_path<'t>(path: &'t str, project: &'t str) -> Result<(&'t str, &'t str), DsnError> {
    if project.is_empty() {
        return Err(DsnError::Project(Missing));
    }
    if !path.bytes().all(|byte| byte == b'/' || is_key_byte(byte)) {
        return Err(DsnError::Path);
    }
    if !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(DsnError::Project(Unusable));
    }
    Ok((path, project))
}

/// What needs no escaping in a URL and cannot end a field of `X-Sentry-Auth`.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%+".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_gives_its_url_and_header() {
        let plain = "https://0123abcd@o1.ingest.sentry.io/42";
        for (text, url) in [
            (plain, "https://o1.ingest.sentry.io/api/42/envelope/"),
            ("\n https://0123abcd@o1.ingest.sentry.io/42/ \r\n", "https://o1.ingest.sentry.io/api/42/envelope/"),
            ("http://k@sentry.example:9000/42", "http://sentry.example:9000/api/42/envelope/"),
            ("http://k@sentry.example:80/42", "http://sentry.example/api/42/envelope/"),
            ("https://k@sentry.example:80/42", "https://sentry.example:80/api/42/envelope/"),
            ("HTTPS://k@Sentry.Example/42", "https://sentry.example/api/42/envelope/"),
            ("https://k@h/some/prefix/42//", "https://h/some/prefix/api/42/envelope/"),
            ("https://k@[2001:DB8::1]/7", "https://[2001:db8::1]/api/7/envelope/"),
            ("https://k@[::1]:8443/7", "https://[::1]:8443/api/7/envelope/"),
            ("https://k@127.0.0.1/my-project_1", "https://127.0.0.1/api/my-project_1/envelope/"),
            // As it is, however it looks.
            ("https://k@h/api/42", "https://h/api/api/42/envelope/"),
            ("https://k@h/api/2/7", "https://h/api/2/api/7/envelope/"),
            ("https://k@h/envelope", "https://h/api/envelope/envelope/"),
        ] {
            assert_eq!(Dsn::parse(text).map(|dsn| dsn.envelope_url()), Ok(url.to_owned()), "{text}");
        }
        assert_eq!(
            Dsn::parse(plain).unwrap().auth_header("sentry.varnish/0.1.0"),
            "Sentry sentry_version=7, sentry_client=sentry.varnish/0.1.0, sentry_key=0123abcd"
        );
        assert_eq!(
            Dsn::parse("http://pub:sec@h/1").unwrap().auth_header("c/1"),
            "Sentry sentry_version=7, sentry_client=c/1, sentry_key=pub, sentry_secret=sec"
        );
    }

    #[test]
    fn what_an_editor_or_a_shell_puts_around_it_is_left_aside() {
        let plain = Dsn::parse("https://k:s@h/1").unwrap();
        for text in [
            "\u{feff}https://k:s@h/1",
            "\u{feff}  https://k:s@h/1\r\n",
            " \t\u{feff}https://k:s@h/1",
            "\"https://k:s@h/1\"",
            "'https://k:s@h/1'\n",
            "\u{feff}\" https://k:s@h/1 \"\r\n\r\n",
        ] {
            assert_eq!(Dsn::parse(text).as_ref(), Ok(&plain), "{text:?}");
        }
        for text in ["\"https://k:s@h/1", "https://k:s@h/1'", "\"\"https://k:s@h/1\"\"", "https://k:s@h/1\u{feff}"] {
            assert!(Dsn::parse(text).is_err(), "{text:?}");
        }
        for text in ["\u{feff}", "\"\"", "' '", "\u{feff}\r\n"] {
            assert_eq!(Dsn::parse(text), Err(DsnError::Text(Missing)), "{text:?}");
        }
    }

    #[test]
    fn the_address_of_an_endpoint_is_the_dsn_of_its_project() {
        for (text, dsn) in [
            ("https://k@h/api/42/envelope/", "https://k@h/42"),
            ("https://k@h/api/42/store", "https://k@h/42"),
            ("https://k:s@h:9000/a/b/api/42/store//", "https://k:s@h:9000/a/b/42"),
            ("https://k@h/42/api/42/envelope/", "https://k@h/42"),
            ("https://k@h/a/42/api/42/envelope/", "https://k@h/a/42"),
            ("https://k@h/41/api/42/envelope/", "https://k@h/41/42"),
            ("https://h/api/42/envelope/?sentry_key=k", "https://k@h/42"),
            ("https://h/api/42/envelope?sentry_key=k&", "https://k@h/42"),
            ("https://o1.ingest.sentry.io/api/42/security/?sentry_key=k", "https://k@o1.ingest.sentry.io/42"),
            (
                "http://h/api/42/store/?sentry_version=7&sentry_key=k&sentry_secret=s&sentry_client=c/1",
                "http://k:s@h/42",
            ),
            ("https://k@h/api/42/envelope/?sentry_key=k", "https://k@h/42"),
            ("https://k:s@h/api/42/envelope/?sentry_key=k", "https://k:s@h/42"),
            ("https://k:s@h/api/42/envelope/?sentry_key=k&sentry_secret=s", "https://k:s@h/42"),
            ("https://k@h/api/42/envelope/?sentry_version=7", "https://k@h/42"),
            ("\u{feff}'https://[::1]/api/my-project/envelope/?sentry_key=k'\r\n", "https://k@[::1]/my-project"),
        ] {
            assert_eq!(Dsn::parse(text), Ok(Dsn::parse(dsn).unwrap()), "{text}");
        }
    }

    #[test]
    fn the_parts_are_there_to_be_asked_for() {
        let dsn = Dsn::parse("http://pub:sec@[::1]/p/42").unwrap();
        assert_eq!((dsn.public_key(), dsn.secret(), dsn.project()), ("pub", Some("sec"), "42"));
        assert_eq!((dsn.scheme(), dsn.host(), dsn.port()), (Scheme::Http, "[::1]", 80));
        assert_eq!(Dsn::parse("https://pub:@h/1").unwrap().secret(), None);
    }

    #[test]
    fn an_organization_is_a_number_in_the_first_label() {
        for (host, id) in [
            ("o42.ingest.sentry.io", Some("42")),
            ("O7.ingest.de.sentry.io", Some("7")),
            ("o.sentry.io", None),
            ("o4x.sentry.io", None),
            ("42.sentry.io", None),
            ("o42", None),
        ] {
            assert_eq!(Dsn::parse(&format!("https://k@{host}/1")).unwrap().organization(), id, "{host}");
        }
    }

    #[test]
    fn a_folder_is_named_by_where_events_go_and_not_by_the_key() {
        for (text, name) in [
            ("https://k:s@o1.ingest.sentry.io/42", "o1.ingest.sentry.io,42"),
            ("https://other@o1.ingest.sentry.io/42", "o1.ingest.sentry.io,42"),
            ("http://k@h:9000/a/b%2f/my-project_1", "h:9000%2Fa%2Fb%252f,my-project_1"),
            ("https://k@[::1]/7", "[::1],7"),
        ] {
            assert_eq!(Dsn::parse(text).map(|dsn| dsn.folder_name()), Ok(name.to_owned()), "{text}");
        }
    }

    #[test]
    fn keys_do_not_tell_projects_apart_and_places_do() {
        let one = Dsn::parse("https://k:s@h/p/1").unwrap();
        for (text, same) in [
            ("https://other@h/p/1", true),
            ("https://k:s@h/p/2", false),
            ("https://k:s@h/1", false),
            ("https://k:s@i/p/1", false),
            ("https://k:s@h:444/p/1", false),
        ] {
            assert_eq!(one.is_of_same_project(&Dsn::parse(text).unwrap()), same, "{text}");
        }
    }

    #[test]
    fn two_spellings_of_one_dsn_are_equal() {
        assert_eq!(Dsn::parse("https://k@H:443/1/"), Dsn::parse(" https://k@h/1"));
        assert_ne!(Dsn::parse("https://k@h/1"), Dsn::parse("https://k:s@h/1"));
        assert_ne!(Dsn::parse("https://k@h/1"), Dsn::parse("http://k@h:443/1"));
    }

    #[test]
    fn what_is_no_dsn_is_refused_by_its_first_bad_part() {
        for (text, error) in [
            ("", DsnError::Text(Missing)),
            (" \n", DsnError::Text(Missing)),
            ("https://k@h/1\r\nX-Evil: 1", DsnError::Text(Unusable)),
            ("https://k\0@h/1", DsnError::Text(Unusable)),
            ("https://k@h /1", DsnError::Text(Unusable)),
            ("https://k@h\u{a0}/1", DsnError::Text(Unusable)),
            ("https://k\u{85}@h/1", DsnError::Text(Unusable)),
            ("k@h/1", DsnError::Scheme),
            ("ftp://k@h/1", DsnError::Scheme),
            ("https:/k@h/1", DsnError::Scheme),
            ("://k@h/1", DsnError::Scheme),
            ("https://h/1", DsnError::PublicKey(Missing)),
            ("https://@h/1", DsnError::PublicKey(Missing)),
            ("https://:s@h/1", DsnError::PublicKey(Missing)),
            ("https:///1", DsnError::PublicKey(Missing)),
            ("https://h/k@1", DsnError::PublicKey(Missing)),
            ("https://k,sentry_key=x@h/1", DsnError::PublicKey(Unusable)),
            ("https://a@b@h/1", DsnError::PublicKey(Unusable)),
            ("https://schlüssel@h/1", DsnError::PublicKey(Unusable)),
            ("https://k:s,t@h/1", DsnError::Secret),
            ("https://k:s:t@h/1", DsnError::Secret),
            ("https://k@/1", DsnError::Host(Missing)),
            ("https://k@:80/1", DsnError::Host(Missing)),
            ("https://k@hö/1", DsnError::Host(Unusable)),
            ("https://k@h?x/1", DsnError::Host(Unusable)),
            ("https://k@[::1/1", DsnError::Host(Unusable)),
            ("https://k@[127.0.0.1]/1", DsnError::Host(Unusable)),
            ("https://k@[fe80::1%25eth0]/1", DsnError::Host(Unusable)),
            ("https://k@::1/1", DsnError::Host(Missing)),
            ("https://k@h:/1", DsnError::Port),
            ("https://k@h:0/1", DsnError::Port),
            ("https://k@h:65536/1", DsnError::Port),
            ("https://k@h:+80/1", DsnError::Port),
            ("https://k@h:80:81/1", DsnError::Port),
            ("https://k@[::1]80/1", DsnError::Port),
            ("https://k@h/a?b/1", DsnError::Path),
            ("https://k@h/a@b/1", DsnError::Path),
            ("https://k@h", DsnError::Project(Missing)),
            ("https://k@h/", DsnError::Project(Missing)),
            ("https://k@h//", DsnError::Project(Missing)),
            ("https://k@h/1?x=y", DsnError::Project(Unusable)),
            ("https://k@h/1#f", DsnError::Project(Unusable)),
            ("https://k@h/..", DsnError::Project(Unusable)),
            ("https://k@h/api//envelope/", DsnError::Project(Missing)),
            ("https://k@h/api/envelope/", DsnError::Project(Missing)),
            ("https://k@h/7/api/api/envelope/envelope/", DsnError::Project(Missing)),
            ("https://k@h/api/3/api/envelope/store/", DsnError::Project(Missing)),
            ("https://k@h/api/store/envelope/", DsnError::Project(Missing)),
            ("https://h/api//store/?sentry_key=k", DsnError::Project(Missing)),
            ("https://k@h/api/4.2/envelope/", DsnError::Project(Unusable)),
            ("https://k@h/a b/api/42/envelope/", DsnError::Text(Unusable)),
            ("https://k@h/a@b/api/42/envelope/", DsnError::Path),
            ("https://h/api/42/envelope/", DsnError::PublicKey(Missing)),
            ("https://h/api/42/envelope/?sentry_key=", DsnError::PublicKey(Missing)),
            ("https://h/api/42/envelope/?sentry_key=a:b", DsnError::PublicKey(Unusable)),
            ("https://h/api/42/envelope/?sentry_key=a,b", DsnError::PublicKey(Unusable)),
            ("https://h/api/42/envelope/?sentry_key=k&sentry_secret=a:b", DsnError::Secret),
            ("https://h/api/42/envelope/?sentry_key=k#f", DsnError::PublicKey(Unusable)),
            ("https://k@h/api/42/envelope/?sentry_key=other", DsnError::TwoKeys),
            ("https://k:s@h/api/42/envelope/?sentry_key=k&sentry_secret=other", DsnError::TwoKeys),
            ("https://k@h/api/42/envelope/?token=x", DsnError::Query),
            ("https://k@h/api/42/envelope/?sentry_key", DsnError::Query),
            ("https://h/42?sentry_key=k", DsnError::PublicKey(Missing)),
            ("SENTRY_DSN=https://k@h/42", DsnError::Scheme),
        ] {
            assert_eq!(Dsn::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_error_says_what_is_expected() {
        assert_eq!(
            Dsn::parse("https://k@h").unwrap_err().to_string(),
            "dsn has no project id, expected https://<key>@<host>/<id>"
        );
    }

    #[test]
    fn neither_errors_nor_debug_nor_display_show_a_key() {
        let (public, secret) = ("pUbLiCpUbLiC", "sEcReTsEcReT");
        let good = format!("https://{public}:{secret}@h:8443/p/42");
        let dsn = Dsn::parse(&good).unwrap();
        assert_eq!(format!("{dsn}"), "h:8443/42");
        assert_eq!(format!("{dsn:?}"), "Dsn(h:8443/42)");
        let endpoint = format!("https://h/api/42/envelope/?sentry_key={public}&sentry_secret={secret}");
        for good in [good, endpoint] {
            for at in 0..good.len() {
                for wrong in ["", " ", "@", ":", "/", "?", ",", "\n", "ö", "&", "\"", "\u{feff}"] {
                    let text = [&good[..at], wrong, &good[at + 1..]].concat();
                    let shown = match Dsn::parse(&text) {
                        Ok(dsn) => format!("{dsn} {dsn:?}").to_lowercase(),
                        Err(error) => format!("{error} {error:?}").to_lowercase(),
                    };
                    assert!(!shown.contains("cpub") && !shown.contains("tsec"), "{text}: {shown}");
                }
            }
        }
    }
}
