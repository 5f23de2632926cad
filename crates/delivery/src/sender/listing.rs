// SPDX-License-Identifier: BSD-2-Clause
//! What entries may name, as it changes, and the spools that go with it. A project that may be named no more keeps what is in its spool: it is sent when the project is
//! back, by whatever key, and only then.

use std::sync::Arc;
use std::time::Instant;

use protocol::dsn::Dsn;
use protocol::reason::Reason;

use super::machine::Machine;
use super::message::Action;
use super::spooling::Spooling;
use crate::spool::operation::Fate;

impl Machine {
    /// Takes in what entries may name from now on.
    pub(super) fn take_list(&mut self, listed: Vec<Arc<Dsn>>, now: Instant) {
        if self.ending.left_spools_at.is_some() {
            // What was on its way to spools is still to be counted.
            return;
        }
        for dsn in &listed {
            // What is refused of a project that nothing is ever sent to is reported, too, and counts in a place of its own.
            self.routes.of(Some(dsn), &self.state, now);
            self.state.ledger_of(Some(dsn));
        }
        for (place, spooling) in self.spoolings.iter_mut().enumerate() {
            let found = listed.iter().find(|dsn| dsn.is_of_same_project(&spooling.dsn));
            spooling.is_unlisted = found.is_none();
            let Some((dsn, route)) = found.and_then(|dsn| Some((dsn, self.routes.find(Some(dsn))?))) else { continue };
            (spooling.dsn, spooling.route) = (dsn.clone(), route);
            if spooling.is_left {
                *spooling = Spooling::new(dsn.clone(), route, now);
                self.actions.push(Action::OpenSpool(place, dsn.clone()));
            }
        }
        self.listed = Some(listed);
        if self.state.settings.spool.is_some() {
            self.actions.push(Action::FindSpools);
        }
    }

    /// Opens the spools that an earlier process has left for projects that may be named.
    pub(super) fn take_folders(&mut self, names: &[String], now: Instant) {
        let listed = self.listed.iter().flatten();
        let found = listed.filter(|dsn| names.contains(&dsn.folder_name()));
        let routes: Vec<usize> = found.filter_map(|dsn| self.routes.find(Some(dsn))).collect();
        routes.into_iter().for_each(|route| self.open_spool_of(route, now));
    }

    /// Opens the spool of the project that a route leads to, if it is to have one.
    pub(super) fn open_spool_of(&mut self, route: usize, now: Instant) {
        let Some(dsn) = self.spoolless(route).cloned() else { return };
        let place = self.spoolings.add(Spooling::new(dsn.clone(), route, now));
        self.routes.set_spooling(&dsn, place);
        self.actions.push(Action::OpenSpool(place, dsn));
    }

    /// The DSN of a route that has no spool and is to have one.
    pub(super) fn spoolless(&self, route: usize) -> Option<&Arc<Dsn>> {
        let route = self.routes.get(route).filter(|route| route.spooling.is_none())?;
        let dsn = route.dsn.as_ref().filter(|_| self.state.settings.spool.is_some())?;
        let may_be_named = |listed: &Vec<Arc<Dsn>>| listed.iter().any(|other| other.is_of_same_project(dsn));
        self.listed.as_ref().is_none_or(may_be_named).then_some(dsn)
    }

    /// Lets go of spools whose projects may be named no more, as soon as nothing is on its way to them or from them.
    pub(super) fn leave_unlisted(&mut self) {
        for (place, spooling) in self.spoolings.iter_mut().enumerate() {
            if !spooling.is_unlisted || spooling.is_left {
                continue;
            }
            if let Some(ready) = spooling.ready.take() {
                let fate = Fate::Kept { counts: false, reason: Reason::Closed };
                self.actions.push(Action::Settle(place, ready.lease(), fate));
            }
            let spooled = self
                .connections
                .in_flight()
                .map(|flight| &flight.load)
                .chain(self.ahead.as_ref().map(|ahead| &ahead.load));
            let is_under_way = spooled.into_iter().any(|load| {
                load.is_spooled() && self.routes.get(load.route).is_some_and(|route| route.spooling == Some(place))
            });
            if !spooling.is_keeping() && !spooling.is_busy() && !is_under_way {
                spooling.leave();
                self.actions.push(Action::LeaveSpool(place));
            }
        }
    }
}
