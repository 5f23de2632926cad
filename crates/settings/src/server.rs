// SPDX-License-Identifier: BSD-2-Clause
//! The section of `server()`: how the server is reached.

use std::fmt;

use delivery::connection::way::{Way, WayArguments, WayError};
use delivery::range::{OutOfRange, number, seconds};
use delivery::settings::Server;

/// The arguments as VCL has them, times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct ServerArguments<'a> {
    pub connections: i64,
    pub connect_timeout: f64,
    pub timeout: f64,
    pub max_interval: f64,
    pub shutdown_timeout: f64,
    pub way: WayArguments<'a>,
}

impl Default for ServerArguments<'_> {
    fn default() -> Self {
        ServerArguments {
            connections: 2,
            connect_timeout: 2.0,
            timeout: 10.0,
            max_interval: 1.0,
            shutdown_timeout: 2.0,
            way: WayArguments::default(),
        }
    }
}

/// Why they are none. Reads well after `sentry.server(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerError {
    Range(OutOfRange),
    Way(WayError),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Range(error) => error.fmt(f),
            ServerError::Way(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServerError {}

impl From<OutOfRange> for ServerError {
    fn from(error: OutOfRange) -> ServerError {
        ServerError::Range(error)
    }
}

impl ServerArguments<'_> {
    /// Checks them.
    pub fn checked(&self) -> Result<Server, ServerError> {
        Ok(Server {
            connections: number("connections", self.connections, 1..=16)?,
            connect_timeout: seconds("connect_timeout", self.connect_timeout, 0.01..=60.0)?,
            timeout: seconds("timeout", self.timeout, 0.01..=300.0)?,
            max_interval: seconds("max_interval", self.max_interval, 0.0..=60.0)?,
            // Zero: what is left is dropped at once.
            shutdown_timeout: seconds("shutdown_timeout", self.shutdown_timeout, 0.0..=60.0)?,
            way: Way::new(&self.way).map_err(ServerError::Way)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_out_of_range_is_named_with_range_and_value() {
        type Change = fn(&mut ServerArguments<'_>);
        let of = |change: Change| {
            let mut arguments = ServerArguments::default();
            change(&mut arguments);
            arguments.checked().map(|_| ()).map_err(|error| error.to_string())
        };
        let table: &[(Change, &str)] = &[
            (|a| a.connections = 0, "connections must be between 1 and 16, got 0"),
            (|a| a.connect_timeout = 0.0, "connect_timeout must be between 0.01s and 60s, got 0s"),
            (|a| a.timeout = 301.0, "timeout must be between 0.01s and 300s, got 301s"),
            (|a| a.max_interval = 61.0, "max_interval must be between 0s and 60s, got 61s"),
            (|a| a.shutdown_timeout = -0.5, "shutdown_timeout must be between 0s and 60s, got -0.5s"),
            (|a| a.way.client_key = "/k", "client_key is given without client_cert"),
        ];
        for (change, text) in table {
            assert_eq!(of(*change), Err((*text).to_owned()));
        }
        assert_eq!(of(|a| a.shutdown_timeout = 0.0), Ok(()));
        assert_eq!(ServerArguments::default().checked(), Ok(Server::default()));
    }
}
