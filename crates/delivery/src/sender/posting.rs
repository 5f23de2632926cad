// SPDX-License-Identifier: BSD-2-Clause
//! What the sender sends next, and whether it may: what was encoded ahead, a client report, an entry from the spool or from the queue.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use protocol::category::{Categories, Category};

use super::cargo::{Cargo, Load};
use super::connections::InFlight;
use super::machine::{MIN_AHEAD, Machine, REPORT_INTERVAL};
use super::message::Action;
use super::routes::Route;
use crate::counters::Counter;
use crate::queue::{Open, Outlook, Phase};

impl Machine {
    /// Sends something, or gets ready to; `false` if there is nothing to do now.
    pub(super) fn send_one(&mut self, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        let open = self.shut_lanes(look, now);
        self.ask_spool(look, now);
        if !self.has_width(now) {
            return self.encode_ahead(open.all, now, wall);
        }
        let Some(place) = self.connections.idle() else {
            let has_work = open.all > 0 || self.ahead.is_some() || self.has_other_work(look, open, now);
            return has_work && (self.connect(now) || self.free_a_place(now)) || self.encode_ahead(open.all, now, wall);
        };
        self.send_ahead(place, look, now)
            || self.send_report(place, look, open, now, wall)
            || self.send_spooled(place, look, now, wall)
            || self.send_queued(place, look, now, wall)
    }

    /// Whether an entry could be sent at once.
    pub(super) fn can_post(&self, now: Instant) -> bool {
        self.has_width(now) && self.connections.has_place(now)
    }

    /// Whether an entry of a long queue is to be encoded, if it cannot be sent: not while the server fails, for then there is nothing to hurry for.
    pub(super) fn wants_ahead(&self, now: Instant) -> bool {
        self.ahead.is_none() && !self.is_ahead_spent && !self.home_fails(now)
    }

    /// Whether one more request may be under way, as far as the server's pace goes. Those from before a failure say nothing of it.
    fn has_width(&self, now: Instant) -> bool {
        self.young(now, |_| true) < self.pacer.width()
    }

    /// How many requests there are that began after the last failure of their server, on the routes that are asked for.
    fn young(&self, now: Instant, of: impl Fn(&Route) -> bool) -> usize {
        let is_young = |flight: &&InFlight| {
            let route = self.routes.get(flight.load.route).filter(|route| of(route));
            route.is_some_and(|route| route.look(now, None).failed_at.is_none_or(|failed_at| flight.began >= failed_at))
        };
        self.connections.in_flight().filter(is_young).count()
    }

    /// Whether something may be sent there now. A server that fails gets one request at a time, whoever sends to it.
    fn is_open(&self, route: &Route, look: &Outlook, now: Instant) -> bool {
        // Who waits for delivery does not wait for the server's convenience, too.
        let rests = look.waiter.is_none() && self.pacer.until(now).is_some();
        let seen = route.look(now, look.waiter);
        let same = |other: &Route| Arc::ptr_eq(&other.breaker, &route.breaker);
        !rests && seen.until.is_none() && (!seen.is_failing || self.young(now, same) == 0)
    }

    /// Keeps what may not be sent now in the queue; how many may.
    fn shut_lanes(&mut self, look: &Outlook, now: Instant) -> Open {
        let shut: Vec<bool> = self.routes.iter().map(|route| !self.is_open(route, look, now)).collect();
        let is_shut = |route: Option<usize>| route.and_then(|route| shut.get(route)).copied().unwrap_or_default();
        self.state.queue.shut(&|dsn| is_shut(self.routes.find(dsn)))
    }

    /// Whether there is something to send besides what waits in the queue.
    fn has_other_work(&self, look: &Outlook, open: Open, now: Instant) -> bool {
        let has_spooled = self.spooling.as_ref().is_some_and(|spooling| spooling.ready.is_some());
        self.due_report(look, open, now).is_some() || has_spooled && self.may_send_spooled(look, now)
    }

    /// Starts one more connection, if there may be one.
    pub(super) fn connect(&mut self, now: Instant) -> bool {
        let place = self.connections.start(now);
        self.actions.extend(place.map(Action::Start));
        place.is_some()
    }

    /// Ends the oldest request if all connections are taken by requests from before a failure.
    fn free_a_place(&mut self, now: Instant) -> bool {
        let Some(place) = self.connections.oldest_of_all() else { return false };
        self.abort(place, now);
        true
    }

    pub(super) fn abort(&mut self, place: usize, now: Instant) {
        self.connections.abort(place, now);
        self.actions.push(Action::Abort(place));
    }

    fn send_ahead(&mut self, place: usize, look: &Outlook, now: Instant) -> bool {
        let route = self.ahead.as_ref().and_then(|ahead| self.routes.get(ahead.load.route));
        if !route.is_some_and(|route| self.is_open(route, look, now)) {
            return false;
        }
        let Some(ahead) = self.ahead.take() else { return false };
        self.post(place, ahead, look, now);
        true
    }

    fn send_report(&mut self, place: usize, look: &Outlook, open: Open, now: Instant, wall: SystemTime) -> bool {
        let Some(route) = self.due_report(look, open, now) else { return false };
        self.post_report(place, route, look, now, wall)
    }

    /// Posts what was lost, alone.
    pub(super) fn post_report(
        &mut self,
        place: usize,
        route: usize,
        look: &Outlook,
        now: Instant,
        wall: SystemTime,
    ) -> bool {
        let report = self.routes.get(route).and_then(|route| route.report()?.take(wall));
        if report.is_none() {
            return false;
        }
        let load = Load { cargo: Cargo::Report, report, route, may: Categories::ALL };
        let Some(encoded) = self.encode(load, now, wall) else { return false };
        self.state.ledger.add(Counter::Reports, 1);
        self.post(place, encoded, look, now);
        true
    }

    /// A route with a client report that has to travel alone now. One that can ride is not in a hurry.
    fn due_report(&self, look: &Outlook, open: Open, now: Instant) -> Option<usize> {
        let ahead = self.ahead.as_ref().map(|ahead| ahead.load.route);
        let can_ride = |place| ahead == Some(place) || open.home > 0 && self.routes.home() == Some(place);
        let is_due = |place| self.report_due(place, now).is_some_and(|due| due <= now) && !can_ride(place);
        let mut routes = self.routes.iter().enumerate();
        routes.find(|(place, route)| is_due(*place) && self.is_open(route, look, now)).map(|(place, _)| place)
    }

    /// When a client report may travel alone; `None` if there is nothing to report.
    pub(super) fn report_due(&self, place: usize, now: Instant) -> Option<Instant> {
        let route = self.routes.get(place)?;
        route.report().filter(|_| self.state.settings.send_client_reports)?;
        let pauses = [route.limited_until(Category::Internal, now), route.look(now, None).until];
        Some(pauses.into_iter().flatten().fold(route.reported_at + REPORT_INTERVAL, Instant::max))
    }

    /// Asks for the oldest entry of the spool, so that it is there when it may be sent.
    fn ask_spool(&mut self, look: &Outlook, now: Instant) {
        let is_quiet = self.is_quiet(look);
        if self.is_time_for_spooled(look, now)
            && let Some(spooling) = &mut self.spooling
            && spooling.due(is_quiet).is_some_and(|due| due <= now)
        {
            spooling.ask(now);
            self.actions.push(Action::Take);
        }
    }

    /// Sends the entry that came from the spool.
    fn send_spooled(&mut self, place: usize, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        if !self.may_send_spooled(look, now) {
            return false;
        }
        let Some(spooling) = &mut self.spooling else { return false };
        let Some(spooled) = spooling.ready.take() else { return false };
        spooling.had_turn = true;
        let Some(route) = self.routes.home() else { return false };
        if let Some(encoded) = self.load(Cargo::Spooled(spooled), route, false, now, wall) {
            self.state.ledger.add(Counter::Retries, 1);
            self.post(place, encoded, look, now);
        }
        true
    }

    fn is_quiet(&self, look: &Outlook) -> bool {
        look.waiting == 0 && self.ahead.is_none()
    }

    /// While the server fails a spooled entry is tried only if there is no fresh one; and at the end what is on disk stays there.
    fn is_time_for_spooled(&self, look: &Outlook, now: Instant) -> bool {
        let is_idle = look.phase == Phase::Open && !look.is_half_full && (self.is_quiet(look) || !self.home_fails(now));
        is_idle && self.routes.at_home().is_some_and(|home| self.is_open(home, look, now))
    }

    fn may_send_spooled(&self, look: &Outlook, now: Instant) -> bool {
        // A server that takes its time leaves no pause between two: then they take turns.
        let has_turn = self.spooling.as_ref().is_some_and(|spooling| self.is_quiet(look) || !spooling.had_turn);
        has_turn && self.is_time_for_spooled(look, now)
    }

    pub(super) fn home_fails(&self, now: Instant) -> bool {
        self.routes.at_home().is_some_and(|home| home.look(now, None).is_failing)
    }

    fn send_queued(&mut self, place: usize, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        let Some(cargo) = self.state.queue.take().map(Cargo::Queued) else { return false };
        if let Some(encoded) = self.prepare(cargo, false, now, wall) {
            if let Some(spooling) = &mut self.spooling {
                spooling.had_turn = false;
            }
            self.post(place, encoded, look, now);
        }
        true
    }

    /// Encodes the next entry of a long queue.
    fn encode_ahead(&mut self, open: usize, now: Instant, wall: SystemTime) -> bool {
        if !self.wants_ahead(now) || open < MIN_AHEAD {
            return false;
        }
        let Some(cargo) = self.state.queue.take().map(Cargo::Queued) else { return false };
        self.ahead = self.prepare(cargo, true, now, wall);
        true
    }
}
