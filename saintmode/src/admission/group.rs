// SPDX-License-Identifier: BSD-2-Clause
//! What the members of a group mean for each other: whether one may refuse, seen from how the others are.

use std::sync::atomic::Ordering::{Acquire, Release};

use denylist::{Digest, Time};
use shim::director::Admin;
use shim::{Ctx, Side};

use crate::backend::{How, ask, ask_way};
use crate::object::{Group, Saintmode};

impl Saintmode {
    /// Has its group look behind its members, where that may be done and is due.
    #[inline]
    pub fn look_behind_group(&self, ctx: Ctx<'_>, now: Time) {
        if let Some(group) = &self.group {
            // In vcl_init, members may still come.
            if ctx.place().side != Side::Cli {
                group.look_behind(ctx, now);
            }
        }
    }
}

impl Group<Saintmode> {
    /// Once a second, sees how healthy the directors are that members stand for, and which of them lead to other members.
    ///
    /// To be called from VCL, when no director is at work on this thread: one that is choosing may hold a lock that its health needs, and the server
    /// ends the child that waits for itself. That is why nobody asks them when a member is to be refused.
    fn look_behind(&self, ctx: Ctx<'_>, now: Time) {
        if self.due.take(now) {
            self.look(ctx);
        }
    }

    fn look(&self, ctx: Ctx<'_>) {
        let members = self.members();
        let all = members.iter();
        // Who is not asked, because the operator has said what it is, cannot be met: another time.
        let explore = all.clone().all(|one| one.admin() == Admin::Auto);
        let first_time = explore && !self.explored.load(Acquire);
        for one in all.filter(|one| one.leads_on()) {
            // A director asks nobody behind the first who is healthy: who was not met yet may be later.
            if first_time || (explore && one.stands_apart.load(Acquire)) {
                let (_, meets) = ask_way(self, || one.backend_healthy(ctx));
                one.stands_apart.store(!meets, Release);
            }
            let healthy = ask(How::AsAWhole, || one.backend_healthy(ctx).0);
            one.was_healthy.store(healthy, Release);
        }
        if first_time {
            self.explored.store(true, Release);
        }
    }

    /// Whether a member other than `one` would serve a fetch of `digest` now. One that leads to others of them does not count: they do.
    pub fn another_serves(&self, ctx: Ctx<'_>, one: &Saintmode, digest: Option<&Digest>, now: Time) -> bool {
        self.members().iter().any(|other| {
            !std::ptr::eq(other, one) && other.stands_apart.load(Acquire) && other.serves_alone(ctx, digest, now)
        })
    }

    /// Whether `one` may refuse as a whole while at most `percent` of the members may.
    pub fn may_refuse(&self, one: &Saintmode, percent: u64, now: Time) -> bool {
        let members = self.members();
        let sick = |address: usize| {
            let member = members.iter().find(|member| std::ptr::from_ref(*member).addr() == address);
            // Whom the operator calls healthy refuses nothing.
            member.is_some_and(|member| member.admin() != Admin::Healthy && member.is_sick(now))
        };
        self.refusing.may(std::ptr::from_ref(one).addr(), members.len(), percent, sick)
    }
}
