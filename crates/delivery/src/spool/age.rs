// SPDX-License-Identifier: BSD-2-Clause
//! Whether the wall clock can be asked how old an entry is.
//!
//! Time stands in files by the wall clock, and that may jump: by a hand, at boot before NTP is there, after a virtual machine slept. What jumps
//! ahead by the age that entries reach would make all of them too old at once.

use std::time::{Duration, Instant, SystemTime};

/// Both clocks may drift apart by as much, and by a thousandth of the time that has passed: NTP moves a clock by
/// half of that at most, but where it jumps.
const SLACK: Duration = Duration::from_secs(60);
const DRIFT: u32 = 1000;

/// What both clocks said at the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub now: Instant,
    pub wall: SystemTime,
}

impl Start {
    /// The wall clock's time, if it and the monotonic clock agree on how long ago the start was.
    pub fn believed(self, now: Instant, wall: SystemTime) -> Option<SystemTime> {
        let passed = now.saturating_duration_since(self.now);
        let expected = self.wall.checked_add(passed)?;
        let apart = wall.duration_since(expected).unwrap_or_else(|behind| behind.duration());
        (apart <= SLACK + passed / DRIFT).then_some(wall)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_believed_until_it_is_back() {
        let start = Start { now: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(1_000_000) };
        let at = |passed: u64, said: i64| {
            let wall = UNIX_EPOCH + Duration::from_secs((1_000_000 + said).cast_unsigned());
            start.believed(start.now + Duration::from_secs(passed), wall).is_some()
        };
        assert!(at(0, 0) && at(100, 100) && at(100, 41) && at(100, 159));
        assert!(!at(100, 161) && !at(100, 39) && !at(0, 604_800) && !at(0, -604_800));
        // A week of the fastest correction that NTP makes.
        assert!(at(604_800, 604_800 + 303) && at(604_800, 604_800 - 303));
        assert!(!at(604_800, 604_800 + 700));
    }
}
