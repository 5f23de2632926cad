// SPDX-License-Identifier: BSD-2-Clause
//! The arguments of `tunnel()`, and the settings that they make.

use std::fmt;
use std::time::Duration;

use delivery::range::{OutOfRange, number, seconds};

use super::drop_items::{DropItems, NoType};
use super::share::{ShareError, Shares};
use crate::destinations::{BadDsn, Source, Upstream, UpstreamError, read_argument};

/// The arguments of `tunnel()` as VCL has them; an empty text was not given. Its `dsn_file` is the glue's.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// Between commas and white space.
    pub dsns: &'a str,
    /// Whether there is a `dsn_file`: a tunnel needs one of both.
    pub has_file: bool,
    pub upstream: &'a str,
    pub throttle: i64,
    /// In seconds.
    pub window: f64,
    pub by: By,
    pub max_rate: i64,
    pub per_client: i64,
    /// In seconds.
    pub per_client_window: f64,
    pub share: &'a str,
    /// In bytes.
    pub max_body: i64,
    /// In seconds.
    pub body_timeout: f64,
    pub max_readers: i64,
    pub drop_items: &'a str,
    pub client_ip: ClientIp,
}

impl Default for Arguments<'_> {
    fn default() -> Self {
        Arguments {
            dsns: "",
            has_file: false,
            upstream: "",
            throttle: 10,
            window: 1.0,
            by: By::Fingerprint,
            max_rate: 200,
            per_client: 60,
            per_client_window: 60.0,
            share: "",
            max_body: 1 << 20,
            body_timeout: 10.0,
            max_readers: 100,
            drop_items: "",
            client_ip: ClientIp::Send,
        }
    }
}

/// What an event is throttled by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum By {
    #[default]
    Fingerprint,
    Url,
    None,
}

/// How much of the client's address Sentry is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientIp {
    #[default]
    Send,
    /// IPv4 without its last octet, IPv6 cut to its /48.
    Short,
    None,
}

/// All of them. Equal ones make equal tunnels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Those that the VCL names; a file may name further ones.
    pub sources: Vec<Source>,
    /// In place of the DSNs' own servers.
    pub upstream: Option<Upstream>,
    /// Events of one key per `window`; 0 throttles nothing.
    pub throttle: u32,
    pub window: Duration,
    pub by: By,
    /// Requests per second of all clients together; 0 sets no bound.
    pub max_rate: u32,
    /// Requests of one client per `per_client_window`; 0 sets no bound.
    pub per_client: u32,
    pub per_client_window: Duration,
    pub shares: Shares,
    /// Bytes of a body, as it comes and unpacked.
    pub max_body: usize,
    pub body_timeout: Duration,
    pub max_readers: usize,
    pub drop_items: DropItems,
    pub client_ip: ClientIp,
}

/// Why the arguments are none. Reads well after `sentry.tunnel(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingsError {
    NoDsn,
    Dsns(BadDsn),
    Upstream(UpstreamError),
    Range(OutOfRange),
    Share(ShareError),
    DropItems(NoType),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::NoDsn => f.write_str("dsns and dsn_file are both empty, expected one of them"),
            SettingsError::Dsns(error) => error.fmt(f),
            SettingsError::Upstream(error) => error.fmt(f),
            SettingsError::Range(error) => error.fmt(f),
            SettingsError::Share(error) => error.fmt(f),
            SettingsError::DropItems(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SettingsError {}

impl From<OutOfRange> for SettingsError {
    fn from(error: OutOfRange) -> SettingsError {
        SettingsError::Range(error)
    }
}

impl Settings {
    /// Checks the arguments.
    pub fn new(arguments: &Arguments<'_>) -> Result<Settings, SettingsError> {
        let sources = read_argument(arguments.dsns).map_err(SettingsError::Dsns)?;
        if sources.is_empty() && !arguments.has_file {
            return Err(SettingsError::NoDsn);
        }
        let upstream = Some(arguments.upstream).filter(|text| !text.is_empty()).map(Upstream::parse).transpose();
        Ok(Settings {
            sources,
            upstream: upstream.map_err(SettingsError::Upstream)?,
            throttle: number("throttle", arguments.throttle, 0..=1_000_000)?,
            window: seconds("window", arguments.window, 0.1..=86_400.0)?,
            by: arguments.by,
            max_rate: number("max_rate", arguments.max_rate, 0..=1_000_000)?,
            per_client: number("per_client", arguments.per_client, 0..=1_000_000)?,
            per_client_window: seconds("per_client_window", arguments.per_client_window, 1.0..=86_400.0)?,
            shares: Shares::parse(arguments.share).map_err(SettingsError::Share)?,
            max_body: number("max_body", arguments.max_body, 1024..=(200 << 20))?,
            body_timeout: seconds("body_timeout", arguments.body_timeout, 0.1..=600.0)?,
            max_readers: number("max_readers", arguments.max_readers, 1..=10_000)?,
            drop_items: DropItems::parse(arguments.drop_items).map_err(SettingsError::DropItems)?,
            client_ip: arguments.client_ip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_sentence() {
        type Change = fn(&mut Arguments<'_>);
        let table: &[(Change, &str)] = &[
            (|a| a.dsns = " ", "dsns and dsn_file are both empty, expected one of them"),
            (
                |a| a.dsns = "https://hunter2@h",
                "number 1 of dsns: dsn has no project id, expected https://<key>@<host>/<id>",
            ),
            (|a| a.upstream = "sentry", "upstream is no base URL, expected http://<host>[:<port>][/<path>]"),
            (|a| a.throttle = -1, "throttle must be between 0 and 1000000, got -1"),
            (|a| a.window = 0.0, "window must be between 0.1s and 86400s, got 0s"),
            (|a| a.max_rate = 1_000_001, "max_rate must be between 0 and 1000000, got 1000001"),
            (|a| a.per_client = -1, "per_client must be between 0 and 1000000, got -1"),
            (|a| a.per_client_window = 0.5, "per_client_window must be between 1s and 86400s, got 0.5s"),
            (|a| a.share = "42=2", "share must be between 0 and 1, got 2"),
            (|a| a.max_body = 1023, "max_body must be between 1024 and 209715200, got 1023"),
            (|a| a.body_timeout = f64::NAN, "body_timeout must be between 0.1s and 600s, got NaNs"),
            (|a| a.max_readers = 0, "max_readers must be between 1 and 10000, got 0"),
            (|a| a.drop_items = "A", "drop_items must be types of items like \"replay_event, profile\", got \"A\""),
        ];
        for (change, text) in table {
            let mut arguments = Arguments { dsns: "https://k@h/1", ..Arguments::default() };
            change(&mut arguments);
            let refused = Settings::new(&arguments).map_err(|error| error.to_string());
            assert_eq!(refused, Err((*text).to_owned()));
        }
    }

    #[test]
    fn a_file_is_enough_and_equal_arguments_make_equal_settings() {
        let arguments = Arguments { has_file: true, ..Arguments::default() };
        assert_eq!(Settings::new(&arguments).map(|settings| settings.sources.len()), Ok(0));
        let arguments =
            Arguments { dsns: "https://k@h/1", upstream: "http://sentry:9000", share: "1=0.5", ..arguments };
        let settings = Settings::new(&arguments).unwrap();
        assert_eq!(Settings::new(&arguments), Ok(settings.clone()));
        assert_ne!(Settings::new(&Arguments { share: "1=0.4", ..arguments }), Ok(settings));
    }
}
