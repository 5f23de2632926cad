// SPDX-License-Identifier: BSD-2-Clause
//! The trials that a task holds: fetches of what was denied, one at a time. They are free again at the task's end at the latest.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use denylist::{Breaker, Denylist, Digest, Standing, Task, Time};

use crate::object::Saintmode;

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

impl Subject {
    /// What a fetch of `digest` from the backend of `one` may be a trial of.
    pub fn all(one: &Saintmode, digest: Option<&Digest>) -> impl Iterator<Item = Subject> + use<> {
        let object = digest.map(|digest| Subject::Object(Arc::clone(&one.denylist), *digest));
        object.into_iter().chain([Subject::Backend(Arc::clone(&one.breaker))])
    }

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
    /// Of this task.
    pub fn task(&self) -> Task {
        self.task
    }

    pub fn promise(&mut self, subject: &Subject) {
        if !self.promised.iter().any(|promised| promised.is(subject)) {
            self.promised.push(subject.clone());
        }
    }

    pub fn begin(&mut self, subject: &Subject, now: Time) -> Trial {
        let known = self.held.iter().any(|held| held.is(subject));
        match subject.begin(self.task, now) {
            // A retry after a failure begins anew what is held already.
            Standing::Trial if known => Trial::None,
            Standing::Trial => {
                self.held.push(subject.clone());
                Trial::Begun
            }
            Standing::Busy if !self.promised.iter().any(|promised| promised.is(subject)) => Trial::Busy,
            _ => Trial::None,
        }
    }

    /// Frees the trial of a subject.
    pub fn free(&mut self, subject: &Subject) {
        let task = self.task;
        self.held.retain(|held| {
            let keep = !held.is(subject);
            if !keep {
                held.end(task);
            }
            keep
        });
    }

    /// Frees all of them: the task ends.
    pub fn end(&self) {
        for subject in &self.held {
            subject.end(self.task);
        }
    }
}

impl Default for Trials {
    fn default() -> Trials {
        Trials { task: Task::numbered(TASKS.fetch_add(1, Relaxed)), held: Vec::new(), promised: Vec::new() }
    }
}
