// SPDX-License-Identifier: BSD-2-Clause
//! The sections of `queue()` and `spool()`: where events wait, in memory and on disk.

use std::fmt;

use delivery::range::{OutOfRange, number, seconds};
use delivery::settings::{QueueBounds, SpoolSettings};

use crate::path::{RelativePath, path};

/// Checks the arguments of `queue()`.
pub fn queue(events: i64, bytes: i64) -> Result<QueueBounds, OutOfRange> {
    Ok(QueueBounds {
        entries: number("events", events, 1..=65_536)?,
        bytes: number("bytes", bytes, 65_536..=1_073_741_824)?,
    })
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

/// Checks the arguments of `spool()`, `age` in seconds; `None` if there is no folder, which keeps events in memory.
pub fn spool(folder: &str, bytes: i64, age: f64) -> Result<Option<SpoolSettings>, SpoolError> {
    let folder = path("folder", folder).map_err(SpoolError::Relative)?;
    let bytes = number("bytes", bytes, 1_048_576..=17_179_869_184)?;
    // Sentry takes no event older than 30 days.
    let age = seconds("age", age, 60.0..=29.0 * 86_400.0)?;
    Ok(folder.map(|folder| SpoolSettings { folder, bytes, age }))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_queue_has_room_for_one_event_and_bounds_memory() {
        let of = |events, bytes| queue(events, bytes).map_err(|error| error.to_string());
        assert_eq!(of(1000, 16_777_216), Ok(QueueBounds::default()));
        assert_eq!(of(0, 65_536), Err("events must be between 1 and 65536, got 0".to_owned()));
        assert_eq!(of(65_537, 65_536), Err("events must be between 1 and 65536, got 65537".to_owned()));
        assert_eq!(of(1, 1), Err("bytes must be between 65536 and 1073741824, got 1".to_owned()));
    }

    #[test]
    fn a_spool_has_a_folder_of_its_own_and_bounds_the_disk() {
        let of = |folder, bytes, age| spool(folder, bytes, age).map_err(|error| error.to_string());
        assert_eq!(of("", 67_108_864, 604_800.0), Ok(None));
        assert_eq!(of("/s", 1 << 20, 60.0).map(|spool| spool.map(|spool| spool.folder)), Ok(Some(PathBuf::from("/s"))));
        assert_eq!(of("s", 1 << 20, 60.0), Err("folder must be an absolute path, got \"s\"".to_owned()));
        assert_eq!(of("/s", 1, 60.0), Err("bytes must be between 1048576 and 17179869184, got 1".to_owned()));
        let old = of("/s", 1 << 20, 30.0 * 86_400.0);
        assert_eq!(old, Err("age must be between 60s and 2505600s, got 2592000s".to_owned()));
    }
}
