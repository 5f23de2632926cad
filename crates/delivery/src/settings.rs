// SPDX-License-Identifier: BSD-2-Clause
//! The settings of a client that are about delivery, by section and checked. What is said in an event is none of them.

use std::path::PathBuf;
use std::time::Duration;

use privacy::settings::Privacy;
use protocol::dsn::Dsn;

use crate::admission::sample::SampleRate;
use crate::connection::way::Way;

/// Where the DSN comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum DsnSource {
    /// There is none: the client is a no-op, which is a valid configuration.
    #[default]
    None,
    Text(Dsn),
    /// A file with the DSN in it, white space around it ignored. While it cannot be read, or holds no DSN,
    /// the client is a no-op that looks again every ten seconds.
    File(PathBuf),
    /// Each entry names the one it goes to: there is no other.
    Entries,
    /// One from outside the VCL (the environment) that is none, and why: a no-op, said and counted.
    Unusable(String),
}

/// All of them; those of `init()` and `client()` stand here, each other section in a struct of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The client's name in VCL.
    pub name: String,
    pub dsn: DsnSource,
    /// Captures of one key per `window`; 0 throttles nothing.
    pub throttle: u32,
    pub window: Duration,
    /// Captures per second of all keys together; 0 sets no bound.
    pub max_rate: u32,
    /// The share of captures that is kept, by chance.
    pub sample_rate: SampleRate,
    /// Whether Sentry is told what did not reach it.
    pub send_client_reports: bool,
    /// A dry run: entries go to the log, and nothing is sent.
    pub debug: bool,
    pub server: Server,
    pub queue: QueueBounds,
    pub spool: Option<SpoolSettings>,
    /// Where copies for Spotlight go.
    pub spotlight: Option<String>,
    /// What is kept out of log and status of what a server says.
    pub privacy: Privacy,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Requests at a time, at most.
    pub connections: usize,
    /// For the look-up of the name, and again for connection and TLS.
    pub connect_timeout: Duration,
    /// For a whole request.
    pub timeout: Duration,
    /// The longest pause between two requests to a server that has slowed down.
    pub max_interval: Duration,
    /// What a client that is closed gets to send what waits.
    pub shutdown_timeout: Duration,
    pub way: Way,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            connections: 2,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            max_interval: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(2),
            way: Way::default(),
        }
    }
}

/// How much may wait in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueBounds {
    pub entries: usize,
    pub bytes: usize,
}

impl Default for QueueBounds {
    fn default() -> QueueBounds {
        QueueBounds { entries: 1000, bytes: 16 << 20 }
    }
}

/// Where entries wait that the server did not take.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpoolSettings {
    pub folder: PathBuf,
    pub bytes: u64,
    pub age: Duration,
}

/// A token bucket holds as many captures as this, or one second of `max_rate` if that is more.
const BURST: u32 = 100;

impl Settings {
    /// Whether entries lead somewhere although there is no DSN.
    pub fn works_without_dsn(&self) -> bool {
        (self.debug || self.spotlight.is_some()) && self.dsn == DsnSource::None
    }

    /// How many captures may pass at once after a quiet time.
    pub fn burst(&self) -> u32 {
        self.max_rate.max(BURST)
    }
}
