// SPDX-License-Identifier: BSD-2-Clause
//! Whether a fetch may go to the backend, for the server's director and for VCL's is_healthy(). A refusal is counted and logged.

use denylist::{Digest, Time};
use shim::director::Admin;
use shim::{Ctx, Side, Tag};

use super::asking::Asking;
use super::refusal::Refusal;
use crate::backend::{How, ask};
use crate::clock::time;
use crate::counters::SaintmodeCounter;
use crate::object::Saintmode;
use crate::task::Scope;

impl Saintmode {
    /// is_healthy(): what the director would say to a fetch of this object.
    pub fn is_healthy(&self, ctx: Ctx<'_>) -> bool {
        let now = time(ctx);
        self.look_behind_group(ctx, now);
        if self.is_calm(now) && !self.leads_on() {
            return self.admin() != Admin::Sick && self.backend_healthy(ctx).0;
        }
        self.would_serve_object(ctx)
    }

    // Out of line, for the sake of the few reads that are mostly enough.
    #[inline(never)]
    fn would_serve_object(&self, ctx: Ctx<'_>) -> bool {
        let object = ctx.object();
        let asking = if object.side == Side::Cli { Asking::Nobody } else { Asking::Question };
        // Objects further in are to answer for the same.
        let how = if object.digest.is_some() { How::AboutObject } else { How::Plainly };
        ask(how, || self.would_serve(ctx, object.digest, object.fetching, asking))
    }

    /// Whether a fetch of `digest` would be sent to the backend, by what the operator set, the entries, and the
    /// backend itself.
    pub fn would_serve(&self, ctx: Ctx<'_>, digest: Option<&Digest>, fetching: bool, asking: Asking) -> bool {
        let may = match self.admin() {
            Admin::Sick => false,
            Admin::Healthy => true,
            Admin::Auto => self.lets_through(ctx, digest, fetching, asking),
        };
        may && self.backend_healthy(ctx).0
    }

    /// Whether denylist, threshold, failure rate and trials let a fetch of `digest` through, the backend's own health aside.
    pub fn lets_through(&self, ctx: Ctx<'_>, digest: Option<&Digest>, fetching: bool, asking: Asking) -> bool {
        let now = time(ctx);
        self.is_calm(now) || self.judge(ctx, digest, fetching, now, asking)
    }

    /// Whether nothing can be refused and nothing is to be told: so it is nearly always, and it takes a few reads to see.
    #[inline]
    fn is_calm(&self, now: Time) -> bool {
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
        let scope = if refusal == Refusal::Key { Scope::of(ctx, &self.siblings) } else { None };
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
}
