// SPDX-License-Identifier: BSD-2-Clause
//! What tells an entry in a spool from all others, and which of two is older.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::event_id::EventId;

/// An entry by its place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Since the Unix epoch.
    pub millis: u64,
    pub id: u128,
}

impl Key {
    pub fn new(at: SystemTime, id: EventId) -> Key {
        let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let id = str::from_utf8(&id.to_hex()).ok().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        Key { millis: u64::try_from(millis).unwrap_or(u64::MAX), id: id.unwrap_or_default() }
    }

    /// The entry's id.
    pub fn id(self) -> EventId {
        // It has been an id before, so version and variant are in it.
        EventId::from_random(self.id.to_be_bytes())
    }

    /// When the entry was made.
    pub fn at(self) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.millis)).unwrap_or(UNIX_EPOCH)
    }

    /// How long ago that was.
    pub fn age(self, wall: SystemTime) -> Duration {
        wall.duration_since(self.at()).unwrap_or_default()
    }
}
