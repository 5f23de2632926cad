// SPDX-License-Identifier: BSD-2-Clause
//! What clients ask of a spool's worker, in order, and who waits for what.
//!
//! One lock, held for a few moves and while a reply is handed over: so when a client's last call has returned, it has had all
//! replies that it will get. The disk is never touched under it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::client::User;
use super::condition::Condition;
use super::entry::Lease;
use super::operation::{Fate, Reply};
use super::written::Written;

/// Operations of one client that wait for a reply, at most: a sender that asks for more is told no at once.
pub const MOST_WAITING: usize = 64;

/// What the worker is to do.
#[derive(Debug)]
pub enum Operation {
    Join(Arc<User>),
    Leave(u64),
    Keep { user: Arc<User>, ticket: u64, written: Written },
    Take(Arc<User>),
    Settle { user: Arc<User>, lease: Lease, fate: Fate },
}

/// A reply that is owed.
#[derive(Clone, Debug)]
struct Debt {
    user: Arc<User>,
    /// Of a [`Operation::Keep`]; that of a take has none.
    ticket: Option<u64>,
}

impl Debt {
    fn of(operation: &Operation) -> Option<Debt> {
        match operation {
            Operation::Keep { user, ticket, .. } => Some(Debt { user: user.clone(), ticket: Some(*ticket) }),
            Operation::Take(user) => Some(Debt { user: user.clone(), ticket: None }),
            Operation::Join(_) | Operation::Leave(_) | Operation::Settle { .. } => None,
        }
    }

    fn refuse(self) {
        let refusal = self.ticket.map_or(Reply::Taken(None), |ticket| Reply::Kept { ticket, kept: false });
        say(&self.user, refusal);
    }
}

/// Hands a reply over; `false` if the one who takes it panicked.
fn say(user: &User, reply: Reply) -> bool {
    catch_unwind(AssertUnwindSafe(|| (user.client.replies)(reply))).is_ok()
}

#[derive(Debug, Default)]
struct State {
    operations: VecDeque<Operation>,
    /// A thread is there, or about to be.
    is_running: bool,
    /// The reply to the operation that is being done; gone if its client has.
    current: Option<Debt>,
    condition: Condition,
}

/// What a worker's thread has to do.
#[derive(Debug)]
pub enum Next {
    Operation(Operation),
    /// The time it gave has passed.
    Alarm,
    /// Nothing: it ends, and is not running any more.
    End,
}

/// How long a worker's thread waits.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// It has something to do then.
    Alarm(Duration),
    /// It has not.
    Idle(Duration),
}

/// A worker's inbox.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
}

impl Inbox {
    /// Adds an operation; whether a thread is to be started for it.
    pub fn push(&self, operation: Operation) -> bool {
        let mut state = self.state.lock();
        if let Some(debt) = Debt::of(&operation) {
            let number = debt.user.number;
            let waiting = state.operations.iter().filter_map(Debt::of).filter(|debt| debt.user.number == number);
            if waiting.count() >= MOST_WAITING {
                debt.refuse();
                return false;
            }
        }
        state.operations.push_back(operation);
        self.wake.notify_one();
        !std::mem::replace(&mut state.is_running, true)
    }

    /// Whether a thread is to be started for what could not be done before, as none started.
    pub fn is_left_alone(&self) -> bool {
        let mut state = self.state.lock();
        !state.operations.is_empty() && !std::mem::replace(&mut state.is_running, true)
    }

    /// No thread started: whoever waits for a reply is told no. The rest waits for the next try.
    pub fn thread_failed(&self) {
        let mut state = self.state.lock();
        state.is_running = false;
        let (owed, rest) = std::mem::take(&mut state.operations).into_iter().partition(|one| Debt::of(one).is_some());
        state.operations = rest;
        let owed: VecDeque<Operation> = owed;
        owed.iter().filter_map(Debt::of).for_each(Debt::refuse);
    }

    /// Takes back what a client waits for, which it is told, and lets it leave. Afterwards it gets no reply. Whether a thread is to be started.
    pub fn leave(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let is_its_own = |one: &Operation| Debt::of(one).is_some_and(|debt| debt.user.number == number);
        let (withdrawn, rest) = std::mem::take(&mut state.operations).into_iter().partition(is_its_own);
        state.operations = rest;
        let withdrawn: VecDeque<Operation> = withdrawn;
        let current = state.current.take_if(|debt| debt.user.number == number);
        current.into_iter().chain(withdrawn.iter().filter_map(Debt::of)).for_each(Debt::refuse);
        state.operations.push_back(Operation::Leave(number));
        self.wake.notify_one();
        !std::mem::replace(&mut state.is_running, true)
    }

    /// Waits for the next operation.
    pub fn next(&self, patience: Patience) -> Next {
        let mut state = self.state.lock();
        let (Patience::Alarm(time) | Patience::Idle(time)) = patience;
        if state.operations.is_empty() {
            self.wake.wait_while_for(&mut state, |state| state.operations.is_empty(), time);
        }
        match (state.operations.pop_front(), patience) {
            (Some(operation), _) => {
                state.current = Debt::of(&operation);
                Next::Operation(operation)
            }
            (None, Patience::Alarm(_)) => Next::Alarm,
            (None, Patience::Idle(_)) => {
                state.is_running = false;
                Next::End
            }
        }
    }

    /// Replies to the operation that is being done; `false` if its client has left or was replied to, or did not bear it.
    pub fn reply(&self, reply: Reply) -> bool {
        let mut state = self.state.lock();
        let debt = state.current.take();
        debt.is_some_and(|debt| say(&debt.user, reply))
    }

    /// Replies with a no if there was no reply yet.
    pub fn refuse(&self) {
        let mut state = self.state.lock();
        if let Some(debt) = state.current.take() {
            debt.refuse();
        }
    }

    /// Sets the condition and tells all of these if it matters to them.
    pub fn publish(&self, condition: Condition, users: &[Arc<User>]) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.condition, condition);
        let after = &state.condition;
        if before.usable != after.usable || (before.ready == 0 && after.ready > 0) {
            for user in users {
                say(user, Reply::Changed);
            }
        }
    }

    /// Tells a client that has just come that there is something to look at.
    pub fn welcome(&self, user: &User) {
        let _state = self.state.lock();
        say(user, Reply::Changed);
    }

    pub fn condition(&self) -> Condition {
        self.state.lock().condition.clone()
    }
}
