// SPDX-License-Identifier: BSD-2-Clause
//! What the objects of a VCL have in common. It does not know them, for they know it.

use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::RwLock;

/// The objects of a VCL, in the order of their making. Written on the CLI thread, in vcl_init and vcl_fini; read by workers.
pub struct Siblings<T> {
    all: RwLock<Vec<NonNull<T>>>,
    /// Whether VCL told anything of any task so far: as long as it did not, no verdict need look.
    scoped: AtomicBool,
}

// SAFETY: a pointer is in the list from its object's making to its retirement: it points to a living one.
unsafe impl<T: Sync> Send for Siblings<T> {}
// SAFETY: as for Send.
unsafe impl<T: Sync> Sync for Siblings<T> {}

impl<T> Siblings<T> {
    /// Adds an object, until it leaves.
    ///
    /// # Safety
    /// It lives until then.
    pub unsafe fn join(&self, one: NonNull<T>) {
        self.all.write().push(one);
    }

    pub fn leave(&self, one: NonNull<T>) {
        self.all.write().retain(|sibling| *sibling != one);
    }

    /// Lends the objects to `body`.
    pub fn with<R>(&self, body: impl FnOnce(&mut dyn Iterator<Item = &T>) -> R) -> R {
        let objects = self.all.read();
        // SAFETY: in the list, so alive (join); the read lock keeps it there.
        body(&mut objects.iter().map(|object| unsafe { object.as_ref() }))
    }

    /// Whether VCL may have told anything of any task.
    #[inline]
    pub fn are_scoped(&self) -> bool {
        self.scoped.load(Relaxed)
    }

    /// From now on, verdicts look at what VCL told of the task.
    pub fn look_at_scopes(&self) {
        self.scoped.store(true, Relaxed);
    }
}

impl<T> Default for Siblings<T> {
    fn default() -> Self {
        Siblings { all: RwLock::default(), scoped: AtomicBool::default() }
    }
}
