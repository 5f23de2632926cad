// SPDX-License-Identifier: BSD-2-Clause
//! Reads a log, and goes on reading: over overruns, over the ends of the server's child and manager, and over its own.
//!
//! [`settings`]: what is to be read. [`opening`]: whether it can be. `following`: the loop, on a thread of its own for each log, with its parts: `telling` what is
//! found, `waking` who wakes it, `whereabouts` which log it is, `remembering` how far it was read, `watching` over the server, `memory` over the process's own. [`progress`]: how
//! it goes, for others to see.

mod following;
mod memory;
pub mod opening;
pub mod progress;
mod remembering;
pub mod settings;
mod telling;
mod watching;
mod whereabouts;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use transaction::consumer::Consumer;

use following::{Follower, Order};
use opening::Opened;
use progress::{Ending, Progress};
use settings::Settings;

/// The library puts groups of all transactions that may be under way on the stack.
const STACK: usize = 16 << 20;

/// A thread that reads a log.
pub struct Reader {
    settings: Settings,
    orders: Sender<Order>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Begins to read; `consumer` is told on the reader's thread, and `over` is called there at its end.
    pub fn start(
        opened: Opened,
        consumer: Box<dyn Consumer>,
        over: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Reader> {
        let (sender, orders) = channel();
        let progress = Arc::new(Progress::default());
        let settings = opened.settings.clone();
        let follower = Follower::new(opened, consumer, orders, Arc::clone(&progress));
        let body = {
            let progress = Arc::clone(&progress);
            move || {
                // If the loop itself panics, its owner has to see that nobody reads.
                let ending = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| follower.run()));
                progress.end(ending.unwrap_or(Ending::Panicked));
                over();
            }
        };
        let thread = std::thread::Builder::new().name("vs-reader".into()).stack_size(STACK).spawn(body)?;
        Ok(Reader { settings, orders: sender, progress, thread: Some(thread) })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How it goes; it outlives the reader.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Has another consumer told from now on.
    pub fn replace(&self, consumer: Box<dyn Consumer>) {
        // A reader that has ended tells nobody any more.
        let _ = self.orders.send(Order::Replace(consumer));
    }

    /// Has what is under way told now, marked as incomplete.
    pub fn flush(&self) {
        let _ = self.orders.send(Order::Flush);
    }

    /// Ends reading, and waits for that: `false` if it has not ended by then, as when it waits for input from a pipe.
    pub fn stop(mut self, patience: Duration) -> bool {
        let _ = self.orders.send(Order::Stop);
        let deadline = Instant::now() + patience;
        while self.progress.ending().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let is_over = self.progress.ending().is_some();
        if is_over && let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        is_over
    }
}
