// SPDX-License-Identifier: BSD-2-Clause
//! The way of entries into the spool: those that the server did not take, and the older half of a queue that gets full meanwhile.

use std::time::{Instant, SystemTime};

use protocol::reason::Reason;

use super::cargo::{Cargo, Load};
use super::machine::Machine;
use super::message::Action;
use crate::queue::{Outlook, Queued, going};

impl Machine {
    /// Whether one more entry may be put into the spool now.
    pub(super) fn can_keep(&self, now: Instant) -> bool {
        self.spooling.as_ref().is_some_and(|spooling| spooling.takes(now) && spooling.has_room())
    }

    /// Puts an entry of ours into the spool.
    pub(super) fn keep(&mut self, queued: Queued, now: Instant, wall: SystemTime) {
        let Some(route) = self.routes.home() else { return self.put_back(queued) };
        let may = queued.may;
        let load = self.hand.insert(Load { cargo: Cargo::Queued(queued), report: None, route, may });
        let Cargo::Queued(queued) = &load.cargo else { return };
        let Some(home) = self.routes.get(route) else { return };
        let may_leave = going(queued.entry.parts(), home.may_leave(queued.may, now)).count() > 0;
        let written = may_leave.then(|| self.encoder.write(queued, wall, &self.state.ledger));
        let Some(load) = self.hand.take() else { return };
        match (written, load.cargo, &mut self.spooling) {
            (Some(Some(written)), Cargo::Queued(queued), Some(spooling)) => {
                let silent =
                    written.parts.iter().filter(|(_, items)| items.is_empty()).map(|(part, _)| *part).collect();
                self.actions.push(Action::Keep(spooling.keep(queued, silent), written));
            }
            (None, cargo, _) => self.discard_cargo(cargo, Reason::RatelimitBackoff),
            (_, cargo, _) => self.discard_cargo(cargo, Reason::InternalSdkError),
        }
    }

    /// What came of it.
    pub(super) fn kept(&mut self, ticket: u64, kept: bool, now: Instant) {
        let Some(queued) = self.spooling.as_mut().and_then(|spooling| spooling.kept(ticket, kept, now)) else { return };
        let (queued, silent) = queued;
        if kept {
            self.ending.spooled += usize::from(self.ending.has_begun);
            silent.iter().for_each(|part| self.state.lose_part(&queued, part, Reason::InternalSdkError));
            self.state.queue.settle(&queued, false);
        } else {
            self.put_back(queued);
        }
    }

    /// Whether a queue that is three quarters full could be relieved now.
    pub(super) fn can_relieve(&self, look: &Outlook, now: Instant) -> bool {
        let home = self.routes.at_home().map(|home| home.look(now, look.waiter));
        self.can_keep(now) && home.is_some_and(|home| home.is_failing && home.until.is_some())
    }

    /// While the server fails, makes room in a queue that is three quarters full: the older half goes to disk.
    pub(super) fn relieve(&mut self, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        if !self.can_relieve(look, now) {
            return false;
        }
        let Some(spooling) = &mut self.spooling else { return false };
        spooling.is_relieving = (spooling.is_relieving || look.is_crowded) && look.is_half_full;
        if !spooling.is_relieving {
            return false;
        }
        match self.state.queue.take_oldest() {
            Some(oldest) => self.keep(oldest, now, wall),
            // They go elsewhere.
            None => spooling.pause(now),
        }
        true
    }
}
