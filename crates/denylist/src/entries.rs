// SPDX-License-Identifier: BSD-2-Clause
//! Entries as somebody who looks at the list gets them, and places in it that outlast its changes.

use std::fmt;
use std::str::FromStr;

use crate::reason::Reason;
use crate::table::Digest;
use crate::time::Time;

/// A live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub digest: Digest,
    pub until: Time,
    pub reason: Reason,
    /// How often it refused; `u16::MAX` stands for that and more.
    pub hits: u16,
    pub position: Position,
}

/// A place in the order of the entries: behind an entry, whether that one is still there or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub(crate) until: Time,
    pub(crate) slot: u32,
}

impl Position {
    /// This place, or the one before all that are live at `now` if it is further in front.
    pub(crate) fn not_before(self, now: Time) -> Position {
        // A slot of the millisecond before: all that is over stands there or in front.
        let first = Position { until: Time::from_millis(now.millis() - 1), slot: u32::MAX };
        if (self.until, self.slot) < (first.until, first.slot) { first } else { self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.until.millis(), self.slot)
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Position, NoPosition> {
        let (until, slot) = text.split_once('-').ok_or(NoPosition)?;
        let until = Time::from_millis(until.parse().map_err(|_| NoPosition)?);
        Ok(Position { until, slot: slot.parse().map_err(|_| NoPosition)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_text_and_other_texts_are_none() {
        let position = Position { until: Time::from_millis(1_790_000_000_123), slot: 7 };
        assert_eq!(position.to_string(), "1790000000123-7");
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "-", "1", "1-", "-1", "1-2-3", "1--2", "1-4294967296", "a-b", "1 -2"] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text}");
        }
    }
}
