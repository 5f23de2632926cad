// SPDX-License-Identifier: BSD-2-Clause
//! Saintmode objects of one VCL that stand for the same thing: not all of them may refuse at a time.
//!
//! Made and ended on the CLI thread with their members; asked by any number of workers at once.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;

use denylist::{Digest, Refusing, Time};
use parking_lot::RwLock;
use shim::Ctx;

use crate::object::Saintmode;

thread_local! {
    /// Whether this thread asks members on behalf of another one: those answer for themselves alone, or it would never end.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// The members of a group.
pub struct Group {
    name: Box<str>,
    /// Whoever asks takes a copy: no lock is held while a member's backend is asked for its health.
    members: RwLock<Arc<[Member]>>,
    refusing: Refusing,
}

#[derive(Clone, Copy)]
struct Member(NonNull<Saintmode>);

// SAFETY: a Saintmode may be used on any thread; it lives for as long as a task of its VCL may ask, and leaves on the
// CLI thread before it ends.
unsafe impl Send for Member {}
// SAFETY: as for Send.
unsafe impl Sync for Member {}

/// Ends the asking, also if it panics.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        ASKING.set(false);
    }
}

/// Whether the call comes from a member that asks on behalf of another one.
pub fn is_asking() -> bool {
    ASKING.get()
}

impl Group {
    pub fn new(name: &str) -> Group {
        Group { name: name.into(), members: RwLock::new(Arc::new([])), refusing: Refusing::default() }
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

    /// Whether a member other than `one` would serve a fetch of `digest` now.
    pub fn another_serves(&self, ctx: Ctx<'_>, one: &Saintmode, digest: Option<&Digest>, now: Time) -> bool {
        let members = Arc::clone(&self.members.read());
        ASKING.set(true);
        let _guard = Guard;
        members.iter().any(|member| {
            // SAFETY: a member, so alive for as long as this task.
            let other = unsafe { member.0.as_ref() };
            !std::ptr::eq(other, one) && other.serves_alone(ctx, digest, now)
        })
    }

    /// Whether `one` may refuse as a whole while at most `percent` of the members may.
    pub fn may_refuse(&self, one: &Saintmode, percent: u64, now: Time) -> bool {
        let members = Arc::clone(&self.members.read());
        let sick = |address: usize| {
            let member = members.iter().find(|member| member.0.addr().get() == address);
            // SAFETY: as in another_serves().
            member.is_some_and(|member| unsafe { member.0.as_ref() }.is_sick(now))
        };
        self.refusing.may(std::ptr::from_ref(one).addr(), members.len(), percent, sick)
    }
}
