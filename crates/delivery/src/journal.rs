// SPDX-License-Identifier: BSD-2-Clause
//! What a client says in the log: its changes of state, each kind at most once a minute.
//!
//! Any thread may call, also one of a request: a line not written costs one atomic.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::epoch::{self, Epoch};

/// Where lines go; the glue writes a VSL record.
pub trait Journal: Send + Sync {
    /// Writes one line. It never holds a key.
    fn log(&self, text: &str);
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
    QueueFull,
    Unanswered,
    Answered,
    SlowAnswer,
    Refused,
    RateLimited,
    DsnUnusable,
    DsnFound,
    ThreadFailed,
    Panic,
    SpoolReady,
    SpoolUnusable,
    SpoolDamaged,
    SpoolFull,
    Spotlight,
    DeathsUnseen,
    Ended,
}

const TOPICS: usize = 17;

/// Between two lines on a topic.
const PAUSE: Duration = Duration::from_secs(60);

/// The log of one client.
pub struct Notices {
    journal: Arc<dyn Journal>,
    name: String,
    epoch: Epoch,
    /// Per topic, when the next line may be written, in nanoseconds since the epoch.
    next: [AtomicU64; TOPICS],
}

impl Notices {
    /// Lines start with `sentry` and the client's `name`.
    pub fn new(journal: Arc<dyn Journal>, name: String, epoch: Epoch) -> Notices {
        Notices { journal, name, epoch, next: Default::default() }
    }

    /// Writes `text`, unless the topic had its line within the last minute.
    pub fn note(&self, topic: Topic, now: Instant, text: fmt::Arguments<'_>) {
        let Some(next) = self.next.get(topic as usize) else { return };
        let now = self.epoch.nanos(now);
        let claimed = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (next <= now).then(|| now.saturating_add(epoch::nanos(PAUSE)))
        });
        if claimed.is_ok() {
            self.journal.log(&format!("sentry {}: {text}", self.name));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// What was logged.
    #[derive(Default)]
    pub(crate) struct Lines(pub Mutex<Vec<String>>);

    impl Journal for Lines {
        fn log(&self, text: &str) {
            self.0.lock().push(text.to_owned());
        }
    }

    #[test]
    fn each_topic_gets_a_line_a_minute() {
        let lines = Arc::new(Lines::default());
        let start = Instant::now();
        let notices = Notices::new(lines.clone(), "cli".to_owned(), Epoch::new(start));
        for after in [0, 0, 59, 60, 61] {
            let now = start + Duration::from_secs(after);
            notices.note(Topic::QueueFull, now, format_args!("queue full, at {after} s"));
        }
        notices.note(Topic::Ended, start, format_args!("ended"));
        let expected = ["sentry cli: queue full, at 0 s", "sentry cli: queue full, at 60 s", "sentry cli: ended"];
        assert_eq!(*lines.0.lock(), expected);
        assert_eq!(Topic::Ended as usize + 1, TOPICS);
    }
}
