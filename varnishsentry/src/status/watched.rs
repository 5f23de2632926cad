// SPDX-License-Identifier: BSD-2-Clause
//! The workers that there are, for others to look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::Client;
use parking_lot::Mutex;

use crate::config::worker::Worker as Settings;
use crate::reader::progress::Progress;
use crate::reader::settings::Settings as Reading;
use crate::worker::view::View;

/// For how long a reader may be without a beat; it has one a second.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One worker.
#[derive(Clone)]
pub struct Watched {
    pub settings: Arc<Settings>,
    /// What is read: the command line counts above the settings.
    pub reading: Reading,
    pub client: Arc<Client>,
    pub view: Arc<View>,
    pub progress: Arc<Progress>,
    pub pulse: Arc<Pulse>,
}

/// When a reader was seen to get on.
#[derive(Debug)]
pub struct Pulse {
    begun: Instant,
    beats: AtomicU64,
    /// In milliseconds since `begun`.
    moved: AtomicU64,
}

impl Pulse {
    /// One that got on just now.
    pub fn new(now: Instant) -> Pulse {
        Pulse { begun: now, beats: AtomicU64::new(0), moved: AtomicU64::new(0) }
    }

    /// Takes note of how often it has turned.
    pub fn feel(&self, beats: u64, now: Instant) {
        if self.beats.swap(beats, Ordering::Relaxed) != beats {
            // Half a billion years of milliseconds fit.
            self.moved.store(now.duration_since(self.begun).as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// Whether it has got on lately, as far as was felt.
    pub fn is_alive(&self, now: Instant) -> bool {
        let moved = self.begun + Duration::from_millis(self.moved.load(Ordering::Relaxed));
        now.saturating_duration_since(moved) < PATIENCE
    }
}

impl Watched {
    pub fn name(&self) -> &str {
        &self.settings.settings.name
    }

    /// Whether its reader gets on.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.pulse.is_alive(now)
    }

    /// Why what is logged now would not get to Sentry; `None` if it would.
    pub fn obstacle(&self, now: Instant) -> Option<&'static str> {
        if !self.is_alive(now) {
            return Some("the reader is stuck");
        }
        if !self.progress.is_reading.load(Ordering::Relaxed) {
            return Some("there is no log to read");
        }
        (!self.client.is_enabled()).then_some("there is no DSN to send to")
    }
}

/// All of them, as they are now.
pub struct Workers {
    all: Mutex<Vec<Watched>>,
    /// In seconds since the epoch.
    pub since: u64,
}

impl Workers {
    pub fn new(now: SystemTime) -> Workers {
        Workers { all: Mutex::default(), since: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() }
    }

    pub fn set(&self, all: Vec<Watched>) {
        *self.all.lock() = all;
    }

    pub fn all(&self) -> Vec<Watched> {
        self.all.lock().clone()
    }

    /// Feels each reader's pulse; whether all of them get on.
    pub fn feel(&self, now: Instant) -> bool {
        let all = self.all();
        for worker in &all {
            worker.pulse.feel(worker.progress.beats.load(Ordering::Relaxed), now);
        }
        all.iter().all(|worker| worker.is_alive(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_get_on_is_not_alive_for_long() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let pulse = Pulse::new(begin);
        assert!(pulse.is_alive(after(29)) && !pulse.is_alive(after(30)));
        pulse.feel(7, after(20));
        pulse.feel(7, after(40));
        assert!(pulse.is_alive(after(49)) && !pulse.is_alive(after(50)));
        pulse.feel(8, after(60));
        assert!(pulse.is_alive(after(60)));
    }
}
