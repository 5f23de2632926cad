// SPDX-License-Identifier: BSD-2-Clause
//! A thread that sends on a further connection, as long as the server keeps up and events wait.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::courier::Courier;
use crate::limits::Category;
use crate::outbox::Outbox;
use crate::queue::{Asker, Gate, Next};

/// How long one without work stays.
const IDLE: Duration = Duration::from_secs(30);

/// The assistants of a client that there are.
#[derive(Debug, Default)]
pub struct Assistants(AtomicUsize);

impl Assistants {
    /// One more, if there are fewer than `most`.
    fn admit(&self, most: usize) -> bool {
        let more = |count: usize| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// Sends events; everything else is the sender's.
pub struct Assistant {
    courier: Courier,
}

impl Assistant {
    /// One that sends where `first` does; `None` if there are as many as there may be.
    pub fn new(first: &Courier) -> Option<Assistant> {
        let outbox = first.outbox.clone();
        let dsn = outbox.pace().dsn.clone()?;
        if !outbox.assistants.admit(outbox.settings.server.connections.saturating_sub(1)) {
            return None;
        }
        let mut courier = Courier::new(outbox, first.spool.clone());
        courier.aim(Some(dsn));
        Some(Assistant { courier })
    }

    /// Sends until there is nothing to do for a while, or the server does not keep up. What a panic costs is
    /// counted; the sender goes on.
    pub fn run(mut self) {
        let sent = panic::catch_unwind(AssertUnwindSafe(|| {
            self.send_all();
            self.courier.release(self.courier.outbox.clock.now());
        }));
        if sent.is_err() {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.courier.recover()));
        }
    }

    fn send_all(&mut self) {
        let outbox = self.courier.outbox.clone();
        let mut idle_until = outbox.clock.now() + IDLE;
        while is_wanted(&outbox) && outbox.clock.now() < idle_until {
            match self.courier.next(Asker::Assistant, Gate::Open, idle_until) {
                Next::Send { entry, .. } => {
                    self.courier.deliver(entry);
                    idle_until = outbox.clock.now() + IDLE;
                }
                Next::Look => {}
                Next::End => return,
            }
        }
    }
}

impl Drop for Assistant {
    fn drop(&mut self) {
        self.courier.outbox.assistants.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the server can bear more than one request at a time.
fn is_wanted(outbox: &Outbox) -> bool {
    let now = outbox.clock.now();
    let pace = outbox.pace();
    pace.pacer.width() > 1 && !pace.backoff.is_failing() && pace.limits.until(Category::Error, now).is_none()
}
