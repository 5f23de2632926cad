// SPDX-License-Identifier: BSD-2-Clause
//! The one that touches the disk: it does one operation at a time for all clients of a spool, on a thread of its own, and replies.
//!
//! Nothing that is wrong with the disk fails anything: what cannot be used is said, counted, and tried again after a pause.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::category::Categories;
use protocol::reason::Reason;

use super::age::Start;
use super::client::{User, Users};
use super::condition::Condition;
use super::disk::{Open, Unusable};
use super::entry::{Lease, SpooledEntry};
use super::file::Contents;
use super::folder::{Folder, Unread};
use super::inbox::{Inbox, Operation, Patience};
use super::key::Key;
use super::operation::{Fate, Reply};
use super::trouble::Trouble;
use super::written::Written;
use crate::counters::{Counter, Tally};
use crate::journal::Topic;
use crate::owner::owner;

/// How often a server that takes other entries may fail on this one.
const MAX_TRIES: u32 = 10;
/// A thread that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(2);

/// Where a spool is.
pub struct Place {
    pub root: PathBuf,
    /// Of the folder below.
    pub name: String,
    pub open: Open,
    /// Of the process.
    pub start: Start,
}

/// What is to be sent next.
enum Next {
    Entry(Box<Contents>),
    Nothing,
}

/// What a spool's thread works on; it stays when the thread has ended.
pub struct Worker {
    inbox: Arc<Inbox>,
    place: Place,
    folder: Folder,
    users: Users,
    having: Trouble,
    writing: Trouble,
    draining: Trouble,
    last_error: Option<String>,
    /// The lease of an entry that has not been handed over yet.
    unanswered: Option<Lease>,
}

impl Worker {
    pub fn new(inbox: Arc<Inbox>, place: Place) -> Worker {
        let (having, writing, draining) = Default::default();
        let (users, folder) = (Users::default(), Folder::default());
        Worker { inbox, place, folder, users, having, writing, draining, last_error: None, unanswered: None }
    }

    /// Whether nothing would be lost without it: nobody uses it, and there is nothing to be remembered.
    pub fn is_forgettable(&self) -> bool {
        self.users.is_empty() && self.folder.index.load().0 == 0 && self.folder.is_clean()
    }

    /// How long to wait for the next operation.
    pub fn patience(&self) -> Patience {
        let Some(newest) = self.users.newest() else { return Patience::Idle(Duration::ZERO) };
        let having = self.having.until.filter(|_| !self.folder.is_open());
        let alarm = [having, self.writing.until, self.draining.until].into_iter().flatten().min();
        alarm.map_or(Patience::Idle(IDLE), |alarm| Patience::Alarm(alarm.saturating_duration_since(newest.clock.now())))
    }

    /// Does an operation, or what is due without one; whatever happens, it is replied to.
    pub fn work(&mut self, operation: Option<Operation>) {
        if catch_unwind(AssertUnwindSafe(|| self.perform(operation))).is_err() {
            self.recover();
        }
        self.publish();
        self.inbox.refuse();
    }

    /// After a panic: whatever was half done is given up, and not begun again at once.
    fn recover(&mut self) {
        if let Some(lease) = self.unanswered.take() {
            self.folder.index.release(lease);
        }
        let Some(newest) = self.users.newest() else { return };
        let now = newest.clock.now();
        newest.client.ledger.add(Counter::Panics, 1);
        newest.note(Topic::Panic, now, format_args!("its thread panicked, going on"));
        self.having.pause(now);
        self.writing.pause(now);
        self.draining.pause(now);
    }

    fn perform(&mut self, operation: Option<Operation>) {
        match operation {
            None => {}
            Some(Operation::Leave(number)) => return self.leave(number),
            Some(Operation::Join(user)) => return self.join(user),
            Some(Operation::Keep { user, ticket, mut written }) => {
                let now = user.clock.now();
                self.catch_up(now);
                written.leave_out();
                self.keep(ticket, &written, now);
            }
            Some(Operation::Take(user)) => {
                let now = user.clock.now();
                self.catch_up(now);
                self.take(&user, now);
            }
            Some(Operation::Settle { user, lease, fate }) => self.settle(&user, lease, fate, user.clock.now()),
        }
        if let Some(now) = self.now() {
            self.catch_up(now);
            self.try_again(now);
        }
    }

    fn now(&self) -> Option<Instant> {
        self.users.newest().map(|newest| newest.clock.now())
    }

    /// Does what is due.
    fn catch_up(&mut self, now: Instant) {
        let is_due = self.having.is_due(now);
        if !self.folder.is_open() && (is_due || !self.having.is_pausing()) {
            self.open(now);
        }
        self.writing.is_due(now);
        if self.draining.is_due(now) && !self.folder.is_clean() && self.remove_rest(now) {
            self.draining.end();
        }
    }

    /// Tries what has failed, and what nobody has asked for since: what works again is said to work.
    fn try_again(&mut self, now: Instant) {
        if !self.folder.is_open() {
            return;
        }
        if self.writing.is_to_be_tried() {
            match self.folder.try_write() {
                Ok(()) => self.writing.end(),
                Err(error) => self.write_failed(&error, now),
            }
        }
        if self.draining.is_to_be_tried() && self.trim(now) && self.remove_rest(now) && self.next_entry(now).is_some() {
            self.draining.end();
        }
    }

    fn join(&mut self, user: Arc<User>) {
        let now = user.clock.now();
        let before = self.texts();
        self.users.join(user.clone());
        self.having.until = None;
        let was_open = self.folder.is_open();
        self.catch_up(now);
        if was_open {
            self.greet(&user, now);
            self.trim(now);
        }
        // What is new was said to all.
        for (before, text) in before.iter().zip(&self.texts()) {
            if let Some(text) = text.as_ref().filter(|_| before == text) {
                user.complain(Topic::SpoolUnusable, now, 1, format_args!("{text}"));
            }
        }
        // It may have looked at the condition before any of this, and missed what the others were told.
        self.publish();
        self.inbox.welcome(&user);
    }

    fn texts(&self) -> [Option<String>; 3] {
        [&self.having, &self.writing, &self.draining].map(|trouble| trouble.text.clone())
    }

    fn greet(&self, user: &User, now: Instant) {
        let entries = self.folder.index.load().0;
        let Place { root, name, .. } = &self.place;
        let text = format_args!("spool {}/{name}: {entries} entries", root.display());
        user.client.notices.note(Topic::SpoolReady, now, text);
    }

    fn leave(&mut self, number: u64) {
        self.folder.index.release_all(number);
        self.users.leave(number);
        if self.users.is_empty() {
            self.folder.close();
            self.having.end();
            self.writing.end();
            self.draining.end();
        }
    }

    fn open(&mut self, now: Instant) {
        let Some(newest) = self.users.newest().cloned() else { return };
        let Place { root, name, open, .. } = &self.place;
        match self.folder.open(open, root, name, &newest.client.ledger) {
            Ok(opened) => {
                self.having.end();
                self.writing.end();
                self.draining.end();
                self.users.all().iter().for_each(|user| self.greet(user, now));
                if opened.foreign > 0 {
                    self.complain(
                        Topic::SpoolDamaged,
                        now,
                        opened.foreign,
                        &format!("{} foreign files, left alone", opened.foreign),
                    );
                }
                if !opened.damaged.is_empty() {
                    let number = opened.damaged.len();
                    self.users.report(&opened.damaged);
                    self.complain(
                        Topic::SpoolDamaged,
                        now,
                        number as u64,
                        &format!("{number} files of a wrong length, removed"),
                    );
                }
                if opened.gone > 0 {
                    self.complain(Topic::SpoolDamaged, now, 1, &format!("{} entries have gone", opened.gone));
                }
                if !self.folder.is_clean() {
                    self.remove_rest(now);
                }
                self.trim(now);
            }
            Err(refused) => {
                let text = match refused {
                    Unusable::Taken => format!(
                        "{name} is in use by another varnishd or another copy of this module, going on without; give each its own"
                    ),
                    Unusable::Unsafe(problem) => {
                        format!("{problem}, going on without; expected a folder owned by {}, mode 0700", owner())
                    }
                    Unusable::Io(error) => {
                        format!("{error}, going on without; expected a folder owned by {}, mode 0700", owner())
                    }
                };
                if self.having.begin(now, &text) {
                    self.complain(Topic::SpoolUnusable, now, 1, &text);
                }
            }
        }
    }

    fn keep(&mut self, ticket: u64, written: &Written, now: Instant) {
        let Some(newest) = self.users.newest() else { return };
        let most = newest.settings.bytes;
        if !self.folder.is_open() || self.writing.is_pausing() || written.parts.is_empty() {
            return;
        }
        // What cannot be removed must not make it grow.
        if self.folder.is_over(most) && !self.trim(now) {
            return;
        }
        let Some(key) = self.folder.vacant(Key::new(written.at, written.id)) else { return };
        match self.folder.write(key, written, most) {
            Ok(stored) => {
                self.folder.index.insert(stored);
                self.writing.end();
                self.publish();
                if self.inbox.reply(Reply::Kept { ticket, kept: true }) {
                    let parts = written.parts.iter().map(|(part, _)| part);
                    parts.for_each(|part| written.ledger.tell(part.category, Tally::SpoolWritten, part.quantity));
                    self.trim(now);
                } else {
                    // Its client has left meanwhile, and counts it as lost.
                    self.folder.remove(key);
                    self.remove_rest(now);
                }
            }
            Err(error) => self.write_failed(&error, now),
        }
    }

    fn write_failed(&mut self, error: &io::Error, now: Instant) {
        let text = format!("{error}, going on without");
        match error.kind() {
            // The entry's fault, not the disk's.
            io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidFilename => {
                self.complain(Topic::SpoolUnusable, now, 1, "an entry is larger than it takes");
            }
            // The folder has gone.
            io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle => {
                self.folder.close();
                if self.having.begin(now, &text) {
                    self.complain(Topic::SpoolUnusable, now, 1, &text);
                }
            }
            _ => {
                if self.writing.begin(now, &text) {
                    self.complain(Topic::SpoolUnusable, now, 1, &text);
                }
            }
        }
    }

    fn take(&mut self, user: &User, now: Instant) {
        if !self.folder.is_open() || self.draining.is_pausing() || !self.folder.is_clean() || !self.trim(now) {
            return;
        }
        let Some(Next::Entry(contents)) = self.next_entry(now) else { return };
        let Some((lease, stored)) = self.folder.index.lease(contents.key, user.number) else { return };
        let entry = SpooledEntry::new(lease, *contents, stored.ledger.clone());
        self.unanswered = Some(lease);
        self.draining.end();
        self.publish();
        if !self.inbox.reply(Reply::Taken(Some(entry))) {
            self.folder.index.release(lease);
        }
        self.unanswered = None;
    }

    /// Reads the entry that is to be sent next; `None` if the draining has to pause.
    fn next_entry(&mut self, now: Instant) -> Option<Next> {
        while let Some(key) = self.folder.index.next().map(|stored| stored.key) {
            match self.folder.read(key) {
                Ok(contents) => return Some(Next::Entry(Box::new(contents))),
                Err(Unread::Lost(lost, problem)) => {
                    self.users.report(&[lost]);
                    self.complain(Topic::SpoolDamaged, now, 1, &problem);
                    if !self.remove_rest(now) {
                        return None;
                    }
                }
                Err(Unread::Kept(error)) => {
                    if is_its_own(&error) {
                        self.folder.index.put_behind(key);
                    }
                    self.drain_failed(now, &format!("the file of entry {} cannot be read: {error}", key.id()));
                    return None;
                }
            }
        }
        Some(Next::Nothing)
    }

    fn drain_failed(&mut self, now: Instant, text: &str) {
        if self.draining.begin(now, text) {
            self.complain(Topic::SpoolDamaged, now, 1, text);
        }
    }

    /// Removes what should have been; `false` if it cannot be, and nothing is sent from here until it can.
    fn remove_rest(&mut self, now: Instant) -> bool {
        match self.folder.remove_rest() {
            Ok(()) => true,
            Err(error) => {
                self.drain_failed(now, &format!("a file that is done with cannot be removed, sending none: {error}"));
                false
            }
        }
    }

    fn settle(&mut self, user: &User, lease: Lease, fate: Fate, now: Instant) {
        let key = lease.key;
        if self.folder.index.release(lease).is_none() {
            return;
        }
        let (may, reason) = match fate {
            Fate::Sent => (Categories::ALL, Reason::InternalSdkError),
            Fate::SentPartly { may, reason } => (may, reason),
            Fate::Dropped(reason) => (Categories::NONE, reason),
            Fate::Kept { counts: true, reason } if self.folder.index.fail(key) >= MAX_TRIES => {
                (Categories::NONE, reason)
            }
            Fate::Kept { .. } => return,
        };
        let lost = self.folder.settle(key, may, reason);
        user.report(&lost, reason);
        self.remove_rest(now);
    }

    /// Keeps to the bounds of the newest client; `false` if that is not possible.
    fn trim(&mut self, now: Instant) -> bool {
        let Some(newest) = self.users.newest().cloned() else { return true };
        if !self.folder.is_open() {
            return true;
        }
        let wall = self.place.start.believed(now, newest.clock.wall());
        let mut lost = Vec::new();
        let trimmed = self.folder.trim(newest.settings.bytes, newest.settings.age, wall, &mut lost);
        if !lost.is_empty() {
            self.users.report(&lost);
            let number = lost.len();
            newest.note(Topic::SpoolFull, now, format_args!("full or too old, dropped the oldest: {number}"));
        }
        if let Err(error) = &trimmed {
            self.drain_failed(now, &format!("a file that is done with cannot be removed, sending none: {error}"));
        }
        trimmed.is_ok()
    }

    fn complain(&mut self, topic: Topic, now: Instant, quantity: u64, text: &str) {
        self.users.complain(topic, now, quantity, format_args!("{text}"));
        self.last_error = Some(format!("spool {}: {text}", self.place.root.display()));
    }

    fn publish(&self) {
        let (entries, bytes) = self.folder.index.load();
        let is_open = self.folder.is_open();
        let drains = is_open && !self.draining.is_pausing() && self.folder.is_clean();
        let condition = Condition {
            usable: is_open && !self.writing.is_pausing(),
            failing: self.texts().iter().any(Option::is_some),
            ready: if drains { self.folder.index.ready() } else { 0 },
            entries,
            bytes,
            last_error: self.last_error.clone(),
        };
        self.inbox.publish(condition, self.users.all());
    }
}

/// Whether an error is about this file, and not about the process or the machine.
fn is_its_own(error: &io::Error) -> bool {
    ![libc::EMFILE, libc::ENFILE, libc::ENOMEM].map(Some).contains(&error.raw_os_error())
}
