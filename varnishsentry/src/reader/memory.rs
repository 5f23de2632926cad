// SPDX-License-Identifier: BSD-2-Clause
//! How much memory of its own this process takes: the library keeps what is under way, however much that is.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

/// More than this, and what is under way has to go.
const MOST: u64 = 44 << 20;
/// If that did not help, it is somebody else's: so much more, until it is tried again.
const STEP: u64 = 4 << 20;
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks now and then.
#[derive(Debug)]
pub struct Memory {
    most: u64,
    next: Option<Instant>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory { most: MOST, next: None }
    }

    /// Whether there is too much of it.
    pub fn is_scarce(&mut self, now: Instant) -> bool {
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + INTERVAL);
        anonymous().is_some_and(|bytes| self.exceeds(bytes))
    }

    fn exceeds(&mut self, bytes: u64) -> bool {
        if bytes < MOST {
            self.most = MOST;
        }
        bytes >= self.most
    }

    /// What was under way is gone.
    pub fn was_freed(&mut self) {
        vapi::process::trim();
        if let Some(bytes) = anonymous() {
            self.most = MOST.max(bytes + STEP);
        }
    }
}

/// What is neither a file's nor shared with others: the server's log is both. `None` if the system does not tell.
fn anonymous() -> Option<u64> {
    // The system makes all of it with the first read.
    let mut buffer = [0; 4096];
    let len = File::open("/proc/self/status").ok()?.read(&mut buffer).ok()?;
    let status = String::from_utf8_lossy(buffer.get(..len)?);
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        assert!(anonymous().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn what_somebody_else_takes_is_not_asked_for_again_and_again() {
        let mut memory = Memory::new();
        assert!(!memory.exceeds(MOST - 1));
        assert!(memory.exceeds(MOST));
        memory.most = MOST + 10;
        assert!(!memory.exceeds(MOST + 9));
        assert!(memory.exceeds(MOST + 10));
        assert!(!memory.exceeds(MOST - 1));
        assert!(memory.exceeds(MOST));
    }
}
