// SPDX-License-Identifier: BSD-2-Clause
//! A client: what the glue holds, from a VCL's first capture to the end of the process.
//!
//! Everything here may be called from any thread. Nothing blocks longer than a short lock, except
//! [`Client::flush`] and [`Client::shutdown`], which say how long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use parking_lot::Mutex;
use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::entry::Entry;
use protocol::reason::Reason;
use serde::Serialize;

use crate::admission::Gate;
use crate::admission::threshold::Threshold;
use crate::connection::scrubbed::Scrubbed;
use crate::connection::transport::Connector;
use crate::counters::{Counter, Ledger, Tally};
use crate::dsn_file;
use crate::environment::Environment;
use crate::epoch::Epoch;
use crate::journal::{Notices, Topic};
use crate::queue::Refused;
use crate::sender::answer_times::Summary;
use crate::sender::message::Message;
use crate::sender::run::{Inbox, Runner};
use crate::settings::{DsnSource, Settings};
use crate::shared::destination::Destination;
use crate::spawn::Spawn;
use crate::spotlight::Spotlight;
use crate::state::{Availability, State, World};
use crate::status;

/// Between two attempts to start the sender's thread.
const THREAD_INTERVAL: Duration = Duration::from_secs(10);
/// At the end of a client, what is left for the spool of the time there is: a quarter, at most this.
const SPOOL_TIME: Duration = Duration::from_millis(500);
/// By how much the sender ends before whoever waits for it gives up: an eighth of the time there is, at most this.
const MARGIN: Duration = Duration::from_millis(50);

/// Whether something may be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may. `suppressed` of its key were held back since the last one that passed.
    Admitted { suppressed: u64 },
    /// It may not, and has been counted.
    Refused(Reason),
}

/// Sends to one DSN, and to those that entries name.
pub struct Client {
    state: Arc<State>,
    gate: Gate,
    inbox: Inbox,
    connector: Arc<dyn Connector>,
    spawn: Spawn,
    /// The sender's thread runs, or has run.
    is_started: AtomicBool,
    /// When to try again to start it, after a failure.
    start_at: Mutex<Option<Instant>>,
}

impl Client {
    /// Makes a client. A `dsn_file` is read once, so that a missing one is in the log right away. Only with a
    /// spool is a thread started, for an earlier process may have left something there, and with a directory that may change.
    pub fn new(settings: Settings, environment: Environment) -> Arc<Client> {
        let Environment { clock, random, journal, ledger, shared, directory, connector, spotlight, spawn } =
            environment;
        let privacy = Arc::new(settings.privacy.clone());
        let scrubbed = |connector| Arc::new(Scrubbed { connector, privacy: privacy.clone() });
        let connector: Arc<dyn Connector> = scrubbed(connector);
        let now = clock.now();
        let epoch = Epoch::new(now);
        let notices = Arc::new(Notices::new(journal, settings.name.clone(), epoch));
        let spotlight = settings.spotlight.clone().zip(spotlight).map(|(url, connector)| {
            Spotlight::new(url, scrubbed(connector), spawn, clock.clone(), ledger.clone(), notices.clone())
        });
        let (sender, receiver) = unbounded();
        let inbox = Inbox { sender: sender.clone(), receiver };
        let wake = Box::new(move || drop(sender.send(Message::Wake)));
        let gate = Gate::new(&settings, random, epoch);
        let has_moving_targets = directory.as_ref().is_some_and(|directory| directory.may_change());
        let state = State::new(settings, World { clock, random, ledger, shared, directory, notices, spotlight }, wake);
        match &state.settings.dsn {
            DsnSource::Unusable(cause) => {
                state.note(Topic::DsnUnusable, now, format_args!("{cause}, events are dropped"));
                state.fault(cause.clone());
            }
            DsnSource::File(path) => state.take_dsn(dsn_file::read(path), now),
            DsnSource::None | DsnSource::Text(_) | DsnSource::Entries => {}
        }
        let (is_started, start_at) = (AtomicBool::new(false), Mutex::new(None));
        let state = Arc::new(state);
        let client = Arc::new(Client { state, gate, inbox, connector, spawn, is_started, start_at });
        let has_spool = client.settings().spool.is_some() && client.state.availability() != Availability::NoDsn;
        if has_spool || has_moving_targets {
            client.start(now);
        }
        client
    }

    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// The DSN, once it is known.
    pub fn dsn(&self) -> Option<&Arc<Dsn>> {
        self.state.dsn()
    }

    /// The numbers of its name.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.state.ledger
    }

    /// Whether captures can lead anywhere: there is a DSN, and the client is not closed.
    pub fn is_enabled(&self) -> bool {
        self.state.availability() == Availability::Ready
    }

    /// Counts a capture that leads nowhere, without a DSN or closed, and says why; `None` if it may be captured,
    /// and has to be admitted. Needs neither key nor time: for most calls without a DSN that is all there is.
    pub fn turn_away(&self, category: Category) -> Option<Reason> {
        let reason = match self.state.availability() {
            Availability::Ready => return None,
            Availability::NoDsn => Reason::NoDsn,
            Availability::DsnAwaited => {
                // The sender looks for the DSN, not the request's thread.
                if !self.is_started.load(Ordering::Acquire) {
                    self.start(self.state.clock.now());
                }
                Reason::NoDsn
            }
            Availability::Closed => Reason::Closed,
        };
        self.state.refuse(category, reason, 1);
        Some(reason)
    }

    /// Counts one of `key` that is captured only if so many came: how many they were if this is the one
    /// to be captured, which then has to be admitted as any other. `None` if not, and there is no loss.
    pub fn count(&self, key: u64, threshold: Threshold, now: Instant) -> Option<u64> {
        let reached = self.gate.count(key, threshold, now);
        if reached.is_none() {
            self.state.ledger.add(Counter::Counted, 1);
        }
        reached
    }

    /// Asks whether one of `key` may be captured, before anything of it is copied. In this order:
    /// a usable DSN, not closed, no limit of Sentry's in force, the key's throttle, the sample rate, the client's
    /// rate. A refusal is counted; the caller has nothing more to do.
    pub fn admit(&self, category: Category, key: u64, now: Instant) -> Admission {
        if let Some(reason) = self.turn_away(category) {
            return Admission::Refused(reason);
        }
        let is_limited = self.state.home().is_some_and(|home| home.destination.is_limited(category, now));
        let judged = if is_limited { Err(Reason::RatelimitBackoff) } else { self.gate.judge(key, now) };
        match judged {
            Ok(suppressed) => Admission::Admitted { suppressed },
            Err(reason) => {
                self.refuse(category, reason, now);
                Admission::Refused(reason)
            }
        }
    }

    /// Counts a capture that a rule ignores.
    pub fn ignore(&self, category: Category, now: Instant) {
        self.refuse(category, Reason::Ignored, now);
    }

    /// Counts what is not captured. Sentry is told by the sender, even if nothing ever passes.
    fn refuse(&self, category: Category, reason: Reason, now: Instant) {
        self.state.refuse(category, reason, 1);
        if reason.reported_as().is_some() {
            self.start(now);
        }
    }

    /// What is known of a DSN that entries name: its limits, above all.
    pub fn destination(&self, dsn: &Arc<Dsn>, now: Instant) -> Arc<Destination> {
        self.state.shared.destination(dsn, now)
    }

    /// Counts what came for a DSN that entries name, and does not become one.
    pub fn refuse_for(&self, dsn: &Arc<Dsn>, category: Category, reason: Reason, quantity: u64, now: Instant) {
        self.state.refuse_for(dsn, category, reason, quantity);
        if reason.reported_as().is_some() {
            self.start(now);
        }
    }

    /// Whether the queue has room for more: nothing has to go for what comes next, unless it is large.
    pub fn has_room(&self) -> bool {
        let (entries, bytes) = self.state.queue.held();
        let bounds = self.settings().queue;
        self.is_enabled() && entries < bounds.entries && bytes < bounds.bytes / 16 * 15
    }

    /// The DSNs that entries name, in no order, each with the numbers of its project, which it may have in common with others.
    pub fn projects(&self) -> Vec<(Arc<Dsn>, Arc<Ledger>)> {
        self.state.parts()
    }

    /// How long the last answers took; `None` if there was none yet.
    pub fn answer_times(&self) -> Option<Summary> {
        let times = self.state.view().times.clone();
        (!times.is_empty()).then(|| times.summary())
    }

    /// Hands what was admitted to the sender. A full queue gives up the oldest of the least weight for it; an entry larger
    /// than the whole queue is refused.
    pub fn enqueue(&self, entry: Box<dyn Entry>, now: Instant) -> Result<(), Reason> {
        let state = &self.state;
        let ledger = state.ledger_of(entry.dsn());
        ledger.add_parts(entry.parts(), Tally::Captured);
        let (reason, entry) = match state.availability() {
            Availability::Ready | Availability::DsnAwaited => match state.queue.push(entry, ledger) {
                Ok(evicted) => {
                    state.lose_all(Reason::QueueOverflow, &evicted, now);
                    self.start(now);
                    return Ok(());
                }
                Err((Refused::TooLarge, entry)) => (Reason::QueueOverflow, entry),
                Err((Refused::Closed, entry)) => (Reason::Closed, entry),
            },
            Availability::NoDsn => (Reason::NoDsn, entry),
            Availability::Closed => (Reason::Closed, entry),
        };
        state.lose_entry(&*entry, reason);
        Err(reason)
    }

    /// Waits until every entry that is queued or on its way now has reached its end. `true` if all were
    /// delivered; `false` if one of them was dropped, or one before them that no flush was told of, if
    /// `timeout` is over, or at once if two others wait already.
    pub fn flush(&self, timeout: Duration) -> bool {
        let now = self.state.clock.now();
        if self.state.queue.load().0 > 0 {
            self.start(now);
        }
        self.state.queue.flush(now + timeout.min(Duration::from_secs(86_400)), &*self.state.clock)
    }

    /// Takes no captures any more; the sender drains the queue within `shutdown_timeout` and ends.
    /// Returns at once.
    pub fn close(&self) {
        self.state.close();
        let now = self.state.clock.now();
        let deadline = now + self.settings().server.shutdown_timeout;
        let last_send = last_send(&self.state, deadline);
        // Nobody waits for it, so the disk has its time even if the server has none.
        let end = if self.settings().spool.is_some() { deadline.max(now + SPOOL_TIME) } else { deadline };
        self.state.queue.drain(last_send, end);
        if !self.is_started.load(Ordering::SeqCst) {
            end_now(&self.state, now);
        }
    }

    /// A handle on the sender for after this client is closed and dropped: the end of the process may come
    /// before the sender's.
    pub fn draining(&self) -> Draining {
        Draining { state: Arc::downgrade(&self.state) }
    }

    /// As [`Client::close`], but waits for the end, at most until `deadline`; `true` if nothing was lost.
    /// For the end of the process: when it returns, nothing more is counted on.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        self.state.close();
        if !self.is_started.load(Ordering::SeqCst) {
            return end_now(&self.state, self.state.clock.now());
        }
        shutdown(&self.state, deadline)
    }

    /// What the client does, as one line of JSON; never a key. `child_deaths` is what there is to say of that.
    pub fn status(&self, child_deaths: Option<impl Serialize>, now: Instant) -> String {
        status::json(&self.state, child_deaths, now)
    }

    /// What the client says in the log.
    pub fn notices(&self) -> &Arc<Notices> {
        &self.state.notices
    }

    /// Starts the sender's thread if there is none. If that fails, entries wait in the queue, and a later
    /// capture tries again.
    fn start(&self, now: Instant) {
        if self.is_started.load(Ordering::Acquire) {
            return;
        }
        let mut start_at = self.start_at.lock();
        if self.is_started.load(Ordering::Acquire) || start_at.is_some_and(|at| now < at) {
            return;
        }
        let runner = (self.state.clone(), self.inbox.clone(), self.connector.clone(), self.spawn);
        let work = move || {
            let (state, inbox, connector, spawn) = runner;
            Runner::new(state, inbox, connector, spawn).run();
        };
        match (self.spawn)("vmod-sentry", Box::new(work)) {
            Ok(()) => self.is_started.store(true, Ordering::SeqCst),
            Err(error) => {
                *start_at = Some(now + THREAD_INTERVAL);
                drop(start_at);
                self.state.count_thread_failure(now, format_args!("no thread for the sender, {error}"));
            }
        }
    }
}

/// What is left of a client that was closed: maybe a sender at work. Keeps nothing of it in memory.
pub struct Draining {
    state: Weak<State>,
}

impl Draining {
    /// Whether the sender has ended.
    pub fn is_over(&self) -> bool {
        self.state.strong_count() == 0
    }

    /// Waits for the end, as [`Client::shutdown`]; `true` if nothing was left, or the end came before.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        let Some(state) = self.state.upgrade() else { return true };
        shutdown(&state, deadline)
    }
}

/// Until when a client that has to end by `deadline` may send.
fn last_send(state: &State, deadline: Instant) -> Instant {
    if state.settings.spool.is_none() {
        return deadline;
    }
    let left = deadline.saturating_duration_since(state.clock.now());
    deadline.checked_sub(SPOOL_TIME.min(left / 4)).unwrap_or(deadline)
}

/// Has the sender drain the queue and waits for its end; at `deadline` what is left is lost.
fn shutdown(state: &State, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(state.clock.now());
    let end = deadline.checked_sub(MARGIN.min(left / 8)).unwrap_or(deadline);
    state.queue.drain(last_send(state, end), end);
    match state.queue.wait_for_end(deadline, &*state.clock) {
        Some(drained) => drained,
        None => end_now(state, deadline),
    }
}

/// The end without a sender: there never was one, or it is too late for it.
fn end_now(state: &State, now: Instant) -> bool {
    let Some((left, under_way)) = state.queue.end(true) else {
        return state.queue.wait_for_end(now, &*state.clock).unwrap_or_default();
    };
    state.lose_all(Reason::Closed, &left, now);
    let lost = left.len() + under_way;
    state.note_end(0, lost, now);
    state.queue.tell_end();
    lost == 0
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.state.availability() != Availability::Closed {
            self.close();
        }
    }
}
