// SPDX-License-Identifier: BSD-2-Clause
//! The end of a client.

use std::time::{Instant, SystemTime};

use protocol::category::Category;
use protocol::reason::Reason;

use super::cargo::Cargo;
use super::machine::{LAST_REPLIES, Machine};
use super::message::Action;
use super::spooling::Spooling;
use crate::counters::Counter;
use crate::queue::Outlook;
use crate::spool::operation::Fate;

impl Machine {
    /// Whether all that was to be sent before the end is sent.
    pub(super) fn is_done(&self, look: &Outlook) -> bool {
        look.waiting == 0 && look.under_way == 0 && self.connections.in_flight().next().is_none()
    }

    /// The end: requests are ended, what comes back and what waits goes to the spool or is counted, and one last report leaves if there is time.
    pub(super) fn finish(
        &mut self,
        look: &Outlook,
        last_send: Instant,
        end: Instant,
        now: Instant,
        wall: SystemTime,
    ) -> bool {
        self.ending.has_begun = true;
        for (place, spooling) in self.spoolings.iter_mut().enumerate() {
            if let Some(spooled) = spooling.ready.take() {
                let fate = Fate::Kept { counts: false, reason: Reason::Closed };
                self.actions.push(Action::Settle(place, spooled.lease(), fate));
            }
        }
        if now >= end {
            self.give_up(now);
            return false;
        }
        if now >= last_send {
            for place in self.connections.busy() {
                self.abort(place, now);
            }
        } else if self.say_last(look, now, wall) {
            return true;
        }
        if self.keep_oldest(|_| true, now, wall) {
            return true;
        }
        let is_keeping = self.spoolings.is_keeping();
        let may_open = look.waiting > 0 && self.spoolings.iter().any(Spooling::is_opening);
        if !is_keeping && !self.connections.is_in_use() && !may_open {
            self.end(now);
        }
        false
    }

    /// Posts the last client reports, one after the other; `false` if there is none that may leave.
    fn say_last(&mut self, look: &Outlook, now: Instant, wall: SystemTime) -> bool {
        if !self.state.settings.send_client_reports {
            return false;
        }
        let Some(place) = (self.ending.reported..self.routes.len()).find(|place| self.may_report(*place, now)) else {
            return false;
        };
        match self.connections.idle() {
            Some(connection) => {
                self.ending.reported = place + 1;
                self.post_report(connection, place, look, now, wall)
            }
            None => self.connect(now),
        }
    }

    fn may_report(&self, place: usize, now: Instant) -> bool {
        let route = self.routes.get(place).filter(|route| route.report().is_some());
        route.is_some_and(|route| route.limited_until(Category::Internal, now).is_none())
            && self.routes.look(place, now, None).until.is_none()
    }

    /// The time is over: what is not in the spool by now comes back from there, and then all is counted.
    pub(super) fn give_up(&mut self, now: Instant) {
        let is_keeping = self.spoolings.is_keeping();
        match self.ending.left_spools_at {
            None if is_keeping => {
                self.ending.left_spools_at = Some(now);
                for (place, spooling) in self.spoolings.iter_mut().enumerate() {
                    spooling.leave();
                    self.actions.push(Action::LeaveSpool(place));
                }
            }
            Some(left_at) if is_keeping && now < left_at + LAST_REPLIES => {}
            _ => self.end(now),
        }
    }

    /// Counts what is left as lost, wherever it is, says how much that is, and ends.
    fn end(&mut self, now: Instant) {
        let mut lost = 0;
        for in_flight in self.connections.give_up() {
            self.state.ledger.add(Counter::Unanswered, 1);
            lost += usize::from(matches!(in_flight.load.cargo, Cargo::Queued(_)));
            self.put_report_back(&in_flight.load);
            if let Cargo::Queued(queued) = in_flight.load.cargo {
                self.discard_queued(&queued, Reason::Closed);
            }
        }
        let keeping: Vec<_> = self.spoolings.iter_mut().flat_map(Spooling::give_up).collect();
        for queued in keeping {
            lost += 1;
            self.discard_queued(&queued, Reason::Closed);
        }
        if let Some((left, _)) = self.state.queue.end(lost == 0) {
            lost += left.len();
            self.state.lose_all(Reason::Closed, &left, now);
            self.state.note_end(self.ending.spooled, lost, now);
            self.state.queue.tell_end();
        }
        self.ending.is_over = true;
        self.actions.push(Action::End);
    }
}
