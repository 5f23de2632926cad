// SPDX-License-Identifier: BSD-2-Clause
//! What the sender sends next, and whether it may: what was encoded ahead, a client report, an entry from the spool or from the queue.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use protocol::category::{Categories, Category};
use protocol::dsn::Dsn;

use super::cargo::{Cargo, Load};
use super::connections::InFlight;
use super::machine::{MIN_AHEAD, Machine, REPORT_INTERVAL};
use super::message::Action;
use super::routes::{Route, Server};
use super::spooling::Spooling;
use crate::counters::Counter;
use crate::queue::{Open, Outlook, Passage, Phase};

impl Machine {
    /// Sends something, or gets ready to; `false` if there is nothing to do now.
    pub(super) fn send_one(&mut self, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        let open = self.judge_lanes(look, now);
        let is_quiet = self.is_quiet(open);
        self.ask_spools(look, is_quiet, now);
        if !self.has_any_width(now) {
            return self.encode_ahead(open, now, wall);
        }
        let Some(place) = self.connections.idle() else {
            let has_work = open.now > 0 || self.can_send_ahead(look, now) || self.has_other_work(look, is_quiet, now);
            return has_work && (self.connect(now) || self.free_a_place(now)) || self.encode_ahead(open, now, wall);
        };
        self.send_ahead(place, look, now)
            || self.send_report(place, look, now, wall)
            || self.send_spooled(place, look, is_quiet, now, wall)
            || self.send_queued(place, look, now, wall)
            || self.encode_ahead(open, now, wall)
    }

    /// Whether an entry could be sent at once, as far as servers are known.
    pub(super) fn can_post(&self, now: Instant) -> bool {
        self.has_any_width(now) && self.connections.has_place(now)
    }

    /// Whether an entry of a long queue is to be encoded, if it cannot be sent: not while a server fails, for then there is nothing to hurry for.
    pub(super) fn wants_ahead(&self, now: Instant) -> bool {
        let fails = |server: &Server| server.breaker.look(now, None).is_failing;
        self.ahead.is_none() && !self.is_ahead_spent && !self.routes.servers().iter().any(fails)
    }

    /// Whether one more request to a server may be under way, as far as its pace goes. Those from before a failure say nothing of it.
    fn has_width(&self, place: usize, server: &Server, now: Instant) -> bool {
        self.young(place, now) < server.pacer.width()
    }

    /// Whether there is a server to which one more may be, or none that is known yet.
    fn has_any_width(&self, now: Instant) -> bool {
        let servers = self.routes.servers();
        servers.is_empty() || servers.iter().enumerate().any(|(place, server)| self.has_width(place, server, now))
    }

    /// How many requests there are to the server at that place which began after its last failure.
    fn young(&self, server: usize, now: Instant) -> usize {
        let is_there = |flight: &&InFlight| self.routes.get(flight.load.route).is_some_and(|to| to.server == server);
        self.connections.in_flight().filter(is_there).filter(|flight| self.is_young(flight, now)).count()
    }

    fn is_young(&self, flight: &InFlight, now: Instant) -> bool {
        let failed_at = self.routes.look(flight.load.route, now, None).failed_at;
        failed_at.is_none_or(|failed_at| flight.began >= failed_at)
    }

    /// How far what goes to a server may pass. One that fails gets one request at a time, whoever sends to it.
    fn passage(&self, place: usize, server: &Server, look: &Outlook, now: Instant) -> Passage {
        // Who waits for delivery does not wait for the server's convenience, too.
        let rests = look.waiter.is_none() && server.pacer.until(now).is_some();
        let seen = server.breaker.look(now, look.waiter);
        match () {
            () if rests || seen.until.is_some() || seen.is_failing && self.young(place, now) > 0 => Passage::Shut,
            () if self.has_width(place, server, now) => Passage::Now,
            () => Passage::Next,
        }
    }

    /// How far what goes by that route may pass.
    fn passage_by(&self, route: usize, look: &Outlook, now: Instant) -> Passage {
        let of = |route: &Route| Some((route.server, self.routes.servers().get(route.server)?));
        let server = self.routes.get(route).and_then(of);
        server.map_or(Passage::Shut, |(place, server)| self.passage(place, server, look, now))
    }

    fn is_open(&self, route: usize, look: &Outlook, now: Instant) -> bool {
        self.passage_by(route, look, now) == Passage::Now
    }

    /// Keeps what may not be sent now in the queue; how many may. Of what is new there, route and spool are made.
    fn judge_lanes(&mut self, look: &Outlook, now: Instant) -> Open {
        loop {
            let servers = self.routes.servers().iter().enumerate();
            let passages: Vec<_> = servers.map(|(place, server)| self.passage(place, server, look, now)).collect();
            let mut new: Vec<Arc<Dsn>> = Vec::new();
            let open = self.state.queue.judge(&mut |dsn| {
                let route = self.routes.find(dsn);
                if route.is_none_or(|route| self.spoolless(route).is_some()) {
                    new.extend(dsn.cloned());
                }
                let passage = route.and_then(|route| passages.get(self.routes.get(route)?.server));
                passage.copied().unwrap_or(Passage::Now)
            });
            if new.is_empty() {
                return open;
            }
            for dsn in &new {
                let route = self.routes.of(Some(dsn), &self.state, now);
                route.into_iter().for_each(|route| self.open_spool_of(route, now));
            }
        }
    }

    /// Whether there is something to send besides what waits in the queue.
    fn has_other_work(&self, look: &Outlook, is_quiet: bool, now: Instant) -> bool {
        self.due_report(look, now).is_some() || self.next_spooled(look, is_quiet, now).is_some()
    }

    /// Starts one more connection, if there may be one.
    pub(super) fn connect(&mut self, now: Instant) -> bool {
        let place = self.connections.start(now);
        self.actions.extend(place.map(Action::Start));
        place.is_some()
    }

    /// Ends the oldest request from before a failure if all connections are taken.
    fn free_a_place(&mut self, now: Instant) -> bool {
        let Some(place) = self.connections.oldest_of_all(|flight| !self.is_young(flight, now)) else { return false };
        self.abort(place, now);
        true
    }

    pub(super) fn abort(&mut self, place: usize, now: Instant) {
        self.connections.abort(place, now);
        self.actions.push(Action::Abort(place));
    }

    fn can_send_ahead(&self, look: &Outlook, now: Instant) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| self.is_open(ahead.load.route, look, now))
    }

    fn send_ahead(&mut self, place: usize, look: &Outlook, now: Instant) -> bool {
        if !self.can_send_ahead(look, now) {
            return false;
        }
        let Some(ahead) = self.ahead.take() else { return false };
        self.post(place, ahead, look, now);
        true
    }

    fn send_report(&mut self, place: usize, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        let Some(route) = self.due_report(look, now) else { return false };
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
    fn due_report(&self, look: &Outlook, now: Instant) -> Option<usize> {
        let ahead = self.ahead.as_ref().map(|ahead| ahead.load.route);
        let can_ride = |place, route: &Route| {
            let named = route.dsn.as_ref().filter(|_| self.routes.home() != Some(place));
            ahead == Some(place) || self.state.queue.is_open_for(named)
        };
        let is_due = |place| self.report_due(place, now).is_some_and(|due| due <= now);
        let mut routes = self.routes.iter().enumerate();
        let found =
            routes.find(|(place, route)| is_due(*place) && self.is_open(*place, look, now) && !can_ride(*place, route));
        found.map(|(place, _)| place)
    }

    /// When a client report may travel alone; `None` if there is nothing to report.
    pub(super) fn report_due(&self, place: usize, now: Instant) -> Option<Instant> {
        let route = self.routes.get(place)?;
        route.report().filter(|_| self.state.settings.send_client_reports)?;
        let pauses = [route.limited_until(Category::Internal, now), self.routes.look(place, now, None).until];
        Some(pauses.into_iter().flatten().fold(route.reported_at + REPORT_INTERVAL, Instant::max))
    }

    /// Asks spools for their oldest entries, so that they are there when they may be sent; a few at a time, for they are in memory then.
    fn ask_spools(&mut self, look: &Outlook, is_quiet: bool, now: Instant) {
        let places = self.spoolings.iter().enumerate();
        let is_due = |spooling: &Spooling| spooling.due(is_quiet).is_some_and(|due| due <= now);
        let due = places.filter(|(_, spooling)| is_due(spooling) && self.is_time_for(spooling, look, is_quiet, now));
        let mut due: Vec<_> = due.map(|(place, spooling)| (spooling.asked_at(), place)).collect();
        due.sort_unstable();
        let busy = self.spoolings.iter().filter(|spooling| spooling.is_busy()).count();
        let room = (self.state.settings.server.connections + 1).saturating_sub(busy);
        for (_, place) in due.into_iter().take(room) {
            if let Some(spooling) = self.spoolings.get_mut(place) {
                spooling.ask(now);
                self.actions.push(Action::Take(place));
            }
        }
    }

    /// The place of the spool whose entry is to be sent next, of those that came.
    fn next_spooled(&self, look: &Outlook, is_quiet: bool, now: Instant) -> Option<usize> {
        // A server that takes its time leaves no pause between two: then they take turns with what is in the queue.
        if self.spoolings.had_turn && !is_quiet {
            return None;
        }
        let ready = self.spoolings.iter().enumerate().filter(|(_, spooling)| spooling.ready.is_some());
        let open = ready.filter(|(_, spooling)| {
            self.is_time_for(spooling, look, is_quiet, now) && self.is_open(spooling.route, look, now)
        });
        open.min_by_key(|(_, spooling)| spooling.asked_at()).map(|(place, _)| place)
    }

    fn send_spooled(&mut self, place: usize, look: &Outlook, is_quiet: bool, now: Instant, wall: SystemTime) -> bool {
        let Some(spool) = self.next_spooled(look, is_quiet, now) else { return false };
        let Some(spooling) = self.spoolings.get_mut(spool) else { return false };
        let Some(spooled) = spooling.ready.take() else { return false };
        let route = spooling.route;
        self.spoolings.had_turn = true;
        if let Some(encoded) = self.load(Cargo::Spooled(spooled), route, false, now, wall) {
            self.state.ledger.add(Counter::Retries, 1);
            self.post(place, encoded, look, now);
        }
        true
    }

    /// Whether there is nothing but what comes from spools.
    fn is_quiet(&self, open: Open) -> bool {
        open.next == 0 && self.ahead.is_none()
    }

    /// While the server fails a spooled entry is tried only if there is no fresh one; and at the end what is on disk stays there.
    fn is_time_for(&self, spooling: &Spooling, look: &Outlook, is_quiet: bool, now: Instant) -> bool {
        let fails = self.routes.look(spooling.route, now, None).is_failing;
        let is_idle = look.phase == Phase::Open && !look.is_half_full && (is_quiet || !fails);
        is_idle && self.passage_by(spooling.route, look, now) >= Passage::Next
    }

    fn send_queued(&mut self, place: usize, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        let Some(cargo) = self.state.queue.take(Passage::Now).map(Cargo::Queued) else { return false };
        if let Some(encoded) = self.prepare(cargo, false, now, wall) {
            self.spoolings.had_turn = false;
            self.post(place, encoded, look, now);
        }
        true
    }

    /// Encodes the next entry of a long queue.
    fn encode_ahead(&mut self, open: Open, now: Instant, wall: SystemTime) -> bool {
        if open.next < MIN_AHEAD || !self.wants_ahead(now) {
            return false;
        }
        let Some(cargo) = self.state.queue.take(Passage::Next).map(Cargo::Queued) else { return false };
        self.ahead = self.prepare(cargo, true, now, wall);
        true
    }
}
