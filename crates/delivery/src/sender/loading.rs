// SPDX-License-Identifier: BSD-2-Clause
//! Entries on their way into a request and, should it not be made, back to where they were.

use std::time::{Duration, Instant, SystemTime};

use protocol::category::{Categories, Category};
use protocol::client_report::Taken;
use protocol::entry::{Entry, Part};
use protocol::reason::Reason;

use super::cargo::{Cargo, Encoded, Load};
use super::machine::{FRESH, Machine};
use super::message::Action;
use crate::connection::request::Request;
use crate::counters::Counter;
use crate::queue::{Outlook, Phase, Queued, going};
use crate::spool::entry::Lease;
use crate::spool::operation::Fate;

/// Between two client reports that ride with entries encoded ahead: in a flood there is something with every one.
const RIDE_INTERVAL: Duration = Duration::from_secs(1);
/// The least a request gets, however near the end is.
const LEAST: Duration = Duration::from_millis(1);

impl Machine {
    /// Puts an entry into words that is to be sent, now or next; `None` if it came to its end or back to where it was.
    pub(super) fn prepare(&mut self, cargo: Cargo, is_ahead: bool, now: Instant, wall: SystemTime) -> Option<Encoded> {
        let dsn = cargo.entry().and_then(|entry| entry.dsn());
        match self.routes.of(dsn, &self.state, now) {
            Some(route) => self.load(cargo, route, is_ahead, now, wall),
            None => {
                if let Cargo::Queued(queued) = cargo {
                    self.discard_queued(&queued, Reason::NoDsn);
                }
                None
            }
        }
    }

    pub(super) fn load(
        &mut self,
        cargo: Cargo,
        route: usize,
        is_ahead: bool,
        now: Instant,
        wall: SystemTime,
    ) -> Option<Encoded> {
        let (may, cargo) = self.free_of_limits(cargo, route, now)?;
        let report = self.ride(route, is_ahead, now, wall);
        self.encode(Load { cargo, report, route, may }, now, wall)
    }

    /// Which categories of it may leave now; `None` if that is nothing: what came from the spool goes back there.
    fn free_of_limits(&mut self, cargo: Cargo, route: usize, now: Instant) -> Option<(Categories, Cargo)> {
        let before = if let Cargo::Queued(queued) = &cargo { queued.may } else { Categories::ALL };
        let may = self.routes.get(route).map_or(before, |route| route.may_leave(before, now));
        let parts = cargo.entry().map(|entry| entry.parts()).unwrap_or_default();
        let left = going(parts, may).count();
        match cargo {
            Cargo::Spooled(spooled) if left == 0 => {
                let until = |part: &Part| self.routes.get(route)?.limited_until(part.category, now);
                let until = spooled.parts().iter().filter_map(until).max();
                let fate = Fate::Kept { counts: false, reason: Reason::RatelimitBackoff };
                let place = self.routes.get(route).and_then(|route| route.spooling)?;
                self.actions.push(Action::Settle(place, spooled.lease(), fate));
                if let (Some(spooling), Some(until)) = (self.spoolings.get_mut(place), until) {
                    spooling.wait_until(until);
                }
                None
            }
            Cargo::Queued(queued) if left == 0 => {
                self.discard_queued(&queued, Reason::RatelimitBackoff);
                None
            }
            cargo => Some((may, cargo)),
        }
    }

    /// Takes along what there is to report.
    fn ride(&self, route: usize, is_ahead: bool, now: Instant, wall: SystemTime) -> Option<Taken> {
        let route = self.routes.get(route)?;
        let is_soon = is_ahead && now.saturating_duration_since(route.reported_at) < RIDE_INTERVAL;
        if is_soon || !self.state.settings.send_client_reports || route.limited_until(Category::Internal, now).is_some()
        {
            return None;
        }
        route.report()?.take(wall)
    }

    /// `None` if there is nothing in it to send, which is a fault of ours.
    pub(super) fn encode(&mut self, load: Load, now: Instant, wall: SystemTime) -> Option<Encoded> {
        let mut body = self.spare.pop().unwrap_or_default();
        let load = self.hand.insert(load);
        let dsn = self.routes.get(load.route).and_then(|route| route.dsn.as_deref());
        let (entry, report) = (load.cargo.entry(), load.report.as_ref().map(Taken::payload));
        let has_items = self.encoder.encode(entry, report, dsn, load.may, wall, &mut body);
        let load = self.hand.take()?;
        if has_items {
            return Some(Encoded { load, body, at: now });
        }
        self.reuse(body);
        self.discard(load, Reason::InternalSdkError);
        None
    }

    /// Posts it on an idle connection.
    pub(super) fn post(&mut self, place: usize, encoded: Encoded, look: &Outlook, now: Instant) {
        let Encoded { mut load, body, .. } = encoded;
        let ledger = &self.state.ledger;
        if let Cargo::Queued(queued) = &mut load.cargo {
            self.state.narrow(queued, load.may, Reason::RatelimitBackoff);
            ledger.add(Counter::Retries, u64::from(queued.posts > 0));
            queued.posts += 1;
        }
        ledger.add(Counter::Requests, 1);
        ledger.add(Counter::BodyBytes, body.bytes.len() as u64);
        let Some(route) = self.routes.get_mut(load.route) else { return };
        if load.report.is_some() {
            route.reported_at = now;
        }
        let target = route.target.clone();
        let timeout = match look.phase {
            Phase::Draining { last_send, .. } => last_send.saturating_duration_since(now),
            Phase::Open | Phase::Ended { .. } => Duration::MAX,
        };
        let timeout = timeout.min(self.state.settings.server.timeout).max(LEAST);
        let ticket = self.connections.launch(place, load, now, timeout);
        self.actions.push(Action::Post(place, Request { ticket, target, body, timeout }));
    }

    /// Throws away what was encoded ahead if it is old, or a limit, a failure or the end concerns it: entry and report go back to their places.
    pub(super) fn drop_stale_ahead(&mut self, look: &Outlook, now: Instant) -> bool {
        let Some(ahead) = &self.ahead else { return false };
        let is_old = ahead.at + FRESH <= now;
        let may_send = match look.phase {
            Phase::Open => true,
            Phase::Draining { last_send, .. } => now < last_send,
            Phase::Ended { .. } => false,
        };
        let holds = self.routes.get(ahead.load.route).is_some_and(|route| {
            let before = if let Cargo::Queued(queued) = &ahead.load.cargo { queued.may } else { Categories::ALL };
            let is_failing = self.routes.look(ahead.load.route, now, None).is_failing;
            !is_failing && route.may_leave(before, now) == ahead.load.may
        });
        if !is_old && may_send && holds {
            return false;
        }
        // Nothing is encoded over and over: whatever spoke against this one speaks against the next.
        self.is_ahead_spent = true;
        if let Some(Encoded { load, body, .. }) = self.ahead.take() {
            self.reuse(body);
            self.put_report_back(&load);
            if let Cargo::Queued(queued) = load.cargo {
                self.put_back(queued);
            }
        }
        true
    }

    /// An entry goes back to its place, from where it is tried again.
    pub(super) fn put_back(&self, queued: Queued) {
        if let Err(late) = self.state.queue.put_back(queued) {
            self.state.lose(&late, Reason::Closed);
        }
    }

    pub(super) fn put_report_back(&self, load: &Load) {
        let destination = self.routes.get(load.route).and_then(|route| route.destination.as_ref());
        if let (Some(destination), Some(taken)) = (destination, &load.report) {
            destination.report.put_back(taken);
        }
    }

    /// An entry is given up, on its way to a request or in it.
    pub(super) fn discard(&mut self, load: Load, reason: Reason) {
        self.put_report_back(&load);
        match load.cargo {
            Cargo::Queued(queued) => self.discard_queued(&queued, reason),
            Cargo::Spooled(spooled) => self.settle_spooled(load.route, spooled.lease(), Fate::Dropped(reason)),
            Cargo::Report => {}
        }
    }

    pub(super) fn discard_queued(&self, queued: &Queued, reason: Reason) {
        self.state.lose(queued, reason);
        self.state.queue.settle(queued, false);
    }

    /// Tells the spool of the route's project what became of an entry that came from there.
    pub(super) fn settle_spooled(&mut self, route: usize, lease: Lease, fate: Fate) {
        if let Some(place) = self.routes.get(route).and_then(|route| route.spooling) {
            self.actions.push(Action::Settle(place, lease, fate));
        }
    }
}
