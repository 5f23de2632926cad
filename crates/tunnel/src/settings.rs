// SPDX-License-Identifier: BSD-2-Clause
//! The settings of a tunnel, checked.

use std::fmt;
use std::time::Duration;

use delivery::range::{OutOfRange, number, seconds};

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
    /// Events of one key per `window`; 0 throttles nothing.
    pub throttle: u32,
    pub window: Duration,
    pub by: By,
    /// Requests per second of all clients together; 0 sets no bound.
    pub max_rate: u32,
    /// Requests of one client per `per_client_window`; 0 sets no bound.
    pub per_client: u32,
    pub per_client_window: Duration,
    /// Bytes of a body, as it comes and unpacked.
    pub max_body: usize,
    pub body_timeout: Duration,
    pub max_readers: usize,
    pub client_ip: ClientIp,
}

/// Why the arguments are none. Reads well after `sentry.tunnel(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingsError {
    Range(OutOfRange),
    NoDsn,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::Range(error) => error.fmt(f),
            SettingsError::NoDsn => f.write_str("dsns and dsn_file are both empty, expected one of them"),
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
        Ok(Settings {
            throttle: number("throttle", arguments.throttle, 0..=1_000_000)?,
            window: seconds("window", arguments.window, 0.1..=86_400.0)?,
            by: arguments.by,
            max_rate: number("max_rate", arguments.max_rate, 0..=1_000_000)?,
            per_client: number("per_client", arguments.per_client, 0..=1_000_000)?,
            per_client_window: seconds("per_client_window", arguments.per_client_window, 1.0..=86_400.0)?,
            max_body: number("max_body", arguments.max_body, 1024..=(200 << 20))?,
            body_timeout: seconds("body_timeout", arguments.body_timeout, 0.1..=600.0)?,
            max_readers: number("max_readers", arguments.max_readers, 1..=10_000)?,
            client_ip: arguments.client_ip,
        })
    }
}
