// SPDX-License-Identifier: BSD-2-Clause
//! What does not work now, and when it is tried again.

use std::time::{Duration, Instant};

/// Between two tries.
pub const PAUSE: Duration = Duration::from_secs(1);

/// One kind of thing that may fail: having the folder, writing, draining.
#[derive(Debug, Default)]
pub struct Trouble {
    /// What the last error said, until it works again.
    pub text: Option<String>,
    /// Nothing is tried before.
    pub until: Option<Instant>,
}

impl Trouble {
    /// Starts a pause; whether the error is another one than before, and so worth to be said.
    pub fn begin(&mut self, now: Instant, text: &str) -> bool {
        self.pause(now);
        let is_new = self.text.as_deref() != Some(text);
        if is_new {
            self.text = Some(text.to_owned());
        }
        is_new
    }

    /// Pauses without an error to be said.
    pub fn pause(&mut self, now: Instant) {
        self.until = Some(now + PAUSE);
    }

    /// It works.
    pub fn end(&mut self) {
        *self = Trouble::default();
    }

    /// Ends a pause that is over; whether there was one that is.
    pub fn is_due(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }

    /// Whether it did not work, and the pause after that is over.
    pub fn is_to_be_tried(&self) -> bool {
        self.text.is_some() && !self.is_pausing()
    }

    pub fn is_pausing(&self) -> bool {
        self.until.is_some()
    }
}
