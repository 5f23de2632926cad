// SPDX-License-Identifier: BSD-2-Clause
//! Whether a fetch may go to the backend, the backend's own health aside.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

use denylist::{Digest, Standing, Time, Verdict};
use shim::director::Admin;
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
    pub(crate) fn lets_through(&self, ctx: Ctx<'_>, digest: Option<&Digest>, fetching: bool, asking: Asking) -> bool {
        let now = time(ctx);
        self.is_calm(now) || self.judge(ctx, digest, fetching, now, asking)
    }

    /// Whether nothing can be refused and nothing is to be told: so it is nearly always, and it takes a few reads to see.
    #[inline]
    pub(crate) fn is_calm(&self, now: Time) -> bool {
        self.policy.is_plain()
            && !self.denylist.any_live(now)
            && !self.siblings.are_scoped()
            && self.health.is_calm(now)
    }

    fn judge(&self, ctx: Ctx<'_>, digest: Option<&Digest>, fetching: bool, now: Time, asking: Asking) -> bool {
        self.look(ctx, now);
        let refusal = self.refusal(ctx, digest, now, asking).or_else(|| {
            let busy = fetching && asking != Asking::Nobody && !self.tries_out(ctx, digest, now, asking);
            busy.then_some(Refusal::Trial)
        });
        let Some(refusal) = refusal else { return true };
        let spared = self.spared(ctx, digest, now, refusal);
        if asking != Asking::Nobody {
            let (reason, backend) = (refusal.reason(), self.backend_name());
            let (counter, text) = match &spared {
                Some(why) => (
                    Some(SaintmodeCounter::Spared),
                    format!("saintmode: spared: {reason} for backend {backend}, but {why}"),
                ),
                None => (refusal.counter(), format!("saintmode: unhealthy: {reason} for backend {backend}")),
            };
            if let Some(counter) = counter {
                self.count(counter);
            }
            if spared.is_none() {
                self.hit(ctx, digest, refusal);
            }
            ctx.log(Tag::Log, &text);
        }
        spared.is_some()
    }

    /// Counts at the entry that it has refused.
    fn hit(&self, ctx: Ctx<'_>, digest: Option<&Digest>, refusal: Refusal) {
        let scope = if refusal == Refusal::Key { self.siblings.scope(ctx) } else { None };
        let entry = match refusal {
            Refusal::Object => digest,
            Refusal::Key => scope.as_ref().and_then(Scope::key),
            _ => None,
        };
        if let Some(entry) = entry {
            self.denylist.hit(entry);
        }
    }

    /// Why it does not refuse for its group's sake.
    fn spared(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time, refusal: Refusal) -> Option<String> {
        let group = self.group.as_ref().filter(|_| refusal != Refusal::Excluded)?;
        if self.policy.keep_one && !group.another_serves(ctx, self, digest, now) {
            return Some(format!("no other member of group {} would serve", group.name()));
        }
        let whole = matches!(refusal, Refusal::Threshold | Refusal::Rate) && self.policy.max_sick_percent < 100;
        (whole && !group.may_refuse(self, self.policy.max_sick_percent, now))
            .then(|| format!("as many members of group {} are sick as may be", group.name()))
    }

    /// Whether it would serve a fetch of `digest`, whatever the others of its group do.
    pub(crate) fn serves_alone(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time) -> bool {
        let admits = match self.admin() {
            Admin::Sick => false,
            Admin::Healthy => true,
            Admin::Auto => self.refusal(ctx, digest, now, Asking::Question).is_none(),
        };
        admits && if self.leads_on() { self.was_healthy.load(Acquire) } else { self.backend_healthy(ctx).0 }
    }

    /// Whether it is sick as a whole. Takes no lock.
    pub(crate) fn is_sick(&self, now: Time) -> bool {
        self.denylist.verdict(None, now) == Verdict::ThresholdReached
            || (self.threshold() > 0 && self.breaker.standing(None, now) == Standing::Refused)
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

    /// What a fetch of `digest` may be a trial of.
    pub(crate) fn subjects(&self, digest: Option<&Digest>) -> impl Iterator<Item = Subject> + use<> {
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
