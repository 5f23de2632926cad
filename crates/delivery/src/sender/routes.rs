// SPDX-License-Identifier: BSD-2-Clause
//! Where a client sends to: its own DSN, and those that entries name; and the servers that those lead to. All of them come from the configuration, so they are
//! bounded, but they may be some hundreds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use protocol::category::{Categories, Category};
use protocol::client_report::ClientReport;
use protocol::dsn::Dsn;
use protocol::sdk::SDK;

use super::pacer::Pacer;
use crate::connection::request::Target;
use crate::settings;
use crate::shared::breaker::{Breaker, Look};
use crate::shared::destination::Destination;
use crate::state::State;

/// One destination.
pub struct Route {
    /// `None` if what is sent needs no server.
    pub dsn: Option<Arc<Dsn>>,
    pub target: Arc<Target>,
    pub destination: Option<Arc<Destination>>,
    /// The place of its server.
    pub server: usize,
    /// The place of its project's spool, once there is one.
    pub spooling: Option<usize>,
    /// When the last client report left, on its own or with an entry.
    pub reported_at: Instant,
}

impl Route {
    fn is_of_project_of(&self, dsn: Option<&Dsn>) -> bool {
        self.dsn.as_ref().zip(dsn).is_some_and(|(own, dsn)| own.is_of_same_project(dsn))
    }

    /// What is to be reported there; `None` if nothing is.
    pub fn report(&self) -> Option<&ClientReport> {
        self.destination.as_ref().map(|known| &*known.report).filter(|report| report.is_pending())
    }

    /// Those of `categories` that may leave.
    pub fn may_leave(&self, categories: Categories, now: Instant) -> Categories {
        self.destination.as_ref().map_or(categories, |known| known.may_leave(categories, now))
    }

    /// Until when nothing of the category may leave.
    pub fn limited_until(&self, category: Category, now: Instant) -> Option<Instant> {
        self.destination.as_ref().and_then(|known| known.until(category, now))
    }
}

/// What answers, whatever the project.
pub struct Server {
    pub breaker: Arc<Breaker>,
    pub pacer: Pacer,
}

/// All of a client. A place stays what it is.
pub struct Routes {
    list: Vec<Route>,
    places: HashMap<Arc<Dsn>, usize>,
    servers: Vec<Server>,
    home: Option<usize>,
    /// Of a server of which nothing is known yet.
    pacer: Pacer,
}

impl Routes {
    pub fn new(server: &settings::Server) -> Routes {
        let (list, places, servers) = Default::default();
        Routes { list, places, servers, home: None, pacer: Pacer::new(server.connections, server.max_interval) }
    }

    pub fn get(&self, place: usize) -> Option<&Route> {
        self.list.get(place)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut Route> {
        self.list.get_mut(place)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.list.iter()
    }

    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of the route at that place.
    pub fn server(&self, place: usize) -> Option<&Server> {
        self.servers.get(self.get(place)?.server)
    }

    pub fn server_mut(&mut self, place: usize) -> Option<&mut Server> {
        let server = self.get(place)?.server;
        self.servers.get_mut(server)
    }

    /// How the server is of the route at that place.
    pub fn look(&self, place: usize, now: Instant, waiter: Option<Instant>) -> Look {
        self.server(place).map(|server| server.breaker.look(now, waiter)).unwrap_or_default()
    }

    /// The place of the one to the client's own DSN, once that is known.
    pub fn home(&self) -> Option<usize> {
        self.home
    }

    /// Finds the way home if it can be known by now; whether it is new.
    pub fn find_home(&mut self, state: &State, now: Instant) -> bool {
        if self.home.is_some() {
            return false;
        }
        let home = match state.home() {
            Some(home) => self.add(Some((&home.dsn, &home.destination)), &home.breaker, now),
            None if state.settings.works_without_dsn() => self.add(None, &Arc::default(), now),
            None => return false,
        };
        let dsn = self.get(home).and_then(|route| route.dsn.clone());
        self.places.extend(dsn.map(|dsn| (dsn, home)));
        self.home = Some(home);
        true
    }

    /// The place of the one for an entry that names `dsn`, or none; `None` while home is not known.
    pub fn of(&mut self, dsn: Option<&Arc<Dsn>>, state: &State, now: Instant) -> Option<usize> {
        let Some(dsn) = dsn else { return self.home };
        let known = self.places.get(dsn).copied();
        Some(known.unwrap_or_else(|| {
            let destination = state.shared.destination(dsn, now);
            let breaker = state.shared.breaker(dsn, &state.settings.server.way, now);
            let place = self.add(Some((dsn, &destination)), &breaker, now);
            self.places.insert(dsn.clone(), place);
            place
        }))
    }

    /// As [`Routes::of`], without making one.
    pub fn find(&self, dsn: Option<&Arc<Dsn>>) -> Option<usize> {
        match dsn {
            None => self.home,
            Some(dsn) => self.places.get(dsn).copied(),
        }
    }

    /// Has all routes to the project of `dsn` know their spool's place.
    pub fn set_spooling(&mut self, dsn: &Dsn, spooling: usize) {
        let leads_there = self.list.iter_mut().filter(|route| route.is_of_project_of(Some(dsn)));
        leads_there.for_each(|route| route.spooling = Some(spooling));
    }

    fn add(&mut self, known: Option<(&Arc<Dsn>, &Arc<Destination>)>, breaker: &Arc<Breaker>, now: Instant) -> usize {
        let same = self.servers.iter().position(|server| Arc::ptr_eq(&server.breaker, breaker));
        let server = same.unwrap_or_else(|| {
            self.servers.push(Server { breaker: breaker.clone(), pacer: self.pacer.clone() });
            self.servers.len() - 1
        });
        let target = known.map(|(dsn, _)| Target { url: dsn.envelope_url(), auth: dsn.auth_header(SDK) });
        let (dsn, destination) = known.map(|(dsn, destination)| (dsn.clone(), destination.clone())).unzip();
        let of_project = self.list.iter().find(|route| route.is_of_project_of(dsn.as_deref()));
        let spooling = of_project.and_then(|route| route.spooling);
        let target = Arc::new(target.unwrap_or_default());
        self.list.push(Route { dsn, target, destination, server, spooling, reported_at: now });
        self.list.len() - 1
    }
}
