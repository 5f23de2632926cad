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
}

/// What a task keeps for one client.
#[derive(Default)]
pub struct ClientTask {
    pub scope: Scope,
    pub last_id: Option<EventId>,
}

impl TaskState {
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
    One(&'v VclClient),
}

/// Changes the scope that a call is about: in vcl_init the VCL's, elsewhere the task's.
pub fn change(ctx: Ctx<'_>, audience: Audience<'_>, call: &str, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) {
    let done = match (ctx.facts().sub == "init", audience) {
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
