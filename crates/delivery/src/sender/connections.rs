// SPDX-License-Identifier: BSD-2-Clause
//! The connections of a client, each idle or with a request under way, which is known by its ticket.

use std::mem;
use std::time::{Duration, Instant};

use super::cargo::Load;
use crate::connection::request::Ticket;

/// How long one without work keeps its thread.
const IDLE: Duration = Duration::from_secs(30);
/// Between two attempts to start a thread.
const THREAD_INTERVAL: Duration = Duration::from_secs(10);
/// What an outcome may be late by. After that the connection is taken for broken.
const GRACE: Duration = Duration::from_secs(1);

/// A request under way.
pub struct InFlight {
    pub ticket: Ticket,
    pub load: Load,
    pub began: Instant,
    /// When its outcome must have come.
    pub deadline: Instant,
    /// It was ended by us.
    pub is_aborted: bool,
}

enum Place {
    Absent,
    Starting,
    Idle(Instant),
    Busy(Box<InFlight>),
}

/// As many places as there may be connections.
pub struct Connections {
    places: Vec<Place>,
    /// When a thread may be started again.
    start_at: Instant,
    next_ticket: u64,
}

impl Connections {
    /// None is open.
    pub fn new(most: usize, now: Instant) -> Connections {
        let places = (0..most.max(1)).map(|_| Place::Absent).collect();
        Connections { places, start_at: now, next_ticket: 0 }
    }

    /// One that waits for a request.
    pub fn idle(&self) -> Option<usize> {
        self.places.iter().position(|place| matches!(place, Place::Idle(_)))
    }

    /// A place for one more to be started at, which is done then: [`Connections::started`] says what came of it.
    pub fn start(&mut self, now: Instant) -> Option<usize> {
        if !self.may_start(now) {
            return None;
        }
        let absent = self.places.iter().position(|place| matches!(place, Place::Absent))?;
        *self.places.get_mut(absent)? = Place::Starting;
        Some(absent)
    }

    /// Whether a request could be made now, or a connection for it be started.
    pub fn has_place(&self, now: Instant) -> bool {
        self.idle().is_some() || self.may_start(now) && self.places.iter().any(|place| matches!(place, Place::Absent))
    }

    fn may_start(&self, now: Instant) -> bool {
        now >= self.start_at && !self.places.iter().any(|place| matches!(place, Place::Starting))
    }

    /// A thread could be started or not; one that could not is tried again after a while.
    pub fn started(&mut self, place: usize, started: bool, now: Instant) {
        if let Some(place) = self.places.get_mut(place) {
            *place = if started { Place::Idle(now) } else { Place::Absent };
        }
        if !started {
            self.start_at = now + THREAD_INTERVAL;
        }
    }

    /// The ticket of a request that is about to be made at an idle place.
    pub fn launch(&mut self, place: usize, load: Load, began: Instant, timeout: Duration) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let in_flight = InFlight { ticket, load, began, deadline: began + timeout + GRACE, is_aborted: false };
        if let Some(place) = self.places.get_mut(place) {
            *place = Place::Busy(Box::new(in_flight));
        }
        ticket
    }

    /// The request with that ticket, which has ended; `None` if it was given up.
    pub fn land(&mut self, ticket: Ticket, now: Instant) -> Option<InFlight> {
        let is_it = |place: &Place| matches!(place, Place::Busy(in_flight) if in_flight.ticket == ticket);
        let place = self.places.iter_mut().find(|place| is_it(place))?;
        in_flight(mem::replace(place, Place::Idle(now)))
    }

    /// One whose outcome did not come in time, with its place, which is free then.
    pub fn expired(&mut self, now: Instant) -> Option<(usize, InFlight)> {
        let is_late = |place: &Place| matches!(place, Place::Busy(in_flight) if in_flight.deadline <= now);
        let found = self.places.iter().position(is_late)?;
        let place = self.places.get_mut(found)?;
        Some((found, in_flight(mem::replace(place, Place::Absent))?))
    }

    /// One that has had no work for a while; its place is free then.
    pub fn unused(&mut self, now: Instant) -> Option<usize> {
        let is_unused = |place: &Place| matches!(place, Place::Idle(since) if *since + IDLE <= now);
        let found = self.places.iter().position(is_unused)?;
        *self.places.get_mut(found)? = Place::Absent;
        Some(found)
    }

    pub fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.places.iter().filter_map(|place| match place {
            Place::Busy(in_flight) => Some(&**in_flight),
            _ => None,
        })
    }

    /// The place of the oldest request that `is_meant` if there is one at every place, and none is being ended.
    pub fn oldest_of_all(&self, is_meant: impl Fn(&InFlight) -> bool) -> Option<usize> {
        fn busy(place: &Place) -> Option<&InFlight> {
            match place {
                Place::Busy(in_flight) if !in_flight.is_aborted => Some(in_flight),
                _ => None,
            }
        }
        let all: Option<Vec<&InFlight>> = self.places.iter().map(busy).collect();
        let meant = all?.into_iter().enumerate().filter(|(_, in_flight)| is_meant(in_flight));
        meant.min_by_key(|(_, in_flight)| in_flight.began).map(|(place, _)| place)
    }

    /// Whether a request is under way, or a connection being started.
    pub fn is_in_use(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Busy(_) | Place::Starting))
    }

    /// The places with a request that is not ended yet.
    pub fn busy(&self) -> Vec<usize> {
        let is_busy = |place: &Place| matches!(place, Place::Busy(in_flight) if !in_flight.is_aborted);
        self.places.iter().enumerate().filter(|(_, place)| is_busy(place)).map(|(place, _)| place).collect()
    }

    /// The request there is being ended: its outcome has to come soon.
    pub fn abort(&mut self, place: usize, now: Instant) {
        if let Some(Place::Busy(in_flight)) = self.places.get_mut(place) {
            in_flight.is_aborted = true;
            in_flight.deadline = in_flight.deadline.min(now + GRACE);
        }
    }

    /// Takes all requests, whatever becomes of them.
    pub fn give_up(&mut self) -> Vec<InFlight> {
        self.places.iter_mut().map(|place| mem::replace(place, Place::Absent)).filter_map(in_flight).collect()
    }

    /// When the next of these things happens.
    pub fn alarms(&self) -> impl Iterator<Item = Instant> {
        let of = |place: &Place| match place {
            Place::Busy(in_flight) => Some(in_flight.deadline),
            Place::Idle(since) => Some(*since + IDLE),
            Place::Absent | Place::Starting => None,
        };
        self.places.iter().filter_map(of).chain([self.start_at])
    }
}

fn in_flight(place: Place) -> Option<InFlight> {
    match place {
        Place::Busy(in_flight) => Some(*in_flight),
        Place::Absent | Place::Starting | Place::Idle(_) => None,
    }
}
