// SPDX-License-Identifier: BSD-2-Clause
//! The HTTP proxy on the way to the server. Its password is never shown.

use std::fmt;

use protocol::dsn::{DsnError, parse_address};

use super::no_proxy::is_exempt;

/// Which proxy there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxySource {
    #[default]
    None,
    Url(ProxyUrl),
    /// What the environment says when the first connection is made, and again after one that failed.
    Environment,
}

/// A checked URL of a proxy. Shows as host and port, never with its user and password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl(ureq::Proxy);

/// Why a text is no URL of a proxy. It names the part and never quotes it: any part may turn out to be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    Scheme,
    Credentials,
    Host,
    Port,
    Path,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyError::Scheme => "proxy does not start with http:// or https://",
            ProxyError::Credentials => "proxy has a user or password with characters that want to be written as %XX",
            ProxyError::Host => "proxy has a host that is neither a name nor an address",
            ProxyError::Port => "proxy has a port that is not a number between 1 and 65535",
            ProxyError::Path => "proxy has a path",
        })?;
        f.write_str(", expected http://[<user>:<password>@]<host>[:<port>]")
    }
}

impl std::error::Error for ProxyError {}

impl ProxySource {
    /// From the argument in VCL; an empty one was not given.
    pub fn new(argument: &str) -> Result<ProxySource, ProxyError> {
        match argument {
            "" => Ok(ProxySource::None),
            "environment" => Ok(ProxySource::Environment),
            url => ProxyUrl::parse(url).map(ProxySource::Url),
        }
    }
}

impl ProxyUrl {
    /// Parses a URL; user and password may have any byte as `%XX`.
    pub fn parse(text: &str) -> Result<ProxyUrl, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::Scheme)?;
        if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return Err(ProxyError::Scheme);
        }
        // The last `@`: with one that is not escaped, a part of the password would pass for the host.
        let (credentials, address) = rest.rsplit_once('@').unwrap_or(("", rest));
        if !credentials.bytes().all(is_credential_byte) || credentials.matches(':').count() > 1 {
            return Err(ProxyError::Credentials);
        }
        let (address, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        parse_address(address).map_err(|error| match error {
            DsnError::Port => ProxyError::Port,
            _ => ProxyError::Host,
        })?;
        if !matches!(path, "" | "/") {
            return Err(ProxyError::Path);
        }
        ureq::Proxy::new(text).map(ProxyUrl).map_err(|_| ProxyError::Credentials)
    }

    pub(crate) fn to_ureq(&self) -> ureq::Proxy {
        self.0.clone()
    }

    /// Whether the proxy itself is spoken to over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.protocol() == ureq::ProxyProtocol::Https
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({}:{})", self.0.host(), self.0.port())
    }
}

/// The proxy that an environment has for a server, asked variable by variable. The error names the variable.
pub(crate) fn from_environment(
    get: impl Fn(&str) -> Option<String>,
    https: bool,
    host: &str,
    port: u16,
) -> Result<Option<ProxyUrl>, String> {
    let first = |names: [&'static str; 2]| {
        let mut all = names.into_iter().filter_map(|name| Some((name, get(name)?.trim().to_owned())));
        all.find(|(_, value)| !value.is_empty())
    };
    let names = if https { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
    let Some((name, value)) = first(names) else { return Ok(None) };
    if first(["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| is_exempt(&list, host, port)) {
        return Ok(None);
    }
    let url = if value.contains("://") { value } else { format!("http://{value}") };
    ProxyUrl::parse(&url).map(Some).map_err(|error| format!("{name}: {error}"))
}

/// What may stand in a URL's userinfo as it is.
fn is_credential_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, shown, user, password) in [
            ("http://proxy.example:3128", "ProxyUrl(proxy.example:3128)", None, None),
            ("http://proxy.example/", "ProxyUrl(proxy.example:80)", None, None),
            ("HTTPS://10.0.0.1", "ProxyUrl(10.0.0.1:443)", None, None),
            ("http://[::1]:8080", "ProxyUrl([::1]:8080)", None, None),
            ("http://u:p%40%2F@h:1", "ProxyUrl(h:1)", Some("u"), Some("p@/")),
            ("http://u@h:1", "ProxyUrl(h:1)", Some("u"), None),
        ] {
            let url = ProxyUrl::parse(text).unwrap();
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!((url.0.username(), url.0.password()), (user, password), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_by_its_first_bad_part() {
        for (text, error) in [
            ("proxy.example:3128", ProxyError::Scheme),
            ("socks5://proxy.example:1080", ProxyError::Scheme),
            ("http://u:p:q@h:1", ProxyError::Credentials),
            ("http://u:p@q@h:1", ProxyError::Credentials),
            ("http://u:p/q@h:1", ProxyError::Credentials),
            ("http://u:p#q@h:1", ProxyError::Credentials),
            ("http://u:p q@h:1", ProxyError::Credentials),
            ("http://u:ö@h:1", ProxyError::Credentials),
            ("http://u:%ff@h:1", ProxyError::Credentials),
            ("http://", ProxyError::Host),
            ("http://u:p@", ProxyError::Host),
            ("http://h?x", ProxyError::Host),
            ("http://h:", ProxyError::Port),
            ("http://h:0", ProxyError::Port),
            ("http://h:99999", ProxyError::Port),
            ("http://h:1/path", ProxyError::Path),
        ] {
            assert_eq!(ProxyUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn neither_errors_nor_debug_show_the_password() {
        let good = "https://varnish:sEcReTsEcReT@proxy.example:3128/";
        for at in 0..good.len() {
            for wrong in ["", " ", "@", ":", "/", "?", "#", "\n", "ö"] {
                let text = [&good[..at], wrong, &good[at + 1..]].concat();
                let shown = match ProxySource::new(&text) {
                    Ok(source) => format!("{source:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                let shown = shown.to_lowercase();
                assert!(!shown.contains("tsec") && !shown.contains("crets"), "{text}: {shown}");
            }
        }
    }

    #[test]
    fn the_environment_is_asked_for_the_scheme_of_the_server() {
        let of = |variables: &[(&str, &str)], https: bool| {
            let get =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            from_environment(get, https, "sentry.example", 9000).map(|found| found.map(|url| format!("{url:?}")))
        };
        let shown = |text: &str| Ok(Some(format!("ProxyUrl({text})")));
        let both = [("HTTP_PROXY", "http://plain:1"), ("HTTPS_PROXY", "http://u:p@tls:2")];
        assert_eq!(of(&[], true), Ok(None));
        assert_eq!(of(&both, false), shown("plain:1"));
        assert_eq!(of(&both, true), shown("tls:2"));
        assert_eq!(of(&both[..1], true), Ok(None));
        assert_eq!(of(&[("https_proxy", "lower:1"), both[1]], true), shown("lower:1"));
        assert_eq!(of(&[("https_proxy", " "), both[1]], true), shown("tls:2"));
        assert_eq!(of(&[both[1], ("NO_PROXY", "localhost, .example")], true), Ok(None));
        assert_eq!(of(&[both[1], ("NO_PROXY", "sentry")], true), shown("tls:2"));
        assert_eq!(of(&[both[1], ("no_proxy", "sentry.example:443, sentry.example:9000")], true), Ok(None));
        assert_eq!(of(&[both[1], ("NO_PROXY", "sentry.example:443")], true), shown("tls:2"));
        let error = of(&[("HTTPS_PROXY", "socks5://u:p@h")], true).unwrap_err();
        assert!(error.starts_with("HTTPS_PROXY: proxy does not start with "), "{error}");
    }
}
