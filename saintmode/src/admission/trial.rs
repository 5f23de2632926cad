// SPDX-License-Identifier: BSD-2-Clause
//! The trials that a fetch takes, for what was denied before.

use denylist::{Digest, Standing, Time};
use shim::{Ctx, Tag};

use super::asking::Asking;
use crate::counters::SaintmodeCounter;
use crate::object::Saintmode;
use crate::task::{State, Subject, Trial};

impl Saintmode {
    /// Whether a fetch of `digest` would take a trial, free or not.
    pub fn is_on_trial(&self, digest: Option<&Digest>, now: Time) -> bool {
        self.policy.terms.half_open
            && self.threshold() > 0
            && (self.breaker.standing(None, now) != Standing::Clear
                || digest
                    .is_some_and(|digest| self.denylist.offenders().standing(digest, None, now) != Standing::Clear))
    }

    /// Begins the trials that a fetch takes, if it takes any; for a question, promises them. False if another task has one of them.
    pub fn tries_out(&self, ctx: Ctx<'_>, digest: Option<&Digest>, now: Time, asking: Asking) -> bool {
        // A backend that is sick gets no fetch to try it with.
        if !self.is_on_trial(digest, now) || !self.backend_healthy(ctx).0 {
            return true;
        }
        let mut begun = Vec::new();
        for subject in Subject::all(self, digest) {
            if asking != Asking::Fetch {
                if subject.standing(State::task(ctx), now) == Standing::Trial {
                    State::promise(ctx, &subject);
                }
                continue;
            }
            match State::begin(ctx, &subject, now) {
                Trial::None => {}
                Trial::Begun => begun.push(subject),
                Trial::Busy => {
                    begun.iter().for_each(|subject| State::end(ctx, subject));
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
