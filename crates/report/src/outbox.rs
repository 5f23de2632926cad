// SPDX-License-Identifier: BSD-2-Clause
//! What a client and its sender share.
//!
//! Locks: the throttle's sets, the queue and `pace` each have their own; none of them is taken while another
//! is held.

use std::fmt::Display;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use event::capture::room::Room;
use parking_lot::{Mutex, MutexGuard};

use crate::answer_times::AnswerTimes;
use crate::assistant::Assistants;
use crate::backoff::Backoff;
use crate::client_report::{ClientReport, Reason};
use crate::clock::Clock;
use crate::dsn::Dsn;
use crate::environment::{Environment, Spawn};
use crate::epoch::Epoch;
use crate::journal::{Notices, Topic};
use crate::limits::{Category, RateLimits};
use crate::pacer::Pacer;
use crate::queue::{Entry, Queue};
use crate::rate::TokenBucket;
use crate::settings::{DsnSource, Settings};
use crate::spool::Condition;
use crate::spotlight::Spotlight;
use crate::stats::{Counter, Stats};
use crate::threshold::Occurrences;
use crate::throttle::Throttle;
use crate::transport::Transport;

/// At the end of a client, what is left for the spool of the time there is: a quarter, at most this.
const SPOOL_TIME: Duration = Duration::from_millis(500);

/// Whether captures are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Availability {
    Ready = 0,
    /// There is no DSN, or one that is none, and there will be none.
    NoDsn = 1,
    /// There is a `dsn_file` that gave none so far.
    DsnAwaited = 2,
    Closed = 3,
}

/// How fast the server may be spoken to, and how it went so far.
pub struct Pace {
    pub limits: RateLimits,
    pub backoff: Backoff,
    pub pacer: Pacer,
    pub times: AnswerTimes,
    pub last_error: Option<String>,
    pub dsn: Option<Arc<Dsn>>,
    pub spool: Condition,
    /// Whether a death of the child would be seen.
    pub deaths: Condition,
}

/// One client's events on their way out.
pub struct Outbox {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub random: fn() -> u64,
    pub transport: Arc<dyn Transport>,
    pub spotlight: Option<Spotlight>,
    pub spawn: Spawn,
    pub stats: Arc<Stats>,
    pub report: ClientReport,
    pub queue: Queue,
    pub room: Room,
    pub throttle: Throttle,
    /// Made by the first threshold, for most have none.
    occurrences: OnceLock<Occurrences>,
    pub bucket: TokenBucket,
    pub assistants: Assistants,
    notices: Notices,
    epoch: Epoch,
    availability: AtomicU8,
    /// Until when errors may not be sent, in nanoseconds since the epoch: what a capture looks at.
    limited_until: AtomicU64,
    pace: Mutex<Pace>,
}

impl Outbox {
    /// Empty, and available if `settings` has a DSN; a `dsn_file` is read by [`Outbox::read_dsn`].
    pub fn new(settings: Settings, environment: Environment) -> Outbox {
        let Environment { clock, random, journal, cells, transport, spotlight, spawn } = environment;
        let epoch = Epoch::new(clock.now());
        let stats = Arc::new(Stats::new(cells));
        let (availability, dsn) = match &settings.client.dsn {
            DsnSource::None if settings.works_without_dsn() => (Availability::Ready, None),
            DsnSource::None | DsnSource::Unusable(_) => (Availability::NoDsn, None),
            DsnSource::Text(dsn) => (Availability::Ready, Some(Arc::new(dsn.clone()))),
            DsnSource::File(_) => (Availability::DsnAwaited, None),
        };
        Outbox {
            clock,
            random,
            transport,
            spotlight: settings.spotlight.clone().zip(spotlight).map(|(url, transport)| Spotlight::new(url, transport)),
            spawn,
            report: ClientReport::default(),
            queue: Queue::new(settings.queue.events, settings.queue.bytes, stats.clone()),
            room: Room::default(),
            throttle: Throttle::new(settings.client.throttle, settings.client.window, random(), epoch),
            occurrences: OnceLock::new(),
            bucket: TokenBucket::new(settings.client.max_rate, settings.client.burst(), epoch),
            assistants: Assistants::default(),
            notices: Notices::new(journal, settings.name.clone(), epoch),
            epoch,
            availability: AtomicU8::new(availability as u8),
            limited_until: AtomicU64::new(0),
            pace: Mutex::new(Pace {
                limits: RateLimits::default(),
                backoff: Backoff::default(),
                pacer: Pacer::new(settings.server.connections, settings.server.max_interval),
                times: AnswerTimes::default(),
                last_error: None,
                dsn,
                spool: Condition::default(),
                deaths: Condition::default(),
            }),
            stats,
            settings,
        }
    }

    pub fn availability(&self) -> Availability {
        match self.availability.load(Ordering::Relaxed) {
            0 => Availability::Ready,
            1 => Availability::NoDsn,
            2 => Availability::DsnAwaited,
            _ => Availability::Closed,
        }
    }

    /// Takes no captures from now on.
    pub fn close(&self) {
        self.availability.store(Availability::Closed as u8, Ordering::SeqCst);
    }

    /// Ends every request under way, and fails all after it.
    pub fn abort(&self) {
        self.transport.abort();
        if let Some(spotlight) = &self.spotlight {
            spotlight.abort();
        }
    }

    /// Until when a client that has to end by `deadline` may send.
    pub fn last_send(&self, deadline: Instant) -> Instant {
        if self.settings.spool.folder.is_none() {
            return deadline;
        }
        let left = deadline.saturating_duration_since(self.clock.now());
        deadline.checked_sub(SPOOL_TIME.min(left / 4)).unwrap_or(deadline)
    }

    /// What the server has to say about the pace.
    pub fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock()
    }

    /// Whether Sentry's limits keep an error from leaving at `now`.
    pub fn is_limited(&self, now: Instant) -> bool {
        let until = self.limited_until.load(Ordering::Relaxed);
        until != 0 && until > self.epoch.nanos(now)
    }

    /// Lets captures see the limits that `pace` has.
    pub fn publish_limits(&self, pace: &Pace, now: Instant) {
        let until = pace.limits.until(Category::Error, now).map_or(0, |until| self.epoch.nanos(until));
        self.limited_until.store(until, Ordering::Relaxed);
    }

    /// What is counted towards thresholds.
    pub fn occurrences(&self) -> &Occurrences {
        self.occurrences.get_or_init(|| Occurrences::new((self.random)(), self.epoch))
    }

    /// Whether an event goes out that its key's throttle lets pass: by chance, then as the client's rate
    /// has room.
    pub fn choose(&self, now: Instant) -> Result<(), Reason> {
        if !self.settings.client.sample_rate.keeps(self.random) {
            return Err(Reason::SampleRate);
        }
        if self.bucket.take(now) { Ok(()) } else { Err(Reason::MaxRate) }
    }

    /// Counts events that will not arrive, here and for Sentry.
    pub fn lose(&self, reason: Reason, quantity: u64) {
        if quantity > 0 {
            self.stats.add(Counter::of(reason), quantity);
            if self.settings.client.send_client_reports {
                self.report.record(Category::Error, reason, quantity);
            }
        }
    }

    /// Counts events that had to leave the queue.
    pub fn lose_all(&self, reason: Reason, entries: Vec<Entry>, now: Instant) {
        self.lose(reason, entries.len() as u64);
        if reason == Reason::QueueOverflow && !entries.is_empty() {
            self.note(Topic::QueueFull, now, format_args!("queue full, dropped the oldest event"));
        }
    }

    /// Writes a line to the log, at most one a minute and topic.
    pub fn note(&self, topic: Topic, now: Instant, text: std::fmt::Arguments<'_>) {
        self.notices.note(topic, now, text);
    }

    /// Keeps `error` for [`crate::client::Client::status`].
    pub fn fault(&self, error: &impl Display) {
        self.pace().last_error = Some(error.to_string());
    }

    /// The DSN, read from its file if need be; `None` while there is none.
    pub fn read_dsn(&self, now: Instant) -> Option<Arc<Dsn>> {
        if let Some(dsn) = self.pace().dsn.clone() {
            return Some(dsn);
        }
        let DsnSource::File(path) = &self.settings.client.dsn else { return None };
        match crate::dsn_file::read(path) {
            Ok(dsn) => {
                let dsn = Arc::new(dsn);
                self.pace().dsn = Some(dsn.clone());
                let (awaited, ready) = (Availability::DsnAwaited as u8, Availability::Ready as u8);
                // Not if it was closed in the meantime.
                let _ = self.availability.compare_exchange(awaited, ready, Ordering::SeqCst, Ordering::SeqCst);
                // Last: whoever reads it may count on it.
                self.note(Topic::DsnFound, now, format_args!("sending to {dsn}"));
                Some(dsn)
            }
            Err(error) => {
                self.stats.add(Counter::DsnFailures, 1);
                self.note(Topic::DsnUnusable, now, format_args!("{error}, events are dropped until there is one"));
                self.fault(&error);
                None
            }
        }
    }
}
