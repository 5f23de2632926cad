// SPDX-License-Identifier: BSD-2-Clause
//! A client: what the glue holds, from a VCL's first capture to the end of the process.
//!
//! Everything here may be called from any thread. Nothing blocks longer than a short lock, except
//! [`Client::flush`] and [`Client::shutdown`], which say how long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::baggage;
use crate::client_report::Reason;
use crate::environment::Environment;
use crate::journal::Topic;
use crate::outbox::{Availability, Outbox};
use crate::queue::Refused;
use crate::record::{Fields, Record};
use crate::sender::Sender;
use crate::settings::{DsnSource, Settings};
use crate::spool::Condition;
use crate::stats::{Counter, Stats};
use crate::status;
use crate::threshold::Threshold;
use crate::throttle::Verdict;
use crate::trace::Trace;

/// Between two attempts to start the sender's thread.
const THREAD_INTERVAL: Duration = Duration::from_secs(10);

/// Whether an event may be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may. `suppressed` events of its key were held back since the last one that passed; it goes
    /// into the record.
    Admitted { suppressed: u64 },
    /// It may not, and has been counted.
    Refused(Reason),
}

/// Reports to one DSN.
pub struct Client {
    outbox: Arc<Outbox>,
    /// The sender's thread runs, or has run.
    started: AtomicBool,
    /// When to try again to start it, after a failure.
    start_at: Mutex<Option<Instant>>,
}

impl Client {
    /// Makes a client. A `dsn_file` is read once, so that a missing one is in the log right away. Only with a
    /// spool is a thread started: an earlier process may have left events there.
    pub fn new(settings: Settings, environment: Environment) -> Arc<Client> {
        let outbox = Arc::new(Outbox::new(settings, environment));
        let now = outbox.clock.now();
        match &outbox.settings.client.dsn {
            DsnSource::Unusable(cause) => {
                outbox.note(Topic::DsnUnusable, now, format_args!("{cause}, events are dropped"));
                outbox.fault(cause);
            }
            DsnSource::File(_) => drop(outbox.read_dsn(now)),
            DsnSource::None | DsnSource::Text(_) => {}
        }
        let client = Arc::new(Client { outbox, started: AtomicBool::new(false), start_at: Mutex::new(None) });
        if client.settings().spool.folder.is_some() && client.outbox.availability() != Availability::NoDsn {
            client.start(now);
        }
        client
    }

    pub fn settings(&self) -> &Settings {
        &self.outbox.settings
    }

    /// Whether captures can lead anywhere: there is a DSN, and the client is not closed.
    pub fn is_enabled(&self) -> bool {
        self.outbox.availability() == Availability::Ready
    }

    /// Counts an event that leads nowhere, without a DSN or closed, and says why; `None` if it may be captured,
    /// and has to be admitted. Needs neither key nor time: for most calls without a DSN that is all there is.
    pub fn turn_away(&self) -> Option<Reason> {
        let reason = match self.outbox.availability() {
            Availability::Ready => return None,
            Availability::NoDsn => Reason::NoDsn,
            Availability::DsnAwaited => {
                // The sender looks for the DSN, not the request's thread.
                if !self.started.load(Ordering::Acquire) {
                    self.start(self.outbox.clock.now());
                }
                Reason::NoDsn
            }
            Availability::Closed => Reason::Closed,
        };
        self.outbox.lose(reason, 1);
        Some(reason)
    }

    /// Counts an event of `key` that is captured only if so many came: how many they were if this is the one
    /// to be captured, which then has to be admitted as any other. `None` if not, and there is no loss.
    pub fn count(&self, key: u64, threshold: Threshold, now: Instant) -> Option<u64> {
        let reached = self.outbox.occurrences().count(key, threshold, now);
        if reached.is_none() {
            self.outbox.stats.add(Counter::Counted, 1);
        }
        reached
    }

    /// Asks whether an event of `key` may be captured, before anything of it is copied. In this order:
    /// a usable DSN, not closed, no limit of Sentry's in force, the key's throttle, the sample rate, the client's
    /// rate. A refusal is counted; the caller has nothing more to do.
    pub fn admit(&self, key: u64, now: Instant) -> Admission {
        if let Some(reason) = self.turn_away() {
            return Admission::Refused(reason);
        }
        let outbox = &self.outbox;
        let reason = if outbox.is_limited(now) {
            Reason::RatelimitBackoff
        } else {
            match outbox.throttle.judge(key, now, || outbox.choose(now)) {
                Verdict::Passed { suppressed } => return Admission::Admitted { suppressed },
                Verdict::Refused(reason) => reason,
            }
        };
        self.refuse(reason, now);
        Admission::Refused(reason)
    }

    /// Counts an event that a rule ignores.
    pub fn ignore(&self, now: Instant) {
        self.refuse(Reason::Ignored, now);
    }

    /// Counts an event that is not captured. Sentry is told by the sender, even if nothing ever passes.
    fn refuse(&self, reason: Reason, now: Instant) {
        self.outbox.lose(reason, 1);
        if reason.reported_as().is_some() && self.settings().client.send_client_reports {
            self.start(now);
        }
    }

    /// Where an admitted event is written to: with room for as much as this client's events are made of.
    pub fn fields(&self) -> Fields {
        Fields::with_room(self.outbox.room.guess())
    }

    /// Hands an admitted event to the sender. A full queue gives up its oldest for it; an event larger
    /// than the whole queue is refused.
    pub fn enqueue(&self, record: Record, now: Instant) -> Result<(), Reason> {
        let outbox = &self.outbox;
        outbox.stats.add(Counter::Captured, 1);
        outbox.room.learn(record.fields_len());
        let refused = match outbox.availability() {
            Availability::Ready | Availability::DsnAwaited => match outbox.queue.push(record) {
                Ok(evicted) => {
                    outbox.lose_all(Reason::QueueOverflow, evicted, now);
                    self.start(now);
                    return Ok(());
                }
                Err(Refused::TooLarge) => Reason::QueueOverflow,
                Err(Refused::Closed) => Reason::Closed,
            },
            Availability::NoDsn => Reason::NoDsn,
            Availability::Closed => Reason::Closed,
        };
        outbox.lose(refused, 1);
        Err(refused)
    }

    /// Waits until every event that is queued or on its way now has reached its end. `true` if all were
    /// delivered; `false` if one of them was dropped, or one before them that no flush was told of, if
    /// `timeout` is over, or at once if two others wait already.
    pub fn flush(&self, timeout: Duration) -> bool {
        let now = self.outbox.clock.now();
        if self.outbox.queue.load().0 > 0 {
            self.start(now);
        }
        self.outbox.queue.flush(now + timeout.min(Duration::from_secs(86_400)), &*self.outbox.clock)
    }

    /// Takes no captures any more; the sender drains the queue within `shutdown_timeout` and ends.
    /// Returns at once.
    pub fn close(&self) {
        let outbox = &self.outbox;
        outbox.close();
        let deadline = outbox.clock.now() + outbox.settings.server.shutdown_timeout;
        let last_send = outbox.last_send(deadline);
        outbox.queue.drain(last_send);
        if !self.started.load(Ordering::SeqCst) {
            self.end_without_sender();
        } else if outbox.queue.is_sending() || outbox.settings.spool.folder.is_some() {
            // The request under way may take longer than is left. Without this thread it would end at
            // its own timeout.
            let watched = outbox.clone();
            let work = move || {
                if watched.queue.wait_for_end(last_send, &*watched.clock).is_none() {
                    watched.abort();
                }
            };
            let _ = (outbox.spawn)("vmod-sentry-end", Box::new(work));
        }
    }

    /// A handle on the sender for after this client is closed and dropped: the end of the process may come
    /// before the sender's.
    pub fn draining(&self) -> Draining {
        Draining { outbox: Arc::downgrade(&self.outbox) }
    }

    /// As [`Client::close`], but waits for the end, at most until `deadline`; `true` if nothing was lost.
    /// For the end of the process: when it returns, nothing more is sent.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        self.outbox.close();
        self.outbox.queue.drain(self.outbox.last_send(deadline));
        if !self.started.load(Ordering::SeqCst) {
            return self.end_without_sender();
        }
        end(&self.outbox, deadline)
    }

    /// Takes note of whether a death of the child would be seen, and why not. That is no reason to fail: it
    /// counts, and is in log and status.
    pub fn watches_deaths(&self, outcome: Result<(), String>, now: Instant) {
        let outbox = &self.outbox;
        if let Err(cause) = &outcome {
            outbox.stats.add(Counter::StateFailures, 1);
            outbox.note(Topic::DeathsUnseen, now, format_args!("{cause}, deaths of the child are not reported"));
        }
        outbox.pace().deaths = Condition { is_usable: outcome.is_ok(), last_error: outcome.err() };
    }

    /// What the client does, as one line of JSON; never a key.
    pub fn status(&self, now: Instant) -> String {
        status::json(&self.outbox, now)
    }

    /// The `baggage` header for the next one in `trace`, given the header `lines` of the request; empty if
    /// there is nothing to say. While a `dsn_file` has given no DSN, no sampling context can begin here.
    pub fn baggage_header<'l>(&self, trace: &Trace, lines: impl Iterator<Item = &'l [u8]> + Clone) -> Vec<u8> {
        let dsn = self.outbox.pace().dsn.clone();
        let begun = dsn.as_ref().map(|dsn| baggage::begun(trace, dsn, &self.settings().client.identity));
        baggage::header(trace, lines, begun.as_ref())
    }

    /// Whether a trace is continued that came from the organization `theirs`, or from one that says nothing of it.
    /// Takes a lock only if that is up to the DSN.
    pub fn continues(&self, theirs: Option<&[u8]>) -> bool {
        let Settings { traces, .. } = self.settings();
        let theirs = theirs.map(String::from_utf8_lossy);
        if traces.org_id.is_some() || (theirs.is_none() && !traces.strict) {
            return traces.continues(traces.org_id.as_deref(), theirs.as_deref());
        }
        let dsn = self.outbox.pace().dsn.clone();
        traces.continues(dsn.as_ref().and_then(|dsn| dsn.organization()), theirs.as_deref())
    }

    /// The numbers.
    pub fn stats(&self) -> &Stats {
        &self.outbox.stats
    }

    /// Starts the sender's thread if there is none. If that fails, events wait in the queue, and a later
    /// capture tries again.
    fn start(&self, now: Instant) {
        if self.started.load(Ordering::Acquire) {
            return;
        }
        let mut start_at = self.start_at.lock();
        if self.started.load(Ordering::Acquire) || start_at.is_some_and(|at| now < at) {
            return;
        }
        let outbox = self.outbox.clone();
        match (self.outbox.spawn)("vmod-sentry", Box::new(move || Sender::new(outbox).run())) {
            Ok(()) => self.started.store(true, Ordering::Release),
            Err(error) => {
                *start_at = Some(now + THREAD_INTERVAL);
                drop(start_at);
                self.outbox.stats.add(Counter::ThreadFailures, 1);
                self.outbox.note(Topic::ThreadFailed, now, format_args!("no thread for the sender, {error}"));
                self.outbox.fault(&error);
            }
        }
    }

    /// There never was a sender: either nothing was captured, or its thread could not be started.
    fn end_without_sender(&self) -> bool {
        let left = self.outbox.queue.clear();
        let empty = left.is_empty();
        self.outbox.lose_all(Reason::Closed, left, self.outbox.clock.now());
        let late = self.outbox.queue.end(empty);
        self.outbox.lose_all(Reason::Closed, late, self.outbox.clock.now());
        empty
    }
}

/// What is left of a client that was closed: maybe a sender at work. Keeps nothing of it in memory.
pub struct Draining {
    outbox: Weak<Outbox>,
}

impl Draining {
    /// Whether the sender has ended.
    pub fn is_over(&self) -> bool {
        self.outbox.strong_count() == 0
    }

    /// Waits for the end, as [`Client::shutdown`]; `true` if nothing was left, or the end came before.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        let Some(outbox) = self.outbox.upgrade() else { return true };
        end(&outbox, deadline)
    }
}

/// Has the sender drain the queue and waits for its end; at `deadline` it is made to end.
fn end(outbox: &Outbox, deadline: Instant) -> bool {
    let last_send = outbox.last_send(deadline);
    outbox.queue.drain(last_send);
    if let Some(drained) = outbox.queue.wait_for_end(last_send, &*outbox.clock) {
        return drained;
    }
    if last_send < deadline {
        // What is on its way comes back, and goes to the spool with the rest.
        outbox.abort();
        if let Some(drained) = outbox.queue.wait_for_end(deadline, &*outbox.clock) {
            return drained;
        }
    }
    let left = outbox.queue.clear();
    outbox.lose_all(Reason::Closed, left, deadline);
    outbox.abort();
    false
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.outbox.availability() != Availability::Closed {
            self.close();
        }
    }
}
