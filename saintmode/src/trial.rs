// SPDX-License-Identifier: BSD-2-Clause
//! The trials that a task holds: fetches of what was denied, one at a time. They are free again at the task's end at the latest, and what
//! it waits for is told until then.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use denylist::{Breaker, Denylist, Digest, Standing, Task, Time};
use shim::Ctx;
use shim::state::TaskState;

use crate::judgement::Judgement;
use crate::object::{clock, time};
use crate::pending::Pending;
use crate::vcl::STATES;

/// Numbers the tasks that come to a trial. Not the xid: a retry gives the same task another one.
static TASKS: AtomicU64 = AtomicU64::new(1);

/// What can be on trial.
#[derive(Clone)]
pub enum Subject {
    Object(Arc<Denylist>, Digest),
    /// The backend as a whole.
    Backend(Arc<Breaker>),
}

/// The trials of a task.
pub struct Trials {
    task: Task,
    held: Vec<Subject>,
    /// What the task has been told it may try.
    promised: Vec<Subject>,
    /// A response whose body has not ended yet.
    pending: Option<Pending>,
}

impl Subject {
    /// What this task's fetch would meet.
    pub fn standing(&self, task: Option<Task>, now: Time) -> Standing {
        match self {
            Subject::Object(list, digest) => list.offenders().standing(digest, task, now),
            Subject::Backend(breaker) => breaker.standing(task, now),
        }
    }

    fn begin(&self, task: Task, now: Time) -> Standing {
        match self {
            Subject::Object(list, digest) => list.offenders().begin(digest, task, now),
            Subject::Backend(breaker) => breaker.begin(task, now),
        }
    }

    fn end(&self, task: Task) {
        match self {
            Subject::Object(list, digest) => list.offenders().end(digest, task),
            Subject::Backend(breaker) => breaker.end(task),
        }
    }

    fn is(&self, other: &Subject) -> bool {
        match (self, other) {
            (Subject::Object(list, digest), Subject::Object(other, another)) => {
                Arc::ptr_eq(list, other) && digest == another
            }
            (Subject::Backend(breaker), Subject::Backend(other)) => Arc::ptr_eq(breaker, other),
            _ => false,
        }
    }
}

impl Trials {
    fn new() -> Trials {
        Trials {
            task: Task::numbered(TASKS.fetch_add(1, Relaxed)),
            held: Vec::new(),
            promised: Vec::new(),
            pending: None,
        }
    }

    /// Frees the trial of a subject.
    fn free(&mut self, subject: &Subject) {
        let task = self.task;
        self.held.retain(|held| {
            let keep = !held.is(subject);
            if !keep {
                held.end(task);
            }
            keep
        });
    }
}

impl TaskState for Trials {
    fn end(&mut self, ctx: Ctx<'_>) {
        if let Some(pending) = self.pending.take() {
            let place = ctx.place();
            // What VCL takes back, or tries again, it did not want the rest of.
            let judgement = match place.in_sub || place.xid != pending.xid {
                true => Judgement::Fine,
                false => Judgement::of_body(ctx),
            };
            // The task's clock stands where the body began. Nothing may ask for what the task keeps: it is ending.
            pending.settle(ctx, &judgement, clock(), |one| {
                one.subjects(Some(&pending.digest)).for_each(|subject| self.free(&subject));
            });
        }
        for subject in &self.held {
            subject.end(self.task);
        }
    }
}

/// This task, if it has come to a trial.
pub fn task(ctx: Ctx<'_>) -> Option<Task> {
    STATES.existing_task(ctx, |trials| trials.task)
}

/// Says that this task may try a subject. A director asks first who is healthy and resolves then: another task that begins a trial in
/// between must not make an error of it.
pub fn promise(ctx: Ctx<'_>, subject: &Subject) {
    STATES.task(ctx, Trials::new, |trials| {
        if !trials.promised.iter().any(|promised| promised.is(subject)) {
            trials.promised.push(subject.clone());
        }
    });
}

/// What it is to fetch now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// No trial, or one that goes on.
    None,
    /// A new one.
    Begun,
    /// Another task's, so not to be done.
    Busy,
}

/// Begins the trial of a subject. Without room to note it, and so to end it, the fetch goes without.
pub fn begin(ctx: Ctx<'_>, subject: &Subject, now: Time) -> Trial {
    let begin = |trials: &mut Trials| {
        let known = trials.held.iter().any(|held| held.is(subject));
        match subject.begin(trials.task, now) {
            // A retry after a failure begins anew what is held already.
            Standing::Trial if known => Trial::None,
            Standing::Trial => {
                trials.held.push(subject.clone());
                Trial::Begun
            }
            Standing::Busy if !trials.promised.iter().any(|promised| promised.is(subject)) => Trial::Busy,
            _ => Trial::None,
        }
    };
    STATES.task(ctx, Trials::new, begin).unwrap_or(Trial::None)
}

/// Ends the trial of a subject that will not be fetched, or that nothing came of.
pub fn end(ctx: Ctx<'_>, subject: &Subject) {
    STATES.existing_task(ctx, |trials| trials.free(subject));
}

/// Has the task tell its objects at its end, at the latest, what came of a response; false without room for it.
pub fn wait(ctx: Ctx<'_>, pending: &Pending) -> bool {
    let wait = |trials: &mut Trials| {
        for one in pending.objects.iter() {
            one.wait(&pending.digest, trials.task, pending.answered);
        }
        trials.pending = Some(*pending);
    };
    STATES.task(ctx, Trials::new, wait).is_some()
}

/// What the task waits for, if anything: it does so no more.
pub fn take_pending(ctx: Ctx<'_>) -> Option<Pending> {
    STATES.existing_task(ctx, |trials| trials.pending.take()).flatten()
}

/// Settles what the task waits for if that is of an attempt before the one of this `xid`: VCL tried again, so it did not want the rest.
pub fn settle_before(ctx: Ctx<'_>, xid: u64) {
    let before = |trials: &mut Trials| trials.pending.take_if(|pending| pending.xid != xid);
    if let Some(pending) = STATES.existing_task(ctx, before).flatten() {
        pending.settle(ctx, &Judgement::Fine, time(ctx), |_| {});
    }
}
