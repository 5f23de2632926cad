// SPDX-License-Identifier: BSD-2-Clause
//! The sender as a state machine: it is told the time and what has happened, and says what is to be done. It neither waits nor touches
//! anything but memory; of all that is under way it keeps entry and report until the outcome is known.
//!
//! Each step ends with an alarm that is ahead, or with the end.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::reason::Reason;

use super::cargo::{Encoded, Load};
use super::connections::Connections;
use super::encode::Encoder;
use super::message::{Action, Message};
use super::routes::Routes;
use super::spooling::Spoolings;
use crate::connection::request::Body;
use crate::queue::{Appetite, Outlook, Phase};
use crate::settings::DsnSource;
use crate::spool::condition::Condition;
use crate::spool::operation::Reply;
use crate::state::State;

/// Between two client reports that travel alone.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// Between two looks at a `dsn_file` that gave no DSN.
const DSN_INTERVAL: Duration = Duration::from_secs(10);
/// Entries are encoded ahead while at least so many wait: with fewer there is nothing to gain.
pub const MIN_AHEAD: usize = 16;
/// A body that was encoded longer ago is thrown away: it says when it was sent, by which Sentry tells how wrong this machine's clock is.
pub const FRESH: Duration = Duration::from_secs(1);
/// What replies of a spool that was let go of may be late by.
pub const LAST_REPLIES: Duration = Duration::from_millis(20);

/// Nothing in the queue is anything to wake up for.
const NO_APPETITE: Appetite = Appetite { now: usize::MAX, next: usize::MAX, crowd: false };

/// How far the end of the client has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// It has begun.
    pub has_begun: bool,
    /// Entries that went to the spool in it.
    pub spooled: usize,
    /// Routes before that place have had their last client report.
    pub reported: usize,
    pub left_spools_at: Option<Instant>,
    pub is_over: bool,
}

/// One client's.
pub struct Machine {
    pub(super) state: Arc<State>,
    pub(super) encoder: Encoder,
    pub(super) routes: Routes,
    pub(super) connections: Connections,
    /// What is sent next.
    pub(super) ahead: Option<Encoded>,
    /// Nothing more is encoded ahead until the next outcome: what was had to be thrown away.
    pub(super) is_ahead_spent: bool,
    pub(super) spoolings: Spoolings,
    /// The DSNs that entries may name, once that is known.
    pub(super) listed: Option<Vec<Arc<Dsn>>>,
    pub(super) ending: Ending,
    /// What is being put into words: should that panic, it is what that costs.
    pub(super) hand: Option<Load>,
    /// Room for further bodies.
    pub(super) spare: Vec<Body>,
    pub(super) actions: Vec<Action>,
    /// When to look again at the `dsn_file`, or at what entries may name.
    dsn_at: Instant,
    alarm: Instant,
}

impl Machine {
    pub fn new(state: Arc<State>, now: Instant) -> Machine {
        let server = &state.settings.server;
        Machine {
            // A dry run sends nothing.
            encoder: Encoder::new(!state.settings.debug),
            routes: Routes::new(server),
            connections: Connections::new(server.connections, now),
            ahead: None,
            is_ahead_spent: false,
            spoolings: Spoolings::default(),
            listed: None,
            ending: Ending::default(),
            hand: None,
            spare: Vec::new(),
            actions: Vec::new(),
            dsn_at: now,
            alarm: now,
            state,
        }
    }

    /// When to step again, even if nothing happens.
    pub fn alarm(&self) -> Instant {
        self.alarm
    }

    /// Takes note of how the spool at that place is; before each step.
    pub fn see_spool(&mut self, place: usize, condition: &Condition) {
        if let Some(spooling) = self.spoolings.get_mut(place).filter(|spooling| !spooling.is_left) {
            spooling.see(condition);
        }
    }

    /// Takes the room that a body had back.
    pub fn reuse(&mut self, body: Body) {
        if self.spare.len() <= self.state.settings.server.connections {
            self.spare.push(body);
        }
    }

    /// Takes a message in, and does what is due. Without actions it may sleep until the alarm, if the queue lets it.
    pub fn step(&mut self, message: Message, now: Instant, wall: SystemTime) -> Vec<Action> {
        if self.ending.is_over {
            return Vec::new();
        }
        match message {
            Message::Wake => {}
            Message::Outcome(outcome) => self.land(outcome, now, wall),
            Message::Spool(place, reply) => self.take_reply(place, reply, now),
            Message::Dsn(found) => self.state.take_dsn(found, now),
            Message::Listed(listed) => self.take_list(listed, now),
            Message::Folders(names) => self.take_folders(&names, now),
            Message::Started(place, started) => self.started(place, started, now),
        }
        self.expire(now, wall);
        while self.turn(now, wall) {}
        mem::take(&mut self.actions)
    }

    /// After a panic: what was being put into words is given up. Returns what there was to be done before.
    pub fn recover(&mut self, now: Instant) -> Vec<Action> {
        self.state.count_panic(now);
        self.encoder = Encoder::new(!self.state.settings.debug);
        let hand = self.hand.take();
        let route = hand.as_ref().map(|load| load.route).or(self.routes.home());
        if let Some(load) = hand {
            self.discard(load, Reason::InternalSdkError);
        }
        if let Some(server) = route.and_then(|route| self.routes.server(route)) {
            server.breaker.fail(now, now, (self.state.random)());
        }
        self.alarm = now + Duration::from_secs(1);
        mem::take(&mut self.actions)
    }

    /// Does one thing that is due; `false` if there is none, and the alarm is set.
    fn turn(&mut self, now: Instant, wall: SystemTime) -> bool {
        let look = self.state.queue.look();
        self.find_destinations(now);
        if self.drop_stale_ahead(&look, now) {
            return true;
        }
        match look.phase {
            Phase::Open => {}
            Phase::Draining { last_send, end } if now >= last_send || self.is_done(&look) => {
                return self.finish(&look, last_send, end, now, wall) || self.sleep(&look, NO_APPETITE, now);
            }
            Phase::Draining { .. } => {}
            Phase::Ended { .. } => {
                self.give_up(now);
                return self.sleep(&look, NO_APPETITE, now);
            }
        }
        if self.relieve(&look, now, wall) || self.send_one(&look, now, wall) {
            return true;
        }
        self.sleep(&look, self.appetite(&look, now), now)
    }

    /// Looks for where to send to, and drops what cannot wait for it.
    fn find_destinations(&mut self, now: Instant) {
        self.leave_unlisted();
        let is_due = now >= self.dsn_at;
        if matches!(self.state.settings.dsn, DsnSource::Entries) {
            if is_due {
                self.actions.push(Action::Look);
                self.dsn_at = now + DSN_INTERVAL;
            }
            return;
        }
        if self.routes.find_home(&self.state, now) {
            self.routes.home().into_iter().for_each(|home| self.open_spool_of(home, now));
        }
        if self.routes.home().is_some() {
            self.state.forward_early_losses();
            return;
        }
        if is_due && matches!(self.state.settings.dsn, DsnSource::File(_)) {
            self.actions.push(Action::FindDsn);
            self.dsn_at = now + DSN_INTERVAL;
        }
        let homeless = self.state.queue.sweep(None, &|_| true);
        self.state.lose_all(Reason::NoDsn, &homeless, now);
    }

    fn started(&mut self, place: usize, started: Result<(), String>, now: Instant) {
        self.connections.started(place, started.is_ok(), now);
        if let Err(error) = started {
            self.state.count_thread_failure(now, format_args!("no thread for a connection, {error}"));
        }
    }

    fn take_reply(&mut self, place: usize, reply: Reply, now: Instant) {
        match reply {
            Reply::Kept { ticket, kept } => self.kept(place, ticket, kept, now),
            Reply::Taken(taken) => {
                if let Some(spooling) = self.spoolings.get_mut(place).filter(|spooling| !spooling.is_left) {
                    spooling.taken(taken, now);
                }
            }
            Reply::Changed => {}
        }
    }

    /// Sets the alarm; `true` if something has come up that is to be done first.
    fn sleep(&mut self, look: &Outlook, appetite: Appetite, now: Instant) -> bool {
        while let Some(place) = self.connections.unused(now) {
            self.actions.push(Action::Stop(place));
        }
        self.alarm = self.next_alarm(look, now);
        // What was said is to be done first.
        !self.ending.is_over && self.actions.is_empty() && !self.state.queue.rest(appetite)
    }

    /// What the queue is to wake the sender for.
    fn appetite(&self, look: &Outlook, now: Instant) -> Appetite {
        let has_place = self.connections.has_place(now);
        let next = if !self.can_post(now) && self.wants_ahead(now) { MIN_AHEAD } else { usize::MAX };
        Appetite { now: if has_place { 1 } else { usize::MAX }, next, crowd: self.can_relieve(look, now) }
    }

    /// When to look again, even if nothing happens: captures that are refused do not wake the sender, so it comes by itself to see whether there is something to
    /// report.
    fn next_alarm(&self, look: &Outlook, now: Instant) -> Instant {
        let mut alarms = vec![now + REPORT_INTERVAL];
        alarms.extend(self.connections.alarms());
        alarms.extend(self.ahead.as_ref().map(|ahead| ahead.at + FRESH));
        for server in self.routes.servers() {
            alarms.extend(server.pacer.until(now));
            alarms.extend(server.breaker.look(now, look.waiter).until);
        }
        for (place, route) in self.routes.iter().enumerate() {
            alarms.extend(self.report_due(place, now));
            alarms.extend(route.limited_until(Category::Error, now));
        }
        if self.routes.home().is_none() {
            alarms.push(self.dsn_at);
        }
        alarms.extend(self.spoolings.iter().flat_map(|spooling| spooling.alarms(look.waiting == 0)));
        if let Phase::Draining { last_send, end } = look.phase {
            alarms.extend([last_send, end]);
        }
        alarms.extend(self.ending.left_spools_at.map(|left_at| left_at + LAST_REPLIES));
        alarms.into_iter().filter(|at| *at > now).min().unwrap_or(now + REPORT_INTERVAL)
    }
}
