// SPDX-License-Identifier: BSD-2-Clause
//! What a spool knows of the clients that use it.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use protocol::client_report::ClientReport;
use protocol::entry::Part;
use protocol::reason::Reason;

use super::operation::Reply;
use crate::clock::Clock;
use crate::counters::{Counter, Ledger};
use crate::journal::{Notices, Topic};
use crate::settings::SpoolSettings;

/// Handed in when a client opens a spool.
pub struct SpoolClient {
    /// What was found counts here if this client has opened the spool.
    pub ledger: Arc<Ledger>,
    /// Where entries count that the spool drops; `None` for a client that reports nothing.
    pub report: Option<Arc<ClientReport>>,
    pub notices: Arc<Notices>,
    /// Takes replies. It is called under a lock of the spool's: it must neither wait nor call the spool.
    pub replies: Box<dyn Fn(Reply) + Send + Sync>,
}

/// A client that has a handle.
pub struct User {
    pub number: u64,
    pub client: SpoolClient,
    pub settings: SpoolSettings,
    pub clock: Arc<dyn Clock>,
}

impl User {
    /// Counts and logs a problem.
    pub fn complain(&self, topic: Topic, now: Instant, quantity: u64, text: fmt::Arguments<'_>) {
        self.client.ledger.add(Counter::SpoolFailures, quantity);
        self.note(topic, now, text);
    }

    pub fn note(&self, topic: Topic, now: Instant, text: fmt::Arguments<'_>) {
        let folder = self.settings.folder.display();
        self.client.notices.note(topic, now, format_args!("spool {folder}: {text}"));
    }

    /// Tells the server of parts that it will not get.
    pub fn report(&self, lost: &[Part], reason: Reason) {
        if let Some(report) = &self.client.report {
            lost.iter().for_each(|part| report.record(part.category, reason, part.quantity));
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("number", &self.number).finish_non_exhaustive()
    }
}

/// All clients that have a handle.
#[derive(Debug, Default)]
pub struct Users {
    all: Vec<Arc<User>>,
    /// How much of the disk may be taken, and in whose numbers it says so.
    bound: (u64, Vec<Arc<Ledger>>),
}

impl Users {
    pub fn join(&mut self, user: Arc<User>) {
        self.all.push(user);
        self.tell_bound();
    }

    pub fn leave(&mut self, number: u64) {
        self.all.retain(|user| user.number != number);
        self.tell_bound();
    }

    pub fn all(&self) -> &[Arc<User>] {
        &self.all
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whose settings count.
    pub fn newest(&self) -> Option<&Arc<User>> {
        self.all.last()
    }

    /// Counts and logs a problem for each; a name that has several counts it once.
    pub fn complain(&self, topic: Topic, now: Instant, quantity: u64, text: fmt::Arguments<'_>) {
        for (place, user) in self.all.iter().enumerate() {
            user.complain(topic, now, if self.is_first(place, user) { quantity } else { 0 }, text);
        }
    }

    /// Has each name say once what the newest client's bound is.
    fn tell_bound(&mut self) {
        let all = self.all.iter().enumerate();
        let firsts = all.filter(|(place, user)| self.is_first(*place, user));
        let ledgers = firsts.map(|(_, user)| user.client.ledger.clone()).collect();
        let bytes = self.newest().map_or(0, |newest| newest.settings.bytes);
        let (before, those) = mem::replace(&mut self.bound, (bytes, ledgers));
        self.bound.1.iter().for_each(|ledger| ledger.add(Counter::SpoolMaxBytes, bytes));
        those.iter().for_each(|ledger| ledger.sub(Counter::SpoolMaxBytes, before));
    }

    /// Whether nobody before that place has the same name's numbers.
    fn is_first(&self, place: usize, user: &User) -> bool {
        let is_the_same = |other: &Arc<User>| Arc::ptr_eq(&other.client.ledger, &user.client.ledger);
        !self.all.iter().take(place).any(is_the_same)
    }

    /// Puts what was lost in the spool into the newest client's report.
    pub fn report(&self, lost: &[impl AsRef<[Part]>]) {
        if let Some(newest) = self.newest() {
            lost.iter().for_each(|parts| newest.report(parts.as_ref(), Reason::CacheOverflow));
        }
    }
}
