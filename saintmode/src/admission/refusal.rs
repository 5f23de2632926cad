// SPDX-License-Identifier: BSD-2-Clause
//! What an object has against a fetch, whatever the others of its group do.

use std::sync::atomic::Ordering::Acquire;

use denylist::{Digest, Standing, Time, Verdict};
use shim::Ctx;
use shim::director::Admin;

use super::asking::Asking;
use crate::counters::SaintmodeCounter;
use crate::object::Saintmode;
use crate::task::{Scope, State, Subject};

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
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
    pub fn counter(self) -> Option<SaintmodeCounter> {
        let counter = match self {
            Refusal::Object | Refusal::Key => SaintmodeCounter::RefusedObject,
            Refusal::Threshold => SaintmodeCounter::RefusedThreshold,
            Refusal::Rate => SaintmodeCounter::RefusedRate,
            Refusal::Trial => SaintmodeCounter::RefusedTrial,
            Refusal::Excluded => return None,
        };
        Some(counter)
    }

    pub fn reason(self) -> &'static str {
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
    /// Whether it would serve a fetch of `digest`, whatever the others of its group do.
    pub fn serves_alone(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time) -> bool {
        let admits = match self.admin() {
            Admin::Sick => false,
            Admin::Healthy => true,
            Admin::Auto => self.refusal(ctx, digest, now, Asking::Question).is_none(),
        };
        admits && if self.leads_on() { self.was_healthy.load(Acquire) } else { self.backend_healthy(ctx).0 }
    }

    pub fn refusal(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time, asking: Asking) -> Option<Refusal> {
        let scope = if asking == Asking::Nobody { None } else { Scope::of(ctx, &self.siblings) };
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
        let task = if asking == Asking::Nobody { None } else { State::task(ctx) };
        let busy = Subject::all(self, digest).any(|subject| subject.standing(task, now) == Standing::Busy);
        busy.then_some(Refusal::Trial)
    }
}
