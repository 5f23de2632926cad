// SPDX-License-Identifier: BSD-2-Clause
//! Whether a fetch may go to the backend, the backend's own health aside.

use std::sync::Arc;

use denylist::{Digest, Standing, Time, Verdict};
use shim::director::Object;
use shim::{Ctx, Tag};

use crate::counters::SaintmodeCounter;
use crate::object::{Saintmode, time};
use crate::scope::Scope;
use crate::trial::{self, Subject, Trial};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The CLI, or VCL about the backend as a whole: nothing is refused by the answer.
    Nobody,
    /// A task that wants to know.
    Question,
    /// A task that is going to fetch if it may.
    Fetch,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Object,
    /// What VCL said that the task is about.
    Key,
    Threshold,
    Rate,
    /// It takes a trial, and that is another task's.
    Trial,
    /// VCL wants another backend for this task.
    Excluded,
}

impl Refusal {
    fn counter(self) -> Option<SaintmodeCounter> {
        let counter = match self {
            Refusal::Object | Refusal::Key => SaintmodeCounter::RefusedObject,
            Refusal::Threshold => SaintmodeCounter::RefusedThreshold,
            Refusal::Rate => SaintmodeCounter::RefusedRate,
            Refusal::Trial => SaintmodeCounter::RefusedTrial,
            Refusal::Excluded => return None,
        };
        Some(counter)
    }

    fn reason(self) -> &'static str {
        match self {
            Refusal::Object => "object denylisted",
            Refusal::Key => "key denylisted",
            Refusal::Threshold => "hit threshold",
            Refusal::Rate => "hit failure rate",
            Refusal::Trial => "another trial under way",
            Refusal::Excluded => "excluded from this task",
        }
    }
}

impl Saintmode {
    /// Whether denylist, threshold, failure rate and trials let a fetch of `digest` through. A refusal is counted and logged.
    pub(crate) fn lets_through(
        &self,
        ctx: Ctx<'_>,
        digest: Option<&Digest>,
        object: &Object<'_>,
        asking: Asking,
    ) -> bool {
        let now = time(object);
        self.look(ctx, now);
        let refusal = self.refusal(ctx, digest, now, asking).or_else(|| {
            let tried = object.fetching && !self.tries_out(ctx, digest, now, asking);
            tried.then_some(Refusal::Trial)
        });
        let Some(refusal) = refusal else { return true };
        if asking != Asking::Nobody {
            if let Some(counter) = refusal.counter() {
                self.count(counter);
            }
            match refusal {
                Refusal::Object => digest.into_iter().for_each(|digest| self.denylist.hit(digest)),
                Refusal::Key => {
                    let scope = self.siblings.scope(ctx);
                    scope.as_ref().and_then(Scope::key).into_iter().for_each(|key| self.denylist.hit(key));
                }
                _ => {}
            }
            let text = format!("saintmode: unhealthy: {} for backend {}", refusal.reason(), self.backend_name());
            ctx.log(Tag::Log, &text);
        }
        false
    }

    fn refusal(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time, asking: Asking) -> Option<Refusal> {
        let scope = if asking == Asking::Nobody { None } else { self.siblings.scope(ctx) };
        let key_denied = scope.as_ref().and_then(Scope::key).is_some_and(|key| self.denied(key, now));
        match self.denylist.verdict(digest, now) {
            Verdict::ObjectDenied => return Some(Refusal::Object),
            _ if key_denied => return Some(Refusal::Key),
            Verdict::ThresholdReached => return Some(Refusal::Threshold),
            Verdict::Healthy if self.threshold() == 0 => return None,
            Verdict::Healthy => {}
        }
        if self.breaker.standing(None, now) == Standing::Refused {
            return Some(Refusal::Rate);
        }
        if scope.is_some_and(|scope| scope.excludes(self)) {
            return Some(Refusal::Excluded);
        }
        // A fetch finds out by beginning one.
        if asking == Asking::Fetch || !self.is_on_trial(digest, now) {
            return None;
        }
        let task = if asking == Asking::Nobody { None } else { trial::task(ctx) };
        let busy = self.subjects(digest).any(|subject| subject.standing(task, now) == Standing::Busy);
        busy.then_some(Refusal::Trial)
    }

    /// Whether a fetch of `digest` would take a trial, free or not.
    fn is_on_trial(&self, digest: Option<&Digest>, now: Time) -> bool {
        self.policy.terms.half_open
            && self.threshold() > 0
            && (self.breaker.standing(None, now) != Standing::Clear
                || digest
                    .is_some_and(|digest| self.denylist.offenders().standing(digest, None, now) != Standing::Clear))
    }

    fn subjects(&self, digest: Option<&Digest>) -> impl Iterator<Item = Subject> {
        let object = digest.map(|digest| Subject::Object(Arc::clone(&self.denylist), *digest));
        object.into_iter().chain([Subject::Backend(Arc::clone(&self.breaker))])
    }

    /// Begins the trials that a fetch takes, if it takes any; for a question, promises them. False if another task has one of them.
    fn tries_out(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time, asking: Asking) -> bool {
        // A backend that is sick gets no fetch to try it with.
        if !self.is_on_trial(digest, now) || !self.backend_healthy(ctx).0 {
            return true;
        }
        let mut begun = Vec::new();
        for subject in self.subjects(digest) {
            if asking != Asking::Fetch {
                if subject.standing(trial::task(ctx), now) == Standing::Trial {
                    trial::promise(ctx, &subject);
                }
                continue;
            }
            match trial::begin(ctx, &subject, now) {
                Trial::None => {}
                Trial::Begun => begun.push(subject),
                Trial::Busy => {
                    begun.iter().for_each(|subject| trial::end(ctx, subject));
                    return false;
                }
            }
        }
        if !begun.is_empty() {
            self.count(SaintmodeCounter::Trials);
            ctx.log(Tag::Log, &format!("saintmode: trial for backend {}", self.backend_name()));
        }
        true
    }
}
