// SPDX-License-Identifier: BSD-2-Clause
//! Saintmode objects of one VCL that stand for the same thing: not all of them may refuse at a time.
//!
//! Made and ended on the CLI thread with their members; asked by any number of workers at once.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

use denylist::{Digest, Due, Refusing, Time};
use parking_lot::RwLock;
use shim::Ctx;
use shim::director::Admin;

use crate::asked::{How, ask, ask_way};
use crate::object::Saintmode;

/// The members of a group.
pub struct Group {
    name: Box<str>,
    /// Whoever asks takes a copy: no lock is held while a member's backend is asked for its health.
    members: RwLock<Arc<[Member]>>,
    refusing: Refusing,
    /// Whether it was looked which of them lead to others.
    explored: AtomicBool,
    due: Due,
}

#[derive(Clone, Copy)]
struct Member(NonNull<Saintmode>);

// SAFETY: a Saintmode may be used on any thread; it lives for as long as a task of its VCL may ask, and leaves on the
// CLI thread before it ends.
unsafe impl Send for Member {}
// SAFETY: as for Send.
unsafe impl Sync for Member {}

impl Group {
    pub fn new(name: &str) -> Group {
        Group {
            name: name.into(),
            members: RwLock::new(Arc::new([])),
            refusing: Refusing::default(),
            explored: AtomicBool::new(false),
            due: Due::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a member, until it leaves.
    pub fn join(&self, one: NonNull<Saintmode>) {
        let mut members = self.members.write();
        *members = members.iter().copied().chain([Member(one)]).collect();
    }

    pub fn leave(&self, one: NonNull<Saintmode>) {
        let mut members = self.members.write();
        *members = members.iter().copied().filter(|member| member.0 != one).collect();
    }

    /// Once a second, sees how healthy the directors are that members stand for, and which of them lead to other members.
    ///
    /// To be called from VCL, when no director is at work on this thread: one that is choosing may hold a lock that its health needs, and the server
    /// ends the child that waits for itself. That is why nobody asks them when a member is to be refused.
    pub fn look_behind(&self, ctx: Ctx<'_>, now: Time) {
        if self.due.take(now) {
            self.look(ctx);
        }
    }

    fn look(&self, ctx: Ctx<'_>) {
        let members = Arc::clone(&self.members.read());
        // SAFETY: a member, so alive for as long as this task.
        let all = members.iter().map(|member| unsafe { member.0.as_ref() });
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
        let members = Arc::clone(&self.members.read());
        members.iter().any(|member| {
            // SAFETY: a member, so alive for as long as this task.
            let other = unsafe { member.0.as_ref() };
            !std::ptr::eq(other, one) && other.stands_apart.load(Acquire) && other.serves_alone(ctx, digest, now)
        })
    }

    /// Whether `one` may refuse as a whole while at most `percent` of the members may.
    pub fn may_refuse(&self, one: &Saintmode, percent: u64, now: Time) -> bool {
        let members = Arc::clone(&self.members.read());
        let sick = |address: usize| {
            let member = members.iter().find(|member| member.0.addr().get() == address);
            // SAFETY: as in another_serves().
            let member = member.map(|member| unsafe { member.0.as_ref() });
            // Whom the operator calls healthy refuses nothing.
            member.is_some_and(|member| member.admin() != Admin::Healthy && member.is_sick(now))
        };
        self.refusing.may(std::ptr::from_ref(one).addr(), members.len(), percent, sick)
    }
}
