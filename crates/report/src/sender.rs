// SPDX-License-Identifier: BSD-2-Clause
//! The thread that decides what leaves and when: events out of the queue or the spool, client reports.
//!
//! It runs under `catch_unwind` and ends when the queue is drained after [`Queue::drain`](crate::queue::Queue::drain).
//! While the server keeps up and events wait, it has [`Assistant`]s send on further connections.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::assistant::Assistant;
use crate::client_report::Reason;
use crate::courier::Courier;
use crate::journal::Topic;
use crate::limits::Category;
use crate::outbox::Outbox;
use crate::queue::{Asker, Gate, Next};
use crate::spool::Spool;
use crate::stats::Counter;

/// Between two client reports that travel alone.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// Between two looks at a `dsn_file` that gave no DSN.
const DSN_INTERVAL: Duration = Duration::from_secs(10);
/// Between two attempts to start an assistant's thread.
const THREAD_INTERVAL: Duration = Duration::from_secs(10);
/// What assistants get to put what comes back to them at the end into the spool.
const LAST_SPOOLING: Duration = Duration::from_millis(100);

/// The sender of one client.
pub struct Sender {
    courier: Courier,
    /// When to look at the `dsn_file` again.
    dsn_at: Instant,
    /// When an assistant may be started again.
    assist_at: Instant,
    /// The last event came from the spool.
    was_spooled: bool,
}

impl Sender {
    pub fn new(outbox: Arc<Outbox>) -> Sender {
        let now = outbox.clock.now();
        let spool = Arc::new(Mutex::new(Spool::new(&outbox)));
        Sender { courier: Courier::new(outbox, spool), dsn_at: now, assist_at: now, was_spooled: false }
    }

    /// Sends until the queue has ended. A panic is counted, costs the event that was being sent, and is
    /// followed by a pause as after any failure.
    pub fn run(mut self) {
        while panic::catch_unwind(AssertUnwindSafe(|| self.send_all())).is_err() {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.courier.recover()));
        }
        let drained = panic::catch_unwind(AssertUnwindSafe(|| self.finish())).unwrap_or(false);
        let outbox = self.courier.outbox.clone();
        // Whoever waits for the end may want the spool's folder.
        *self.courier.spool.lock() = None;
        let late = outbox.queue.end(drained);
        outbox.lose_all(Reason::Closed, late, outbox.clock.now());
    }

    fn send_all(&mut self) {
        while self.step() {}
    }

    /// Does what is due, or waits until something is; `false` at the end.
    fn step(&mut self) -> bool {
        let outbox = self.courier.outbox.clone();
        let now = outbox.clock.now();
        self.find_target(now);
        let gate = self.gate(now);
        self.relieve_queue(gate, now);
        let can_ride = gate == Gate::Open && (outbox.queue.load().0 > 0 || self.courier.holds());
        if !can_ride && self.courier.has_target() && self.report_due(now).is_some_and(|due| due <= now) {
            self.courier.send_report(now);
            return true;
        }
        let mut alarm = self.alarm(now);
        if gate == Gate::Open
            && let Some(due) = self.spool_due()
        {
            if due <= now {
                self.was_spooled = true;
                self.courier.deliver_spooled(now);
                return true;
            }
            alarm = alarm.min(due);
        }
        match self.courier.next(Asker::Sender, gate, alarm) {
            Next::Send { entry, short_handed } => {
                if short_handed {
                    self.call_assistant(now);
                }
                self.was_spooled = false;
                self.courier.deliver(entry);
            }
            Next::Look => {}
            Next::End => return false,
        }
        true
    }

    /// Starts an assistant, if there may be one more.
    fn call_assistant(&mut self, now: Instant) {
        if now < self.assist_at {
            return;
        }
        let Some(assistant) = Assistant::new(&self.courier) else { return };
        let outbox = &self.courier.outbox;
        if let Err(error) = (outbox.spawn)("vmod-sentry-2", Box::new(move || assistant.run())) {
            self.assist_at = now + THREAD_INTERVAL;
            outbox.stats.add(Counter::ThreadFailures, 1);
            outbox.note(Topic::ThreadFailed, now, format_args!("no thread for a further connection, {error}"));
        }
    }

    fn find_target(&mut self, now: Instant) {
        if !self.courier.has_target() && now >= self.dsn_at {
            let dsn = self.courier.outbox.read_dsn(now);
            if dsn.is_some() || self.courier.outbox.settings.works_without_dsn() {
                self.courier.aim(dsn);
            }
            self.dsn_at = now + DSN_INTERVAL;
        }
    }

    /// When the next event may be sent. Without a DSN or under a limit events are dropped, not kept.
    fn gate(&self, now: Instant) -> Gate {
        let outbox = &self.courier.outbox;
        if !self.courier.has_target() {
            outbox.lose_all(Reason::NoDsn, outbox.queue.clear(), now);
            return Gate::ShutUntil(self.dsn_at);
        }
        let limit = outbox.pace().limits.until(Category::Error, now);
        if let Some(until) = limit {
            self.courier.release(now);
            outbox.lose_all(Reason::RatelimitBackoff, outbox.queue.clear(), now);
            return Gate::ShutUntil(until);
        }
        let waiter = outbox.queue.waiter();
        let pace = outbox.pace();
        // Who waits for delivery does not wait for the server's convenience, too.
        let rest = if waiter.is_none() { pace.pacer.until(now) } else { None };
        match pace.backoff.until(now, waiter).max(rest) {
            Some(until) => Gate::ShutUntil(until),
            None => Gate::Open,
        }
    }

    /// When to look again, even if nothing happens: captures that are refused do not wake the sender, so
    /// it comes by itself to see whether there is something to report.
    fn alarm(&self, now: Instant) -> Instant {
        let due = self.report_due(now).unwrap_or(now + REPORT_INTERVAL);
        if !self.courier.has_target() {
            return due.max(self.dsn_at);
        }
        let spool = self.courier.spool.lock().as_ref().and_then(|spool| spool.alarm(now));
        spool.map_or(due, |at| due.min(at))
    }

    /// When a client report may travel alone; `None` if there is nothing to report.
    fn report_due(&self, now: Instant) -> Option<Instant> {
        if !self.courier.outbox.report.is_pending() {
            return None;
        }
        let pace = self.courier.outbox.pace();
        let pauses = [pace.limits.until(Category::Internal, now), pace.backoff.until(now, None)];
        Some(pauses.into_iter().flatten().fold(self.courier.reported_at + REPORT_INTERVAL, Instant::max))
    }

    /// When to send an event from the spool. While the server fails it is tried with a fresh one, if there is
    /// one; and at the end what is on disk stays there.
    fn spool_due(&self) -> Option<Instant> {
        let queue = &self.courier.outbox.queue;
        if queue.drain_deadline().is_some() || queue.is_fuller_than(1, 2) {
            return None;
        }
        let is_quiet = queue.load().0 == 0 && !self.courier.holds();
        // A server that takes its time leaves no pause between two: then they take turns.
        if !is_quiet && (self.was_spooled || self.courier.outbox.pace().backoff.is_failing()) {
            return None;
        }
        self.courier.spool.lock().as_ref()?.due(is_quiet)
    }

    /// While the server fails, makes room in a queue that is three quarters full: the older half goes to disk.
    fn relieve_queue(&mut self, gate: Gate, now: Instant) {
        if self.courier.spool.lock().is_none() {
            return;
        }
        let can_spool = self.courier.can_spool(now);
        let is_failing = gate != Gate::Open && self.courier.outbox.pace().backoff.is_failing();
        self.courier.outbox.queue.watch(can_spool && is_failing);
        if can_spool && is_failing && self.courier.outbox.queue.is_fuller_than(3, 4) {
            while self.courier.outbox.queue.is_fuller_than(1, 2) && self.courier.spool_oldest(now) {}
        }
    }

    /// The end: what is left in the queue goes to the spool or is counted, and one last report leaves if there
    /// is time. Returns whether nothing was lost.
    fn finish(&mut self) -> bool {
        let outbox = self.courier.outbox.clone();
        if self.courier.spool.lock().is_some() {
            // Its assistants' requests end at the same deadline, and what was on its way goes to the spool.
            outbox.queue.wait_until_landed(outbox.clock.now() + LAST_SPOOLING, &*outbox.clock);
        }
        let now = outbox.clock.now();
        self.courier.release(now);
        let limited = outbox.pace().limits.until(Category::Error, now).is_some();
        let mut spooled = 0_u64;
        while !limited && self.courier.can_spool(now) && self.courier.spool_oldest(now) {
            spooled += 1;
        }
        if spooled > 0 {
            outbox.note(Topic::Ended, now, format_args!("closed with {spooled} events in the spool"));
        }
        let left = outbox.queue.clear();
        let drained = left.is_empty();
        if !drained {
            outbox.note(Topic::Ended, now, format_args!("closed with {} events not sent", left.len()));
        }
        outbox.lose_all(Reason::Closed, left, now);
        let in_time = outbox.queue.drain_deadline().is_some_and(|deadline| now < deadline);
        let free = {
            let pace = outbox.pace();
            pace.limits.until(Category::Internal, now).is_none() && pace.backoff.until(now, None).is_none()
        };
        if in_time && free && self.courier.has_target() && outbox.report.is_pending() {
            self.courier.send_report(now);
        }
        drained
    }
}

#[cfg(test)]
mod tests;
