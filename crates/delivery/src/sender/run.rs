// SPDX-License-Identifier: BSD-2-Clause
//! The sender's thread: it waits on its inbox until the machine's next alarm, and does what the machine says.

use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use protocol::dsn::Dsn;

use super::machine::Machine;
use super::message::{Action, Message};
use crate::connection::request::Request;
use crate::connection::transport::Connector;
use crate::connection::worker::Connection;
use crate::dsn_file;
use crate::settings::DsnSource;
use crate::spawn::Spawn;
use crate::spool::client::SpoolClient;
use crate::spool::operation::Reply;
use crate::spool::spools;
use crate::spool::written::Written;
use crate::state::State;

/// After a panic: should it do nothing but panic, it must not do so without end at full speed.
const AFTER_PANIC: Duration = Duration::from_millis(100);
/// The least that it waits, whatever the clock does.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// Where outcomes, replies and wakes arrive.
#[derive(Clone)]
pub struct Inbox {
    pub sender: Sender<Message>,
    pub receiver: Receiver<Message>,
}

/// One client's, on its thread.
pub struct Runner {
    state: Arc<State>,
    machine: Machine,
    inbox: Inbox,
    /// What comes before anything in the inbox.
    next: VecDeque<Message>,
    connections: Vec<Option<Connection>>,
    connector: Arc<dyn Connector>,
    spawn: Spawn,
}

impl Runner {
    pub fn new(state: Arc<State>, inbox: Inbox, connector: Arc<dyn Connector>, spawn: Spawn) -> Runner {
        let machine = Machine::new(state.clone(), state.clock.now());
        let connections = (0..state.settings.server.connections.max(1)).map(|_| None).collect();
        Runner { state, machine, inbox, next: VecDeque::new(), connections, connector, spawn }
    }

    /// Goes on until the client has ended. A panic is counted, costs what was being put into words, and is followed by a pause as after any failure.
    pub fn run(mut self) {
        let mut message = Message::Wake;
        loop {
            let is_busy = match panic::catch_unwind(AssertUnwindSafe(|| self.step(message))) {
                Ok(Some(is_busy)) => is_busy,
                Ok(None) => break,
                Err(_) => {
                    let _ = panic::catch_unwind(AssertUnwindSafe(|| self.recover()));
                    thread::sleep(AFTER_PANIC);
                    true
                }
            };
            message = self.receive(is_busy);
        }
        // Whoever waits for the end may want the spools.
        self.state.leave_spools();
        if let Some(spotlight) = &self.state.spotlight {
            spotlight.abort();
        }
        self.connections.iter().flatten().for_each(Connection::abort);
    }

    /// Has the machine take a step, and does what it says; whether that was anything, `None` after the end.
    fn step(&mut self, message: Message) -> Option<bool> {
        for (place, spool) in self.state.spools() {
            self.machine.see_spool(place, &spool.condition());
        }
        let actions = self.machine.step(message, self.state.clock.now(), self.state.clock.wall());
        let is_busy = !actions.is_empty();
        self.perform(actions).then_some(is_busy)
    }

    fn recover(&mut self) {
        let actions = self.machine.recover(self.state.clock.now());
        self.perform(actions);
    }

    /// The next message: at once if the last step had something done, for then it has not said what it waits for.
    fn receive(&mut self, is_busy: bool) -> Message {
        if let Some(message) = self.next.pop_front() {
            return message;
        }
        if let Ok(message) = self.inbox.receiver.try_recv() {
            return message;
        }
        if is_busy {
            return Message::Wake;
        }
        let wait = self.machine.alarm().saturating_duration_since(self.state.clock.now());
        self.inbox.receiver.recv_timeout(wait.max(LEAST_WAIT)).unwrap_or(Message::Wake)
    }

    /// `false` at the end.
    fn perform(&mut self, actions: Vec<Action>) -> bool {
        let mut goes_on = true;
        for action in actions {
            match action {
                Action::Start(place) => self.start(place),
                Action::Post(place, request) => self.post(place, request),
                Action::Abort(place) => self.connection(place).into_iter().for_each(Connection::abort),
                Action::Stop(place) => drop(self.connections.get_mut(place).and_then(Option::take)),
                Action::FindDsn => self.find_dsn(),
                Action::Look => self.look(),
                Action::FindSpools => self.find_spools(),
                Action::OpenSpool(place, dsn) => self.open_spool(place, &dsn),
                Action::LeaveSpool(place) => self.state.set_spool(place, None),
                Action::Keep(place, ticket, written) => self.keep(place, ticket, written),
                Action::Take(place) => self.take(place),
                Action::Settle(place, lease, fate) => {
                    self.state.spool(place).iter().for_each(|spool| spool.settle(lease, fate));
                }
                Action::Copy(body) => {
                    let back = match &self.state.spotlight {
                        Some(spotlight) => spotlight.copy(body),
                        None => Some(body),
                    };
                    back.into_iter().for_each(|body| self.machine.reuse(body));
                }
                Action::End => goes_on = false,
            }
        }
        goes_on
    }

    fn connection(&self, place: usize) -> Option<&Connection> {
        self.connections.get(place).and_then(Option::as_ref)
    }

    fn start(&mut self, place: usize) {
        let outcomes = self.inbox.sender.clone();
        let tell = Box::new(move |outcome| drop(outcomes.send(Message::Outcome(outcome))));
        let started: io::Result<Connection> = Connection::start(&*self.connector, self.spawn, tell);
        let started = started.map(|connection| {
            if let Some(place) = self.connections.get_mut(place) {
                *place = Some(connection);
            }
        });
        self.next.push_back(Message::Started(place, started.map_err(|error| error.to_string())));
    }

    /// A connection that does not take it is broken: its ticket runs out.
    fn post(&mut self, place: usize, request: Request) {
        if let Some(connection) = self.connection(place) {
            let _ = connection.send(request);
        }
    }

    fn keep(&mut self, place: usize, ticket: u64, written: Written) {
        match self.state.spool(place) {
            Some(spool) => spool.keep(ticket, written),
            None => self.next.push_back(Message::Spool(place, Reply::Kept { ticket, kept: false })),
        }
    }

    fn take(&mut self, place: usize) {
        match self.state.spool(place) {
            Some(spool) => spool.take(),
            None => self.next.push_back(Message::Spool(place, Reply::Taken(None))),
        }
    }

    fn find_dsn(&mut self) {
        if let DsnSource::File(path) = &self.state.settings.dsn {
            self.next.push_back(Message::Dsn(dsn_file::read(path)));
        }
    }

    fn look(&mut self) {
        let now = self.state.clock.now();
        let listed = self.state.directory.lock().as_mut().and_then(|directory| directory.look(now));
        self.next.extend(listed.map(Message::Listed));
    }

    /// The disk may be slow: it is looked at elsewhere. If that cannot be, what is on it waits for the next time.
    fn find_spools(&mut self) {
        let Some(settings) = &self.state.settings.spool else { return };
        let (root, found) = (settings.folder.clone(), self.inbox.sender.clone());
        let work = move || drop(found.send(Message::Folders(spools::folders(&root))));
        if let Err(error) = (self.spawn)("sentry-spool", Box::new(work)) {
            let text = format_args!("no thread to look for spools, {error}");
            self.state.count_thread_failure(self.state.clock.now(), text);
        }
    }

    fn open_spool(&mut self, place: usize, dsn: &Arc<Dsn>) {
        let state = &self.state;
        let Some(settings) = &state.settings.spool else { return };
        let is_home = state.dsn() == Some(dsn);
        let named = Some(dsn).filter(|_| !is_home);
        let replies = self.inbox.sender.clone();
        let client = SpoolClient {
            ledger: state.ledger_of(named),
            report: state.report_of(named),
            notices: state.notices.clone(),
            replies: Box::new(move |reply| drop(replies.send(Message::Spool(place, reply)))),
        };
        let spool = state.shared.spools.open(dsn, settings, client, state.clock.clone(), self.spawn);
        state.set_spool(place, Some(Arc::new(spool)));
    }
}
