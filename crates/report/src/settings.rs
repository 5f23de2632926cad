// SPDX-License-Identifier: BSD-2-Clause
//! The settings of a client, checked. Clients with equal settings are one client, whichever VCL asks.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::dsn::Dsn;
use crate::identity::Identity;
use crate::lifecycle::Lifecycle;
use crate::privacy::Privacy;
use crate::sample::SampleRate;
use crate::task_log::LogForm;
use crate::way::Way;

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
    /// One from outside the VCL (the environment) that is none, and why: a no-op, said and counted.
    Unusable(String),
}

/// What may be written in VCL, in VCL's types: durations in seconds, sizes in bytes.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The client's name in VCL; `default` for the one of `sentry.init()`.
    pub name: String,
    pub dsn: DsnSource,
    pub identity: Identity,
    /// Events of one key per `window`; 0 throttles nothing.
    pub throttle: i64,
    pub window: f64,
    /// Events per second of all keys together; 0 sets no bound.
    pub max_rate: i64,
    /// The share of events that is kept, by chance.
    pub sample_rate: f64,
    /// Whether the client's address may be sent. Kept here for the glue: it decides what is written.
    pub send_default_pii: bool,
    pub privacy: Privacy,
    /// How much of a request's body is sent. Kept here for the glue: it reads the body.
    pub max_request_body: i64,
    pub queue: i64,
    pub queue_bytes: i64,
    /// Requests at a time, at most.
    pub connections: i64,
    /// The longest pause between two requests to a server that has slowed down.
    pub max_interval: f64,
    /// For the look-up of the name, and again for connection and TLS.
    pub connect_timeout: f64,
    /// For a whole request.
    pub timeout: f64,
    pub shutdown_timeout: f64,
    pub way: Way,
    /// The folder for events that the server did not take; `None` keeps them in memory.
    pub spool: Option<PathBuf>,
    pub spool_bytes: i64,
    pub spool_age: f64,
    /// A dry run: events go to the log, and nothing is sent.
    pub debug: bool,
    /// Where copies for Spotlight go, as [`crate::spotlight::url`] has checked it.
    pub spotlight: Option<String>,
    /// What events carry of their task's log. Kept here for the glue: it decides what is copied.
    pub vsl: LogForm,
    pub lifecycle: Lifecycle,
    /// The folder for the child's marker.
    pub state_dir: Option<PathBuf>,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments {
            name: "default".to_owned(),
            dsn: DsnSource::None,
            identity: Identity::default(),
            throttle: 10,
            window: 60.0,
            max_rate: 20,
            sample_rate: 1.0,
            send_default_pii: false,
            privacy: Privacy::default(),
            max_request_body: 0,
            queue: 1000,
            queue_bytes: 16 * 1024 * 1024,
            connections: 2,
            max_interval: 1.0,
            connect_timeout: 2.0,
            timeout: 10.0,
            shutdown_timeout: 2.0,
            way: Way::default(),
            spool: None,
            spool_bytes: 64 * 1024 * 1024,
            spool_age: 7.0 * 86_400.0,
            debug: false,
            spotlight: None,
            vsl: LogForm::default(),
            lifecycle: Lifecycle::default(),
            state_dir: None,
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    pub name: String,
    pub dsn: DsnSource,
    pub identity: Identity,
    pub throttle: u32,
    pub window: Duration,
    pub max_rate: u32,
    pub sample_rate: SampleRate,
    pub send_default_pii: bool,
    pub privacy: Privacy,
    pub max_request_body: usize,
    pub queue: usize,
    pub queue_bytes: usize,
    pub connections: usize,
    pub max_interval: Duration,
    pub connect_timeout: Duration,
    pub timeout: Duration,
    pub shutdown_timeout: Duration,
    pub way: Way,
    pub spool: Option<PathBuf>,
    pub spool_bytes: u64,
    pub spool_age: Duration,
    pub debug: bool,
    pub spotlight: Option<String>,
    pub vsl: LogForm,
    pub lifecycle: Lifecycle,
    pub state_dir: Option<PathBuf>,
}

/// An argument outside its range. Reads well after `sentry.client(): `.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfRange {
    argument: &'static str,
    low: Quantity,
    high: Quantity,
    got: Quantity,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    Number(i64),
    Share(f64),
    Seconds(f64),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Number(number) => write!(f, "{number}"),
            Quantity::Share(share) => write!(f, "{share}"),
            Quantity::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be between {} and {}, got {}", self.argument, self.low, self.high, self.got)
    }
}

impl std::error::Error for OutOfRange {}

/// A file or folder that is not named by an absolute path: varnishd's child has no folder of its own to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativePath {
    argument: &'static str,
    got: String,
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be an absolute path, got {:?}", self.argument, self.got)
    }
}

impl std::error::Error for RelativePath {}

/// The file or folder that `text` names; an empty one names none.
pub fn path(argument: &'static str, text: &str) -> Result<Option<PathBuf>, RelativePath> {
    match text {
        "" => Ok(None),
        _ if text.starts_with('/') => Ok(Some(PathBuf::from(text))),
        _ => Err(RelativePath { argument, got: text.to_owned() }),
    }
}

/// A token bucket holds as many events as this, or one second of `max_rate` if that is more.
const BURST: u32 = 100;

impl Settings {
    /// Checks the ranges.
    pub fn new(arguments: Arguments) -> Result<Settings, OutOfRange> {
        let Arguments { name, identity, send_default_pii, debug, .. } = arguments;
        // A dry run leaves alone what it would use to send: it must not empty the spool into the log.
        let (dsn, spool) = if debug { (DsnSource::None, None) } else { (arguments.dsn, arguments.spool) };
        Ok(Settings {
            name,
            dsn,
            identity,
            throttle: number("throttle", arguments.throttle, 0..=1_000_000)?,
            window: seconds("window", arguments.window, 1.0..=86_400.0)?,
            max_rate: number("max_rate", arguments.max_rate, 0..=1_000_000)?,
            sample_rate: SampleRate::new(real("sample_rate", arguments.sample_rate, 0.0..=1.0, Quantity::Share)?),
            send_default_pii,
            privacy: arguments.privacy,
            // Sentry keeps no more.
            max_request_body: number("max_request_body", arguments.max_request_body, 0..=8192)?,
            queue: number("queue", arguments.queue, 1..=65_536)?,
            queue_bytes: number("queue_bytes", arguments.queue_bytes, 65_536..=1_073_741_824)?,
            connections: number("connections", arguments.connections, 1..=16)?,
            max_interval: seconds("max_interval", arguments.max_interval, 0.0..=60.0)?,
            connect_timeout: seconds("connect_timeout", arguments.connect_timeout, 0.01..=60.0)?,
            timeout: seconds("timeout", arguments.timeout, 0.01..=300.0)?,
            shutdown_timeout: seconds("shutdown_timeout", arguments.shutdown_timeout, 0.0..=60.0)?,
            way: arguments.way,
            spool,
            spool_bytes: number("spool_bytes", arguments.spool_bytes, 1_048_576..=17_179_869_184)?,
            // Sentry takes no event older than 30 days.
            spool_age: seconds("spool_age", arguments.spool_age, 60.0..=29.0 * 86_400.0)?,
            debug,
            spotlight: arguments.spotlight,
            vsl: arguments.vsl,
            lifecycle: arguments.lifecycle,
            state_dir: arguments.state_dir,
        })
    }

    /// Whether events lead somewhere although there is no DSN.
    pub fn works_without_dsn(&self) -> bool {
        (self.debug || self.spotlight.is_some()) && self.dsn == DsnSource::None
    }

    /// How many events may be sent at once after a quiet time.
    pub fn burst(&self) -> u32 {
        self.max_rate.max(BURST)
    }
}

/// The ranges fit every type they are asked for; if one did not, its highest value would be refused.
pub(crate) fn number<T: TryFrom<i64>>(
    argument: &'static str,
    got: i64,
    range: RangeInclusive<i64>,
) -> Result<T, OutOfRange> {
    let (low, high) = (Quantity::Number(*range.start()), Quantity::Number(*range.end()));
    let refused = OutOfRange { argument, low, high, got: Quantity::Number(got) };
    if !range.contains(&got) {
        return Err(refused);
    }
    T::try_from(got).map_err(|_| refused)
}

pub(crate) fn seconds(argument: &'static str, got: f64, range: RangeInclusive<f64>) -> Result<Duration, OutOfRange> {
    // No range goes beyond what a duration holds.
    real(argument, got, range, Quantity::Seconds).map(Duration::from_secs_f64)
}

fn real(
    argument: &'static str,
    got: f64,
    range: RangeInclusive<f64>,
    unit: fn(f64) -> Quantity,
) -> Result<f64, OutOfRange> {
    if range.contains(&got) {
        return Ok(got);
    }
    Err(OutOfRange { argument, low: unit(*range.start()), high: unit(*range.end()), got: unit(got) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_those_of_the_manual() {
        let settings = Settings::new(Arguments::default()).unwrap();
        assert_eq!((settings.name.as_str(), settings.dsn), ("default", DsnSource::None));
        assert_eq!((settings.throttle, settings.window), (10, Duration::from_secs(60)));
        assert_eq!((settings.queue, settings.queue_bytes), (1000, 16 << 20));
        let timeouts = [settings.connect_timeout, settings.timeout, settings.shutdown_timeout];
        assert_eq!(timeouts, [2, 10, 2].map(Duration::from_secs));
    }

    #[test]
    fn a_burst_is_never_below_a_second_of_the_rate() {
        for (max_rate, burst) in [(0, 100), (20, 100), (100, 100), (5000, 5000)] {
            let settings = Settings::new(Arguments { max_rate, ..Arguments::default() }).unwrap();
            assert_eq!(settings.burst(), burst);
        }
    }

    #[test]
    fn an_argument_out_of_range_is_named_with_range_and_value() {
        type Change = fn(&mut Arguments);
        let of = |change: Change| {
            let mut arguments = Arguments::default();
            change(&mut arguments);
            Settings::new(arguments).map(|_| ()).map_err(|error| error.to_string())
        };
        let table: &[(Change, &str)] = &[
            (|a| a.queue = 0, "queue must be between 1 and 65536, got 0"),
            (|a| a.queue = 65_537, "queue must be between 1 and 65536, got 65537"),
            (|a| a.queue_bytes = 1, "queue_bytes must be between 65536 and 1073741824, got 1"),
            (|a| a.throttle = -1, "throttle must be between 0 and 1000000, got -1"),
            (|a| a.max_rate = i64::MAX, "max_rate must be between 0 and 1000000, got 9223372036854775807"),
            (|a| a.sample_rate = -0.1, "sample_rate must be between 0 and 1, got -0.1"),
            (|a| a.sample_rate = 1.5, "sample_rate must be between 0 and 1, got 1.5"),
            (|a| a.sample_rate = f64::NAN, "sample_rate must be between 0 and 1, got NaN"),
            (|a| a.max_request_body = 8193, "max_request_body must be between 0 and 8192, got 8193"),
            (|a| a.window = 0.0, "window must be between 1s and 86400s, got 0s"),
            (|a| a.connect_timeout = 0.0, "connect_timeout must be between 0.01s and 60s, got 0s"),
            (|a| a.timeout = f64::NAN, "timeout must be between 0.01s and 300s, got NaNs"),
            (|a| a.timeout = f64::INFINITY, "timeout must be between 0.01s and 300s, got infs"),
            (|a| a.spool_bytes = 1, "spool_bytes must be between 1048576 and 17179869184, got 1"),
            (|a| a.spool_age = 30.0 * 86_400.0, "spool_age must be between 60s and 2505600s, got 2592000s"),
            (|a| a.shutdown_timeout = -0.5, "shutdown_timeout must be between 0s and 60s, got -0.5s"),
        ];
        for (change, text) in table {
            assert_eq!(of(*change), Err((*text).to_owned()));
        }
        assert_eq!(of(|a| a.shutdown_timeout = 0.0), Ok(()), "zero: what is left is dropped at once");
    }

    #[test]
    fn a_path_is_absolute_or_none() {
        assert_eq!(path("spool", ""), Ok(None));
        assert_eq!(path("spool", "/var/spool/x"), Ok(Some(PathBuf::from("/var/spool/x"))));
        let refused = path("spool", "spool/x").map_err(|error| error.to_string());
        assert_eq!(refused, Err("spool must be an absolute path, got \"spool/x\"".to_owned()));
    }

    #[test]
    fn a_dry_run_uses_neither_dsn_nor_spool() {
        let dsn = DsnSource::File(PathBuf::from("/etc/varnish/sentry.dsn"));
        let arguments = Arguments { dsn, spool: Some(PathBuf::from("/var/spool/x")), ..Arguments::default() };
        let wet = Settings::new(arguments.clone()).unwrap();
        assert!(wet.spool.is_some() && wet.dsn != DsnSource::None && !wet.works_without_dsn());
        let dry = Settings::new(Arguments { debug: true, ..arguments }).unwrap();
        assert!(dry.spool.is_none() && dry.dsn == DsnSource::None && dry.works_without_dsn());
    }

    #[test]
    fn copies_make_up_for_no_dsn_but_not_for_one_that_is_awaited() {
        let spotlight = Some("http://localhost:8969/stream".to_owned());
        let of = |dsn| Settings::new(Arguments { dsn, spotlight: spotlight.clone(), ..Arguments::default() }).unwrap();
        assert!(of(DsnSource::None).works_without_dsn());
        assert!(!of(DsnSource::File(PathBuf::from("/etc/varnish/sentry.dsn"))).works_without_dsn());
        assert!(!Settings::new(Arguments::default()).unwrap().works_without_dsn());
    }

    #[test]
    fn settings_that_differ_in_anything_are_different_clients() {
        let base = Settings::new(Arguments::default()).unwrap();
        assert_eq!(base, Settings::new(Arguments::default()).unwrap());
        let other = Settings::new(Arguments { timeout: 5.0, ..Arguments::default() }).unwrap();
        assert_ne!(base, other);
    }
}
