// SPDX-License-Identifier: BSD-2-Clause
//! What the service manager is told (sd_notify(3)). Where there is none, nobody is told.

use std::time::{Duration, Instant};

use sd_notify::{NotifyState, notify, watchdog_enabled};

/// The service manager.
pub struct Service {
    /// How often its watchdog is fed.
    pause: Option<Duration>,
    fed: Option<Instant>,
}

impl Service {
    pub fn new() -> Service {
        // Twice in the time that it waits, as sd_watchdog_enabled(3) asks for.
        Service { pause: watchdog_enabled().map(|limit| limit / 2), fed: None }
    }

    // A manager that cannot be told is one that finds out by itself.

    pub fn ready(&self) {
        let _ = notify(&[NotifyState::Ready]);
    }

    pub fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            let _ = notify(&[NotifyState::Reloading, now]);
        }
    }

    pub fn stopping(&self) {
        let _ = notify(&[NotifyState::Stopping]);
    }

    /// What `systemctl status` shows.
    pub fn status(&self, text: &str) {
        let _ = notify(&[NotifyState::Status(text)]);
    }

    /// Feeds the watchdog, if it is time, and all get on.
    pub fn feed(&mut self, all_get_on: bool, now: Instant) {
        let is_time = self.pause.is_some_and(|pause| self.fed.is_none_or(|fed| now.duration_since(fed) >= pause));
        if is_time && all_get_on {
            self.fed = Some(now);
            let _ = notify(&[NotifyState::Watchdog]);
        }
    }
}
