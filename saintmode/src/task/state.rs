// SPDX-License-Identifier: BSD-2-Clause
//! What a task keeps that has an end: its trials, and a response whose body is under way.

use std::sync::Arc;

use denylist::{Task, Time};
use shim::Ctx;
use shim::state::States;

use super::pending::Pending;
use super::trials::{Subject, Trial, Trials};
use crate::object::Objects;

pub static STATES: States<State, Arc<Objects>> = States::new();

#[derive(Default)]
pub struct State {
    pub trials: Trials,
    /// A response whose body has not ended yet.
    pub pending: Option<Pending>,
}

impl State {
    /// This task, if it has come to a trial.
    pub fn task(ctx: Ctx<'_>) -> Option<Task> {
        STATES.existing_task(ctx, |state| state.trials.task())
    }

    /// Says that this task may try a subject. A director asks first who is healthy and resolves then: another task that begins a trial in
    /// between must not make an error of it.
    pub fn promise(ctx: Ctx<'_>, subject: &Subject) {
        STATES.task(ctx, State::default, |state| state.trials.promise(subject));
    }

    /// Begins the trial of a subject. Without room to note it, and so to end it, the fetch goes without.
    pub fn begin(ctx: Ctx<'_>, subject: &Subject, now: Time) -> Trial {
        STATES.task(ctx, State::default, |state| state.trials.begin(subject, now)).unwrap_or(Trial::None)
    }

    /// Ends the trial of a subject that will not be fetched, or that nothing came of.
    pub fn end(ctx: Ctx<'_>, subject: &Subject) {
        STATES.existing_task(ctx, |state| state.trials.free(subject));
    }

    /// What the task waits for, if anything: it does so no more.
    pub fn take_pending(ctx: Ctx<'_>) -> Option<Pending> {
        STATES.existing_task(ctx, |state| state.pending.take()).flatten()
    }

    /// The same if that is of an attempt before the one of this `xid`.
    pub fn take_before(ctx: Ctx<'_>, xid: u64) -> Option<Pending> {
        STATES.existing_task(ctx, |state| state.pending.take_if(|pending| pending.xid != xid)).flatten()
    }
}
