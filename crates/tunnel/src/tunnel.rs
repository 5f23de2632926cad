// SPDX-License-Identifier: BSD-2-Clause
//! The whole: requests in, entries and answers out. Any thread calls; locks are held for a look-up.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use delivery::shared::destination::Destination;
use event::rules::ignore::{Rule, RuleError};
use protocol::dsn::Dsn;
use serde::Serialize;

use crate::answer::Answer;
use crate::count::Figures;
use crate::destinations::BadLine;
use crate::request::Request;
use crate::settings::Settings;
use crate::sink::Sink;

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: SystemTime,
}

/// A body as it came, or why there is none.
pub type Body = Result<Vec<u8>, NoBody>;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBody {
    /// It is larger than `max_body`, and was read to its end or not.
    TooLarge,
    /// It did not come within `body_timeout`.
    Late,
    /// It broke off.
    Failed,
    /// It had been taken before.
    Taken,
    /// The server had no storage for it.
    NoStorage,
}

/// One tunnel.
pub struct Tunnel {
    settings: Settings,
}

/// A request whose body may be read. While it lives it is one of `max_readers`.
pub struct Ticket<'t, 'r> {
    tunnel: &'t Tunnel,
    request: Request<'r>,
}

impl Tunnel {
    /// Makes one with the DSNs of its settings. `random` is asked for seeds, shares and ids; `destination` for what is known of a DSN that it sends to.
    pub fn new(
        settings: Settings,
        random: fn() -> u64,
        destination: &dyn Fn(&Arc<Dsn>) -> Arc<Destination>,
        now: Instant,
    ) -> Tunnel {
        let _ = (random, destination, now);
        Tunnel { settings }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes the DSNs in a `dsn_file`'s text in place of those it had from it; those of its settings stay. What is wrong with lines, at most 20 of them; they are skipped. Requests go on meanwhile.
    pub fn set_file(&self, text: &str, destination: &dyn Fn(&Arc<Dsn>) -> Arc<Destination>) -> Vec<BadLine> {
        let _ = (text, destination);
        todo!()
    }

    /// The DSNs it sends to, `upstream` taken into account: those of its settings, then those of the file.
    pub fn dsns(&self) -> Vec<Arc<Dsn>> {
        todo!()
    }

    /// The path that the JavaScript SDK posts to by `tunnel: true`, of the `number`th DSN from 1 on; `None` if there are not so many.
    pub fn path(&self, number: i64) -> Option<String> {
        let _ = number;
        todo!()
    }

    /// Adds a rule: what matches is ignored. A level or text that the envelope does not say matches nothing.
    pub fn ignore(&self, rule: &Arc<Rule>) -> Result<(), RuleError> {
        let _ = rule;
        todo!()
    }

    /// Ignores noise that has no cause in the site from now on.
    pub fn ignore_builtin(&self) {
        todo!()
    }

    /// Asks whether the body of a request may be read, by all that is known before: method, length, key, rates, readers. The answer if not, without a look at the body.
    pub fn admit<'t, 'r>(&'t self, request: &Request<'r>, now: Instant) -> Result<Ticket<'t, 'r>, Answer> {
        let _ = now;
        Ok(Ticket { tunnel: self, request: *request })
    }

    /// What became of all requests, as one line of JSON.
    pub fn count<D: Serialize>(&self, figures: &Figures<D>) -> String {
        let _ = figures;
        todo!()
    }
}

impl Ticket<'_, '_> {
    /// Whether there is a body to read: a GET of `store/` brings what it has in its URL, and is accepted with an empty one.
    pub fn wants_body(&self) -> bool {
        let _ = (self.tunnel, self.request);
        todo!()
    }

    /// Judges what came, and hands what is to be sent on to `sink`.
    pub fn accept(self, body: Body, at: Moment, sink: &mut dyn Sink) -> Answer {
        let _ = (body, at, sink);
        todo!()
    }
}
