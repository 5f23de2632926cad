// SPDX-License-Identifier: BSD-2-Clause
//! What tasks and VCLs add to events: who asks to add it decides to which scope it goes.

use std::sync::Arc;

use report::event_id::EventId;
use report::scope::{Scope, ScopeFull};
use report::trace::Trace;
use shim::Ctx;
use shim::state::States;

use crate::client::{VclClient, VclState};
use crate::counters::misused;
use crate::watch::Watching;

/// The two kinds of state this module keeps.
pub static STATES: States<TaskState, Arc<VclState>> = States::new();

/// What a task keeps until its end.
#[derive(Default)]
pub struct TaskState {
    /// For all clients.
    pub scope: Scope,
    pub last_id: Option<EventId>,
    /// From its first use on.
    pub trace: Option<Trace>,
    /// For one client each, by the client's address.
    clients: Vec<(usize, ClientTask)>,
    /// Who wants to know how it ends.
    watching: Vec<Watching>,
}

/// What a task keeps for one client.
#[derive(Default)]
pub struct ClientTask {
    pub scope: Scope,
    pub last_id: Option<EventId>,
}

impl shim::state::TaskState for TaskState {
    fn end(&mut self, ctx: Ctx<'_>) {
        let watching = std::mem::take(&mut self.watching);
        // In a sub only a rollback ends it: the task goes on, and may ask to be watched again.
        if !watching.is_empty() && !ctx.place().in_sub {
            watching.into_iter().for_each(|watching| watching.end(ctx, self));
        }
    }
}

impl TaskState {
    /// Has `client` watch the task to its end. Asked for again, what was logged until now is looked at now.
    pub fn watch(&mut self, ctx: Ctx<'_>, client: &Arc<VclClient>, builtin: bool) {
        match self.watching.iter_mut().find(|watching| watching.is_of(client)) {
            Some(watching) => {
                watching.with_builtin(builtin);
                watching.look(ctx);
            }
            None => self.watching.push(Watching::new(client, builtin)),
        }
    }

    pub fn client(&self, client: &VclClient) -> Option<&ClientTask> {
        self.clients.iter().find(|(address, _)| *address == client.address()).map(|(_, task)| task)
    }

    /// Lends what the task keeps for `client` to `body`, made if there is nothing yet.
    pub fn with_client<R>(&mut self, client: &VclClient, body: impl FnOnce(&mut ClientTask) -> R) -> R {
        let address = client.address();
        if let Some((_, task)) = self.clients.iter_mut().find(|(other, _)| *other == address) {
            return body(task);
        }
        let mut task = ClientTask::default();
        let result = body(&mut task);
        self.clients.push((address, task));
        result
    }
}

/// Whom a call is for: all clients of the VCL, or one.
#[derive(Clone, Copy)]
pub enum Audience<'v> {
    All(&'v VclState),
    One(&'v Arc<VclClient>),
}

/// Changes the scope that a call is about: in vcl_init the VCL's, elsewhere the task's.
pub fn change(ctx: Ctx<'_>, audience: Audience<'_>, call: &str, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) {
    let done = match (ctx.facts().sub == b"vcl_init", audience) {
        (true, Audience::All(vcl)) => vcl.change_all(set),
        (true, Audience::One(client)) => client.change(set),
        (false, audience) => {
            let done = STATES.task(ctx, TaskState::default, |task| match audience {
                Audience::All(_) => set(&mut task.scope),
                Audience::One(client) => task.with_client(client, |task| set(&mut task.scope)),
            });
            match done {
                Some(done) => done,
                None => return misused(ctx, &format!("{call}: out of workspace")),
            }
        }
    };
    if let Err(ScopeFull) = done {
        misused(ctx, &format!("{call}: the scope is full, nothing added"));
    }
}
