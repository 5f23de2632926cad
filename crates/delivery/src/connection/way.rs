// SPDX-License-Identifier: BSD-2-Clause
//! The way to the server, as VCL gives it. Files are named here and read by the transport, when it needs them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::proxy::{ProxyError, ProxySource};
use super::unix_socket;

/// How the server is reached, and known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Way {
    pub roots: Roots,
    pub proxy: ProxySource,
    pub client_cert: Option<ClientCert>,
    /// The socket that stands for the server's address.
    pub unix_socket: Option<PathBuf>,
}

/// The certificates a server's is verified against. There is no way to verify against none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Roots {
    /// The system's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    #[default]
    System,
    /// A file of PEM certificates.
    File(PathBuf),
}

/// What shows a server who we are: files of PEM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCert {
    /// The certificate, and those between it and an authority that the server knows.
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// The arguments in VCL; an empty one was not given.
#[derive(Clone, Copy, Debug, Default)]
pub struct WayArguments<'a> {
    pub ca_file: &'a str,
    pub proxy: &'a str,
    pub client_cert: &'a str,
    pub client_key: &'a str,
    pub unix_socket: &'a str,
}

/// Why they are none. Reads well after `sentry.server(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayError {
    Proxy(ProxyError),
    /// The argument's name, and what it was.
    Relative(&'static str, String),
    /// The first is given without the second.
    Alone(&'static str, &'static str),
    SocketPath(String),
    SocketAndProxy,
}

impl fmt::Display for WayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WayError::Proxy(error) => error.fmt(f),
            WayError::Relative(argument, got) => write!(f, "{argument} must be an absolute path, got {got:?}"),
            WayError::Alone(given, missing) => write!(f, "{given} is given without {missing}"),
            WayError::SocketPath(got) => {
                write!(f, "unix_socket must be an absolute path of at most 107 bytes, got {got:?}")
            }
            WayError::SocketAndProxy => f.write_str("unix_socket and proxy are both given, expected one of them"),
        }
    }
}

impl std::error::Error for WayError {}

impl Way {
    /// Checks what needs no file.
    pub fn new(arguments: &WayArguments<'_>) -> Result<Way, WayError> {
        let WayArguments { ca_file, proxy, client_cert, client_key, unix_socket } = *arguments;
        let roots = file("ca_file", ca_file)?.map_or(Roots::System, Roots::File);
        let client_cert = match (file("client_cert", client_cert)?, file("client_key", client_key)?) {
            (None, None) => None,
            (Some(_), None) => return Err(WayError::Alone("client_cert", "client_key")),
            (None, Some(_)) => return Err(WayError::Alone("client_key", "client_cert")),
            (Some(chain), Some(key)) => Some(ClientCert { chain, key }),
        };
        let proxy = ProxySource::new(proxy).map_err(WayError::Proxy)?;
        let unix_socket = socket_path(unix_socket)?;
        if unix_socket.is_some() && proxy != ProxySource::None {
            return Err(WayError::SocketAndProxy);
        }
        Ok(Way { roots, proxy, client_cert, unix_socket })
    }
}

/// The file that `text` names; an empty one names none.
fn file(argument: &'static str, text: &str) -> Result<Option<PathBuf>, WayError> {
    match text {
        "" => Ok(None),
        _ if text.starts_with('/') => Ok(Some(PathBuf::from(text))),
        _ => Err(WayError::Relative(argument, text.to_owned())),
    }
}

/// The socket that `text` names; an empty one names none.
fn socket_path(text: &str) -> Result<Option<PathBuf>, WayError> {
    match text {
        "" => Ok(None),
        _ if text.starts_with('/') && unix_socket::is_possible(Path::new(text)) => Ok(Some(PathBuf::from(text))),
        _ => Err(WayError::SocketPath(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key_and_the_other_way_round() {
        let of = |client_cert, client_key| {
            let way = Way::new(&WayArguments { client_cert, client_key, ..WayArguments::default() });
            way.map(|way| way.client_cert).map_err(|error| error.to_string())
        };
        assert_eq!(of("", ""), Ok(None));
        assert_eq!(of("/c", "/k"), Ok(Some(ClientCert { chain: "/c".into(), key: "/k".into() })));
        assert_eq!(of("/c", ""), Err("client_cert is given without client_key".to_owned()));
        assert_eq!(of("", "/k"), Err("client_key is given without client_cert".to_owned()));
        assert_eq!(of("c", "/k"), Err("client_cert must be an absolute path, got \"c\"".to_owned()));
    }

    #[test]
    fn a_unix_socket_is_an_absolute_path_that_the_system_can_have_and_goes_with_no_proxy() {
        let of = |unix_socket, proxy| {
            let way = Way::new(&WayArguments { unix_socket, proxy, ..WayArguments::default() });
            way.map(|way| way.unix_socket).map_err(|error| error.to_string())
        };
        let refused =
            |got: &str| Err(format!("unix_socket must be an absolute path of at most 107 bytes, got {got:?}"));
        assert_eq!(of("", ""), Ok(None));
        assert_eq!(of("/run/relay.sock", ""), Ok(Some(PathBuf::from("/run/relay.sock"))));
        assert_eq!(of("run/relay.sock", ""), refused("run/relay.sock"));
        assert_eq!(of("@relay", ""), refused("@relay"));
        // One line, whatever was written.
        assert!(of("run\n", "").is_err_and(|error| error.ends_with(r#"got "run\n""#)));
        let (fits, long) = (format!("/{}", "s".repeat(106)), format!("/{}", "s".repeat(107)));
        assert_eq!(of(&fits, ""), Ok(Some(PathBuf::from(&fits))));
        assert_eq!(of(&long, ""), refused(&long));
        let both = Err("unix_socket and proxy are both given, expected one of them".to_owned());
        assert_eq!(of("/run/relay.sock", "http://h:1"), both);
        assert_eq!(of("/run/relay.sock", "environment"), both);
    }
}
