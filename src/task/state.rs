// SPDX-License-Identifier: BSD-2-Clause
//! What a task keeps for this module. What is to be done at its end is [`event`](crate::event)'s, whose events come of it.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use event::capture::scope::Scope;
use protocol::event_id::EventId;
use protocol::trace::Trace;
use shim::state::States;
use shim::{Ctx, Side};

use super::traces::Traces;
use crate::client::{VclClient, VclState};
use crate::tunnel::{Answered, Tunnel};
use crate::watch::Watching;

/// The two kinds of state this module keeps.
pub static STATES: States<TaskState, Arc<VclState>> = States::new();

/// What a task keeps until its end.
#[derive(Default)]
pub struct TaskState {
    /// For all clients.
    pub scope: Scope,
    pub last_id: Option<EventId>,
    /// From its first use on: by then VCL may have put the task's own into the header.
    traces: Option<Traces>,
    /// For one client each, by the client's address.
    clients: Vec<(usize, ClientTask)>,
    /// Who wants to know how it ends.
    watching: Vec<Watching>,
    /// What became of its request in tunnels.
    answered: Vec<Answered>,
    /// Texts that VCL has been lent.
    texts: Vec<CString>,
}

/// What a task keeps for one client.
#[derive(Default)]
pub struct ClientTask {
    pub scope: Scope,
    pub last_id: Option<EventId>,
}

impl TaskState {
    /// The trace of the task, as `client` has it.
    pub fn trace(&mut self, ctx: Ctx<'_>, side: Side, client: &VclClient) -> Trace {
        self.traces.get_or_insert_with(|| Traces::found(ctx, side)).of(client)
    }

    /// Who wants to know how the task ends; they are told once.
    pub fn take_watching(&mut self) -> Vec<Watching> {
        std::mem::take(&mut self.watching)
    }

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

    /// What became of its request in that tunnel.
    pub fn answered(&self, tunnel: &Arc<Tunnel>) -> Option<&Answered> {
        self.answered.iter().find(|answered| answered.is_of(tunnel))
    }

    /// Keeps what became of its request in a tunnel.
    pub fn keep_answer(&mut self, answered: Answered) {
        self.answered.push(answered);
    }

    /// Keeps a text for VCL until the task ends, however long: the workspace need not have room for it.
    pub fn lend(&mut self, text: String) -> *const c_char {
        let text = CString::new(text).unwrap_or_default();
        let lent = text.as_ptr();
        self.texts.push(text);
        lent
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
