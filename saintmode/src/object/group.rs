// SPDX-License-Identifier: BSD-2-Clause
//! Objects of one VCL that stand for the same thing: not all of them may refuse at a time. It does not know them, for they know it.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use denylist::{Due, Refusing};
use parking_lot::RwLock;

/// Joined and left on the CLI thread; read by any number of workers at once.
pub struct Group<T> {
    name: Box<str>,
    members: RwLock<Members<T>>,
    /// Which of them refuse.
    pub refusing: Refusing,
    /// Whether it was looked which of them lead to others.
    pub explored: AtomicBool,
    /// When that is to be looked again.
    pub due: Due,
}

/// The members at one time. Whoever asks takes a copy: no lock is held while a member's backend is asked for its health.
pub struct Members<T>(Arc<[NonNull<T>]>);

// SAFETY: a member may be used on any thread; it lives for as long as a task of its VCL may ask, and leaves on the CLI thread before
// it ends.
unsafe impl<T: Sync> Send for Members<T> {}
// SAFETY: as for Send.
unsafe impl<T: Sync> Sync for Members<T> {}

impl<T> Group<T> {
    pub fn new(name: &str) -> Group<T> {
        Group {
            name: name.into(),
            members: RwLock::new(Members(Arc::new([]))),
            refusing: Refusing::default(),
            explored: AtomicBool::new(false),
            due: Due::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a member, until it leaves.
    ///
    /// # Safety
    /// It lives until then, and after that for as long as a task of its VCL.
    pub unsafe fn join(&self, one: NonNull<T>) {
        let mut members = self.members.write();
        members.0 = members.0.iter().copied().chain([one]).collect();
    }

    pub fn leave(&self, one: NonNull<T>) {
        let mut members = self.members.write();
        members.0 = members.0.iter().copied().filter(|member| *member != one).collect();
    }

    /// Those that it has now, for this task or this call of the CLI's.
    pub fn members(&self) -> Members<T> {
        Members(Arc::clone(&self.members.read().0))
    }
}

impl<T> Members<T> {
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        // SAFETY: a member, so alive for as long as this task (join).
        self.0.iter().map(|member| unsafe { member.as_ref() })
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
