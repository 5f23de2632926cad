// SPDX-License-Identifier: BSD-2-Clause
//! Where a client sends to: its own DSN, and those that entries name. They come from the configuration, so they are few.

use std::sync::Arc;
use std::time::Instant;

use protocol::category::{Categories, Category};
use protocol::client_report::ClientReport;
use protocol::dsn::Dsn;
use protocol::sdk::SDK;

use crate::connection::request::Target;
use crate::shared::breaker::{Breaker, Look};
use crate::shared::destination::Destination;
use crate::state::State;

/// One destination.
pub struct Route {
    /// `None` if what is sent needs no server.
    pub dsn: Option<Arc<Dsn>>,
    pub target: Arc<Target>,
    pub destination: Option<Arc<Destination>>,
    pub breaker: Arc<Breaker>,
    /// When the last client report left, on its own or with an entry.
    pub reported_at: Instant,
}

impl Route {
    fn new(dsn: Arc<Dsn>, destination: Arc<Destination>, breaker: Arc<Breaker>, now: Instant) -> Route {
        let target = Target { url: dsn.envelope_url(), auth: dsn.auth_header(SDK) };
        let (dsn, destination) = (Some(dsn), Some(destination));
        Route { dsn, target: Arc::new(target), destination, breaker, reported_at: now }
    }

    pub fn look(&self, now: Instant, waiter: Option<Instant>) -> Look {
        self.breaker.look(now, waiter)
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

/// All of a client. A place stays what it is.
#[derive(Default)]
pub struct Routes {
    list: Vec<Route>,
    home: Option<usize>,
}

impl Routes {
    pub fn get(&self, place: usize) -> Option<&Route> {
        self.list.get(place)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut Route> {
        self.list.get_mut(place)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.list.iter()
    }

    /// The place of the one to the client's own DSN, once that is known.
    pub fn home(&self) -> Option<usize> {
        self.home
    }

    /// The one to the client's own DSN, or to what needs none.
    pub fn at_home(&self) -> Option<&Route> {
        self.get(self.home?)
    }

    /// Finds the way home if it can be known by now; whether it is new.
    pub fn find_home(&mut self, state: &State, now: Instant) -> bool {
        if self.home.is_some() {
            return false;
        }
        let route = match state.home() {
            Some(home) => Route::new(home.dsn.clone(), home.destination.clone(), home.breaker.clone(), now),
            None if state.settings.works_without_dsn() => {
                let (dsn, target, destination, breaker) = Default::default();
                Route { dsn, target, destination, breaker, reported_at: now }
            }
            None => return false,
        };
        self.home = Some(self.list.len());
        self.list.push(route);
        true
    }

    /// The place of the one for an entry that names `dsn`, or none; `None` while home is not known.
    pub fn of(&mut self, dsn: Option<&Arc<Dsn>>, state: &State, now: Instant) -> Option<usize> {
        let Some(dsn) = dsn else { return self.home };
        let found = self.list.iter().position(|route| route.dsn.as_ref() == Some(dsn));
        found.or_else(|| {
            let destination = state.shared.destination(dsn, now);
            let breaker = state.shared.breaker(dsn, &state.settings.server.way, now);
            self.list.push(Route::new(dsn.clone(), destination, breaker, now));
            Some(self.list.len() - 1)
        })
    }

    /// As [`Routes::of`], without making one.
    pub fn find(&self, dsn: Option<&Arc<Dsn>>) -> Option<usize> {
        match dsn {
            None => self.home,
            Some(_) => self.list.iter().position(|route| route.dsn.as_ref() == dsn),
        }
    }
}
