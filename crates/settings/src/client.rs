// SPDX-License-Identifier: BSD-2-Clause
//! The section of `init()` and `client()`: who sends, where to, how much.

use std::fmt;
use std::time::Duration;

use delivery::admission::sample::SampleRate;
use delivery::range::{OutOfRange, number, seconds, share};
use delivery::settings::DsnSource;
use event::identity::{Identity, IdentityError};
use protocol::dsn::{Dsn, DsnError};

use crate::path::{RelativePath, path};

/// Characters of a client's name: it is in counters, in the log, and in file names of operators.
const MAX_NAME: usize = 64;

/// What a client is, all of it known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    pub dsn: DsnSource,
    pub identity: Identity,
    /// Events of one key per `window`; 0 throttles nothing.
    pub throttle: u32,
    pub window: Duration,
    /// Events per second of all keys together; 0 sets no bound.
    pub max_rate: u32,
    /// The share of events that is kept, by chance.
    pub sample_rate: SampleRate,
    /// Whether Sentry is told of what was dropped.
    pub send_client_reports: bool,
    /// A dry run: events go to the log, and nothing is sent.
    pub debug: bool,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            dsn: DsnSource::None,
            identity: Identity::default(),
            throttle: 10,
            window: Duration::from_secs(60),
            max_rate: 20,
            sample_rate: SampleRate::new(1.0),
            send_client_reports: true,
            debug: false,
        }
    }
}

/// The arguments as VCL has them; an empty text was not given.
#[derive(Clone, Copy, Debug)]
pub struct ClientArguments<'a> {
    pub dsn: &'a str,
    pub dsn_file: &'a str,
    pub environment: &'a str,
    pub release: &'a str,
    pub server_name: &'a str,
    pub throttle: i64,
    /// In seconds.
    pub window: f64,
    pub max_rate: i64,
    /// `None` if it was not given.
    pub sample_rate: Option<f64>,
    pub send_client_reports: bool,
    pub debug: bool,
}

impl Default for ClientArguments<'_> {
    fn default() -> Self {
        ClientArguments {
            dsn: "",
            dsn_file: "",
            environment: "",
            release: "",
            server_name: "",
            throttle: 10,
            window: 60.0,
            max_rate: 20,
            sample_rate: None,
            send_client_reports: true,
            debug: false,
        }
    }
}

/// What one call has said, checked. What it left open is decided when the client is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientSection {
    /// What is set, over the defaults.
    pub(super) set: ClientSettings,
    pub(super) has_environment: bool,
    pub(super) has_release: bool,
    pub(super) has_server_name: bool,
    pub(super) has_sample_rate: bool,
}

/// Why the arguments are none. Reads well after `sentry.init(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientError {
    Dsn(DsnError),
    Both,
    Relative(RelativePath),
    Identity(IdentityError),
    Range(OutOfRange),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Dsn(error) => error.fmt(f),
            ClientError::Both => f.write_str("dsn and dsn_file are both given, expected one of them"),
            ClientError::Relative(error) => error.fmt(f),
            ClientError::Identity(error) => error.fmt(f),
            ClientError::Range(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<OutOfRange> for ClientError {
    fn from(error: OutOfRange) -> ClientError {
        ClientError::Range(error)
    }
}

impl From<IdentityError> for ClientError {
    fn from(error: IdentityError) -> ClientError {
        ClientError::Identity(error)
    }
}

impl ClientSection {
    /// Checks the arguments.
    pub fn new(arguments: &ClientArguments<'_>) -> Result<ClientSection, ClientError> {
        let file = path("dsn_file", arguments.dsn_file).map_err(ClientError::Relative)?;
        let dsn = match (arguments.dsn, file) {
            ("", None) => DsnSource::None,
            ("", Some(file)) => DsnSource::File(file),
            (dsn, None) => DsnSource::Text(Dsn::parse(dsn).map_err(ClientError::Dsn)?),
            _ => return Err(ClientError::Both),
        };
        let identity = Identity::default().with_environment(arguments.environment)?.with_release(arguments.release)?;
        Ok(ClientSection {
            set: ClientSettings {
                dsn,
                identity: identity.with_server_name(arguments.server_name.as_bytes()),
                throttle: number("throttle", arguments.throttle, 0..=1_000_000)?,
                window: seconds("window", arguments.window, 1.0..=86_400.0)?,
                max_rate: number("max_rate", arguments.max_rate, 0..=1_000_000)?,
                sample_rate: SampleRate::new(share("sample_rate", arguments.sample_rate.unwrap_or(1.0))?),
                send_client_reports: arguments.send_client_reports,
                debug: arguments.debug,
            },
            has_environment: !arguments.environment.is_empty(),
            has_release: !arguments.release.is_empty(),
            has_server_name: !arguments.server_name.is_empty(),
            has_sample_rate: arguments.sample_rate.is_some(),
        })
    }
}

/// A name that a client cannot have. Reads well after `sentry.init(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoName(String);

impl fmt::Display for NoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name must be 1 to {MAX_NAME} letters, digits, '_' and '-', got {:?}", self.0)
    }
}

impl std::error::Error for NoName {}

/// The name of a client, as VCL may give it: of what names of VCL are made of.
pub fn name(text: &str) -> Result<String, NoName> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let is_name = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_part);
    if is_name { Ok(text.to_owned()) } else { Err(NoName(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_call_are_those_of_the_settings() {
        assert_eq!(ClientSection::new(&ClientArguments::default()), Ok(ClientSection::default()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_sentence() {
        type Change = fn(&mut ClientArguments<'_>);
        let table: &[(Change, &str)] = &[
            (|a| a.throttle = -1, "throttle must be between 0 and 1000000, got -1"),
            (|a| a.max_rate = i64::MAX, "max_rate must be between 0 and 1000000, got 9223372036854775807"),
            (|a| a.window = 0.0, "window must be between 1s and 86400s, got 0s"),
            (|a| a.sample_rate = Some(-0.1), "sample_rate must be between 0 and 1, got -0.1"),
            (|a| a.sample_rate = Some(1.5), "sample_rate must be between 0 and 1, got 1.5"),
            (|a| a.sample_rate = Some(f64::NAN), "sample_rate must be between 0 and 1, got NaN"),
            (|a| a.dsn_file = "sentry.dsn", "dsn_file must be an absolute path, got \"sentry.dsn\""),
            (
                |a| (a.dsn, a.dsn_file) = ("https://k@h/1", "/f"),
                "dsn and dsn_file are both given, expected one of them",
            ),
            (|a| a.environment = "a/b", "environment must not contain '/', got \"a/b\""),
            (|a| a.release = "latest", "release must not be \"latest\", Sentry drops it"),
        ];
        for (change, text) in table {
            let mut arguments = ClientArguments::default();
            change(&mut arguments);
            let refused = ClientSection::new(&arguments).map_err(|error| error.to_string());
            assert_eq!(refused, Err((*text).to_owned()));
        }
    }

    #[test]
    fn a_name_is_one_that_vcl_could_have() {
        for good in ["default", "shop-2", "a_b", &"x".repeat(64)] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a.b", "é", "a\n", &"x".repeat(65)] {
            let refused = name(bad).map_err(|error| error.to_string());
            let text = format!("name must be 1 to 64 letters, digits, '_' and '-', got {bad:?}");
            assert_eq!(refused, Err(text));
        }
    }
}
