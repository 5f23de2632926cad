// SPDX-License-Identifier: BSD-2-Clause
//! What an object makes of the end of an attempt. Nothing here asks for what a task keeps, but where it says so: a task may be ending.

use denylist::{Digest, Ending, Fault, Outcome, Reason, Task, Time};
use shim::{Ctx, Tag};

use super::judgement::Judgement;
use crate::counters::SaintmodeCounter;
use crate::object::{Kind, Saintmode};
use crate::task::{State, Subject};

/// What an object knows of an attempt that it is told of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    /// Nothing.
    Never,
    /// That there was an answer then, whose body it waits for.
    Answered(Time),
    /// That it succeeded.
    Before,
}

impl Saintmode {
    /// Whether this outcome counts as a failure.
    pub fn takes_for_failure(&self, outcome: Outcome) -> bool {
        self.policy.failures.count(outcome)
    }

    /// Takes note that an attempt succeeded.
    pub fn succeed(&self, ctx: Ctx<'_>, digest: &Digest, told: Told, now: Time) {
        match told {
            Told::Never => self.breaker.count(false, now),
            Told::Answered(answered) => self.breaker.settle(Ending::Success, answered, now),
            Told::Before => return,
        }
        if self.policy.terms.half_open && self.denylist.offenders().succeed(digest, now, &self.policy.terms) {
            ctx.log(Tag::Log, &format!("saintmode: object cleared for backend {}", self.backend_name()));
        }
        self.look(ctx, now);
    }

    /// Takes note that an attempt failed, and of how.
    pub fn fail(&self, ctx: Ctx<'_>, digest: &Digest, outcome: Outcome, told: Told, now: Time) {
        match told {
            Told::Never => self.breaker.count(true, now),
            Told::Answered(answered) => self.breaker.settle(Ending::Failure, answered, now),
            Told::Before => self.breaker.count_late(now),
        }
        self.deny(ctx, Kind::Object, digest, now, self.policy.ttl, Reason::of(outcome));
        self.look(ctx, now);
    }

    /// Takes note that an attempt ended without a response or all of its body. Returns whether it counts as a failure; what says
    /// nothing about the backend is no attempt: its trials are for `free`.
    pub fn learn(
        &self,
        ctx: Ctx<'_>,
        digest: &Digest,
        judgement: &Judgement,
        told: Told,
        now: Time,
        free: impl FnOnce(),
    ) -> bool {
        let (counter, what, text) = match judgement {
            Judgement::Failed(fault) if self.takes_for_failure(Outcome::Fault(*fault)) => {
                self.fail(ctx, digest, Outcome::Fault(*fault), told, now);
                return true;
            }
            Judgement::Failed(Fault::Upload) => (SaintmodeCounter::NoAttempt, "no attempt", "closed during an upload"),
            Judgement::Fine | Judgement::Failed(_) => {
                self.succeed(ctx, digest, told, now);
                return false;
            }
            Judgement::Elsewhere(text) => (SaintmodeCounter::NoAttempt, "no attempt", text.as_str()),
            Judgement::Unknown(text) => (SaintmodeCounter::Unjudged, "unjudged", text.as_str()),
        };
        if let Told::Answered(answered) = told {
            self.breaker.settle(Ending::Nothing, answered, now);
        }
        free();
        self.count(counter);
        ctx.log(Tag::Log, &format!("saintmode: {what} for backend {}: {text}", self.backend_name()));
        false
    }

    /// Takes note that an attempt of this task has an answer whose body is under way.
    pub fn wait(&self, digest: &Digest, task: Task, now: Time) {
        self.breaker.answer(Some(task), now);
        if self.policy.terms.half_open {
            self.denylist.offenders().answer(digest, task, now);
        }
    }

    /// Frees the trials that this task, which keeps them, has begun for a fetch of `digest`.
    pub fn free_trials(&self, ctx: Ctx<'_>, digest: &Digest) {
        if self.policy.terms.half_open {
            Subject::all(self, Some(digest)).for_each(|subject| State::end(ctx, &subject));
        }
    }
}
