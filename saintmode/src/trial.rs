// SPDX-License-Identifier: BSD-2-Clause
//! The trials that a task holds: fetches of what was denied, one at a time. They are free again at the task's end at the latest.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use denylist::{Breaker, Denylist, Digest, Standing, Task, Time};
use shim::Ctx;
use shim::state::TaskState;

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
        Trials { task: Task::numbered(TASKS.fetch_add(1, Relaxed)), held: Vec::new(), promised: Vec::new() }
    }
}

impl TaskState for Trials {
    fn end(&mut self, _: Ctx<'_>) {
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

/// Ends the trial of a subject that will not be fetched.
pub fn end(ctx: Ctx<'_>, subject: &Subject) {
    STATES.existing_task(ctx, |trials| {
        let task = trials.task;
        trials.held.retain(|held| {
            !held.is(subject) || {
                held.end(task);
                false
            }
        });
    });
}
