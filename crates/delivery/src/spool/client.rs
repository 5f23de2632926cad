// SPDX-License-Identifier: BSD-2-Clause
//! What a spool knows of the clients that use it.

use std::fmt;
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
pub struct Users(Vec<Arc<User>>);

impl Users {
    pub fn join(&mut self, user: Arc<User>) {
        self.0.push(user);
    }

    pub fn leave(&mut self, number: u64) {
        self.0.retain(|user| user.number != number);
    }

    pub fn all(&self) -> &[Arc<User>] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose settings count.
    pub fn newest(&self) -> Option<&Arc<User>> {
        self.0.last()
    }

    /// Counts and logs a problem for each; a name that has several counts it once.
    pub fn complain(&self, topic: Topic, now: Instant, quantity: u64, text: fmt::Arguments<'_>) {
        for (place, user) in self.0.iter().enumerate() {
            let has_counted = |other: &Arc<User>| Arc::ptr_eq(&other.client.ledger, &user.client.ledger);
            let is_counted = self.0.iter().take(place).any(has_counted);
            user.complain(topic, now, if is_counted { 0 } else { quantity }, text);
        }
    }

    /// Puts what was lost in the spool into the newest client's report.
    pub fn report(&self, lost: &[impl AsRef<[Part]>]) {
        if let Some(newest) = self.newest() {
            lost.iter().for_each(|parts| newest.report(parts.as_ref(), Reason::CacheOverflow));
        }
    }
}
