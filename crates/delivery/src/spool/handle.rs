// SPDX-License-Identifier: BSD-2-Clause
//! A client's end of a spool. No call touches the disk or waits for it.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::client::User;
use super::condition::Condition;
use super::entry::Lease;
use super::inbox::{Inbox, Next, Operation};
use super::operation::Fate;
use super::worker::{Place, Worker};
use super::written::Written;
use crate::counters::Counter;
use crate::journal::Topic;
use crate::spawn::Spawn;

/// A spool, whoever uses it.
pub struct Spool {
    inbox: Arc<Inbox>,
    /// Locked by the thread, for as long as it runs.
    worker: Mutex<Worker>,
}

impl Spool {
    pub fn new(place: Place) -> Spool {
        let inbox = Arc::new(Inbox::default());
        Spool { inbox: inbox.clone(), worker: Mutex::new(Worker::new(inbox, place)) }
    }

    /// Whether there is nothing in it to be remembered.
    pub fn is_forgettable(&self) -> bool {
        self.worker.try_lock().is_some_and(|worker| worker.is_forgettable())
    }

    fn run(&self) {
        let _running = Running(&self.inbox);
        // The thread before this one may be about to end.
        let mut worker = self.worker.lock();
        loop {
            match self.inbox.next(worker.patience()) {
                Next::Operation(operation) => worker.work(Some(operation)),
                Next::Alarm => worker.work(None),
                Next::End => return,
            }
        }
    }
}

/// Should a thread end by a panic, the next operation starts another one.
struct Running<'a>(&'a Inbox);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.thread_failed();
        }
    }
}

/// A client's spool; dropping it lets go of it: what is not done is not, which its client is told before, and leases end.
pub struct SpoolHandle {
    spool: Arc<Spool>,
    user: Arc<User>,
    spawn: Spawn,
}

impl SpoolHandle {
    pub(super) fn new(spool: Arc<Spool>, user: User, spawn: Spawn) -> SpoolHandle {
        let handle = SpoolHandle { spool, user: Arc::new(user), spawn };
        handle.ask(Operation::Join(handle.user.clone()));
        handle
    }

    /// Asks for an entry to be put in; [`super::operation::Reply::Kept`] will come, maybe within this call.
    pub fn keep(&self, ticket: u64, written: Written) {
        self.ask(Operation::Keep { user: self.user.clone(), ticket, written });
    }

    /// Asks for the oldest entry that nobody is sending; [`super::operation::Reply::Taken`] will come, maybe within this call.
    pub fn take(&self) {
        self.ask(Operation::Take(self.user.clone()));
    }

    /// Says what became of an entry that was taken. A lease that has ended settles nothing.
    pub fn settle(&self, lease: Lease, fate: Fate) {
        self.ask(Operation::Settle { user: self.user.clone(), lease, fate });
    }

    /// How it is now; a short lock.
    pub fn condition(&self) -> Condition {
        if self.spool.inbox.is_left_alone() {
            self.start();
        }
        self.spool.inbox.condition()
    }

    fn ask(&self, operation: Operation) {
        if self.spool.inbox.push(operation) {
            self.start();
        }
    }

    fn start(&self) {
        let spool = self.spool.clone();
        if let Err(error) = (self.spawn)("sentry-spool", Box::new(move || spool.run())) {
            let User { client, clock, .. } = &*self.user;
            client.ledger.add(Counter::ThreadFailures, 1);
            let text = format_args!("the spool's thread cannot be started: {error}");
            client.notices.note(Topic::ThreadFailed, clock.now(), text);
            self.spool.inbox.thread_failed();
        }
    }
}

impl Drop for SpoolHandle {
    fn drop(&mut self) {
        if self.spool.inbox.leave(self.user.number) {
            self.start();
        }
    }
}

impl fmt::Debug for SpoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolHandle").field("user", &self.user).finish_non_exhaustive()
    }
}
