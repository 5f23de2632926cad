// SPDX-License-Identifier: BSD-2-Clause
//! The way of entries into the spool: those that the server did not take, and the older half of a queue that gets full meanwhile.

use std::time::{Instant, SystemTime};

use protocol::reason::Reason;

use super::cargo::{Cargo, Load};
use super::machine::Machine;
use super::message::Action;
use super::spooling::Spooling;
use crate::queue::{Outlook, Queued, going};

impl Machine {
    /// Whether one more entry may be put now into the spool of the project that a route leads to.
    fn can_keep(&self, route: usize, now: Instant) -> bool {
        self.spooling_of(route).is_some_and(|spooling| spooling.takes(now))
    }

    fn spooling_of(&self, route: usize) -> Option<&Spooling> {
        self.spoolings.get(self.routes.get(route)?.spooling?)
    }

    /// Puts an entry into its project's spool; `false` if that is not possible now, and it stays where it was.
    pub(super) fn keep(&mut self, queued: Queued, now: Instant, wall: SystemTime) -> Result<(), Queued> {
        let route = self.routes.find(queued.dsn()).filter(|route| self.can_keep(*route, now));
        let place = route.and_then(|route| self.routes.get(route)?.spooling);
        let (Some(route), Some(place)) = (route, place) else { return Err(queued) };
        let may = queued.may;
        let load = self.hand.insert(Load { cargo: Cargo::Queued(queued), report: None, route, may });
        let may_leave = self.routes.get(route).map_or(may, |route| route.may_leave(may, now));
        let written = match &load.cargo {
            Cargo::Queued(queued) if going(queued.entry.parts(), may_leave).count() > 0 => {
                Some(self.encoder.write(queued, wall))
            }
            _ => None,
        };
        let Some(Load { cargo: Cargo::Queued(queued), .. }) = self.hand.take() else { return Ok(()) };
        match (written, self.spoolings.get_mut(place)) {
            (Some(Some(written)), Some(spooling)) => {
                let silent =
                    written.parts.iter().filter(|(_, items)| items.is_empty()).map(|(part, _)| *part).collect();
                self.actions.push(Action::Keep(place, spooling.keep(queued, silent), written));
            }
            (None, _) => self.discard_queued(&queued, Reason::RatelimitBackoff),
            (Some(_), _) => self.discard_queued(&queued, Reason::InternalSdkError),
        }
        Ok(())
    }

    /// What came of it.
    pub(super) fn kept(&mut self, place: usize, ticket: u64, kept: bool, now: Instant) {
        let spooling = self.spoolings.get_mut(place);
        let Some((queued, silent)) = spooling.and_then(|spooling| spooling.kept(ticket, kept, now)) else { return };
        if kept {
            self.ending.spooled += usize::from(self.ending.has_begun);
            silent.iter().for_each(|part| self.state.lose_part(&queued, part, Reason::InternalSdkError));
            self.state.queue.settle(&queued, false);
        } else {
            self.put_back(queued);
        }
    }

    /// Puts the oldest entry of the routes that `is_meant` and that have a spool which takes it there; `false` if there is none.
    pub(super) fn keep_oldest(&mut self, is_meant: impl Fn(usize) -> bool, now: Instant, wall: SystemTime) -> bool {
        let may_go = |route: usize| is_meant(route) && self.can_keep(route, now);
        let oldest = self.state.queue.take_oldest(&|dsn| self.routes.find(dsn).is_some_and(may_go));
        let Some(oldest) = oldest else { return false };
        if let Err(queued) = self.keep(oldest, now, wall) {
            self.put_back(queued);
        }
        true
    }

    /// Whether a server is left alone after a failure.
    fn is_in_pause(&self, route: usize, look: &Outlook, now: Instant) -> bool {
        let seen = self.routes.look(route, now, look.waiter);
        seen.is_failing && seen.until.is_some()
    }

    /// Whether a queue that is three quarters full could be relieved now.
    pub(super) fn can_relieve(&self, look: &Outlook, now: Instant) -> bool {
        let mut spoolings = self.spoolings.iter();
        spoolings.any(|spooling| spooling.relieves(now) && self.is_in_pause(spooling.route, look, now))
    }

    /// While a server fails, makes room in a queue that is three quarters full: the older half of what goes there goes to disk.
    pub(super) fn relieve(&mut self, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        if !self.can_relieve(look, now) {
            return false;
        }
        let spoolings = &mut self.spoolings;
        spoolings.is_relieving = (spoolings.is_relieving || look.is_crowded) && look.is_half_full;
        if !spoolings.is_relieving {
            return false;
        }
        let in_pause: Vec<bool> = (0..self.routes.len()).map(|route| self.is_in_pause(route, look, now)).collect();
        if !self.keep_oldest(|route| in_pause.get(route).copied().unwrap_or_default(), now, wall) {
            // They go elsewhere, or where as many as may be are on their way to the disk.
            self.spoolings.iter_mut().filter(|spooling| spooling.takes(now)).for_each(|spooling| spooling.rest(now));
        }
        true
    }
}
