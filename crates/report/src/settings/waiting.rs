// SPDX-License-Identifier: BSD-2-Clause
//! The sections of `queue()` and `spool()`: where events wait, in memory and on disk.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::range::{OutOfRange, RelativePath, number, path, seconds};

/// The bounds of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueSettings {
    pub events: usize,
    pub bytes: usize,
}

impl Default for QueueSettings {
    fn default() -> QueueSettings {
        QueueSettings { events: 1000, bytes: 16 << 20 }
    }
}

impl QueueSettings {
    /// Checks the arguments.
    pub fn new(events: i64, bytes: i64) -> Result<QueueSettings, OutOfRange> {
        Ok(QueueSettings {
            events: number("events", events, 1..=65_536)?,
            bytes: number("bytes", bytes, 65_536..=1_073_741_824)?,
        })
    }
}

/// The folder for events that the server did not take, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpoolSettings {
    /// `None` keeps events in memory.
    pub folder: Option<PathBuf>,
    pub bytes: u64,
    pub age: Duration,
}

impl Default for SpoolSettings {
    fn default() -> SpoolSettings {
        SpoolSettings { folder: None, bytes: 64 << 20, age: Duration::from_secs(7 * 86_400) }
    }
}

/// Why the arguments are none. Reads well after `sentry.spool(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum SpoolError {
    Relative(RelativePath),
    Range(OutOfRange),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpoolError::Relative(error) => error.fmt(f),
            SpoolError::Range(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SpoolError {}

impl From<OutOfRange> for SpoolError {
    fn from(error: OutOfRange) -> SpoolError {
        SpoolError::Range(error)
    }
}

impl SpoolSettings {
    /// Checks the arguments, `age` in seconds.
    pub fn new(folder: &str, bytes: i64, age: f64) -> Result<SpoolSettings, SpoolError> {
        Ok(SpoolSettings {
            folder: path("folder", folder).map_err(SpoolError::Relative)?,
            bytes: number("bytes", bytes, 1_048_576..=17_179_869_184)?,
            // Sentry takes no event older than 30 days.
            age: seconds("age", age, 60.0..=29.0 * 86_400.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_room_for_one_event_and_bounds_memory() {
        let of = |events, bytes| QueueSettings::new(events, bytes).map_err(|error| error.to_string());
        assert_eq!(of(1000, 16_777_216), Ok(QueueSettings::default()));
        assert_eq!(of(0, 65_536), Err("events must be between 1 and 65536, got 0".to_owned()));
        assert_eq!(of(65_537, 65_536), Err("events must be between 1 and 65536, got 65537".to_owned()));
        assert_eq!(of(1, 1), Err("bytes must be between 65536 and 1073741824, got 1".to_owned()));
    }

    #[test]
    fn a_spool_has_a_folder_of_its_own_and_bounds_the_disk() {
        let of = |folder, bytes, age| SpoolSettings::new(folder, bytes, age).map_err(|error| error.to_string());
        assert_eq!(of("", 67_108_864, 604_800.0), Ok(SpoolSettings::default()));
        assert_eq!(of("/s", 1 << 20, 60.0).map(|spool| spool.folder), Ok(Some(PathBuf::from("/s"))));
        assert_eq!(of("s", 1 << 20, 60.0), Err("folder must be an absolute path, got \"s\"".to_owned()));
        assert_eq!(of("/s", 1, 60.0), Err("bytes must be between 1048576 and 17179869184, got 1".to_owned()));
        let old = of("/s", 1 << 20, 30.0 * 86_400.0);
        assert_eq!(old, Err("age must be between 60s and 2505600s, got 2592000s".to_owned()));
    }
}
