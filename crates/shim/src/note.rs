// SPDX-License-Identifier: BSD-2-Clause
//! What a task keeps for a module in a few plain bytes: on the task's own workspace, with no end to call.
//!
//! Cheaper than [`state`](crate::state): no allocation but the workspace's, so that each fetch can afford one.

use std::ffi::c_void;
use std::marker::PhantomData;

use crate::ctx::{Ctx, Side, VrtCtx};

/// A type whose values are plain bytes.
///
/// # Safety
/// All bytes zero are a value of it.
pub unsafe trait Plain: Copy + 'static {}

/// The note `T` of each task.
///
/// There is one of these per type, as a `static`: its address is the id of the note.
pub struct Notes<T> {
    // Not zero-sized: two statics of one size zero may share an address.
    id: u8,
    kind: PhantomData<fn(T)>,
}

impl<T: Plain> Notes<T> {
    pub const fn new() -> Notes<T> {
        const { assert!(align_of::<T>() <= align_of::<*const c_void>(), "a workspace is aligned for pointers") };
        Notes { id: 1, kind: PhantomData }
    }

    /// What the task's note says; `None` if there is none, and outside of a task.
    pub fn get(&'static self, ctx: Ctx<'_>) -> Option<T> {
        if ctx.place().side == Side::Cli {
            return None;
        }
        // SAFETY: ctx is the server's, of a task; the id is this static's address.
        let note = unsafe { vx_note_get(ctx.as_ptr(), self.id()) }.cast::<T>();
        // SAFETY: NULL or what change() made for this very type, which lives as long as the task's privates.
        unsafe { note.as_ref() }.copied()
    }

    /// Lends the task's note to `body`, made of zeros if there is none yet; `None` if the workspace has no
    /// room for it, and outside of a task.
    ///
    /// `body` must not call VCL or this type again: the note is lent out only once at a time.
    pub fn change<R>(&'static self, ctx: Ctx<'_>, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        if ctx.place().side == Side::Cli {
            return None;
        }
        // SAFETY: as in get(); the size is the type's.
        let note = unsafe { vx_note_make(ctx.as_ptr(), self.id(), size_of::<T>()) }.cast::<T>();
        // SAFETY: NULL or bytes of the type's size, aligned for a pointer, and a value (Plain). A task runs on
        // one thread at a time, and `body` does not come back here.
        unsafe { note.as_mut() }.map(body)
    }

    fn id(&'static self) -> *const c_void {
        (&raw const self.id).cast()
    }
}

impl<T: Plain> Default for Notes<T> {
    fn default() -> Self {
        Self::new()
    }
}

unsafe extern "C" {
    fn vx_note_get(ctx: *const VrtCtx, id: *const c_void) -> *mut c_void;
    fn vx_note_make(ctx: *const VrtCtx, id: *const c_void, size: usize) -> *mut c_void;
}
