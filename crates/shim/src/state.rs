// SPDX-License-Identifier: BSD-2-Clause
//! What a task, or a VCL, keeps for a module: a heap object whose end the server calls.

use std::ffi::c_void;
use std::marker::PhantomData;

use crate::ctx::{Ctx, VrtCtx};
use crate::guard::{enter, enter_bare};

/// The server's `struct vmod_priv`; only C looks into it.
#[repr(C)]
pub struct VmodPriv {
    _private: [u8; 0],
}

/// The two kinds of state of one module: `T` of each task, `V` of each VCL.
///
/// There is one of these per module, as a `static`: its address is the id of the task's state.
pub struct States<T, V> {
    // Not zero-sized: two statics of one size zero may share an address.
    id: u8,
    kinds: PhantomData<fn(T, V)>,
}

/// A task's state, and where the server has it.
struct Held<T> {
    place: *mut VmodPriv,
    state: T,
}

/// What a task keeps, and what is to be done at its end.
pub trait TaskState: 'static {
    /// Sees the state for the last time before it goes: at the end of the task, where no VCL sub runs any
    /// more ([`Place::in_sub`](crate::ctx::Place::in_sub) is false), or in a sub that rolls the task back. The state
    /// cannot be had by [`States`] any more, nor another one be made in this task: the ends of other modules' states, which may
    /// lead here, come before it or after it.
    fn end(&mut self, ctx: Ctx<'_>);
}

impl TaskState for () {
    fn end(&mut self, _: Ctx<'_>) {}
}

impl<T: TaskState, V: Sync + 'static> States<T, V> {
    pub const fn new() -> States<T, V> {
        States { id: 1, kinds: PhantomData }
    }

    /// Tells the server how the states end; before any other call, and again does no harm.
    pub fn install(&'static self) {
        // SAFETY: the functions free what task() and set_vcl() of this very type made.
        unsafe { vx_setup(end_task::<T>, free::<V>) }
    }

    /// Lends the task's state to `body`, made by `make` if there is none yet; `None` if the workspace
    /// has no room to hang it on.
    ///
    /// `body` must not call VCL or this function again: the state is lent out only once at a time.
    pub fn task<R>(&'static self, ctx: Ctx<'_>, make: impl FnOnce() -> T, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        // SAFETY: ctx is the server's; the id is this static's address.
        let mut held = unsafe { vx_task_get(ctx.as_ptr(), self.id()) }.cast::<Held<T>>();
        if held.is_null() {
            held = Box::into_raw(Box::new(Held { place: std::ptr::null_mut(), state: make() }));
            // SAFETY: as above; on success the server ends the state by end_task::<T>, once.
            let place = unsafe { vx_task_set(ctx.as_ptr(), self.id(), held.cast()) };
            if place.is_null() {
                // SAFETY: made by Box::into_raw above, and the server did not take it.
                drop(unsafe { Box::from_raw(held) });
                return None;
            }
            // SAFETY: made above, and nobody else has it yet.
            unsafe { (*held).place = place }
        }
        // SAFETY: the pointer is a Box of ours that lives until the task's end; a task runs on one
        // thread at a time, and `body` does not come back here.
        Some(body(unsafe { &mut (*held).state }))
    }

    /// Lends the task's state to `body` if there is one.
    pub fn existing_task<R>(&'static self, ctx: Ctx<'_>, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        // SAFETY: ctx is the server's; the id is this static's address.
        let held = unsafe { vx_task_get(ctx.as_ptr(), self.id()) }.cast::<Held<T>>();
        if held.is_null() {
            return None;
        }
        // SAFETY: as in task().
        Some(body(unsafe { &mut (*held).state }))
    }

    /// Gives the VCL its state: at VCL_EVENT_LOAD, once.
    ///
    /// # Safety
    /// `vcl` is the PRIV_VCL that the server passed to the event.
    pub unsafe fn set_vcl(&'static self, vcl: *mut VmodPriv, state: V) {
        // SAFETY: the caller vouches for `vcl`; the server ends the state by free::<V>, once.
        unsafe { vx_vcl_set(vcl, Box::into_raw(Box::new(state)).cast()) }
    }

    /// The VCL's state.
    ///
    /// # Safety
    /// `vcl` is the PRIV_VCL that the server passed to this call of this module.
    pub unsafe fn vcl<'t>(&'static self, vcl: *const VmodPriv) -> Option<&'t V> {
        if vcl.is_null() {
            return None;
        }
        // SAFETY: the caller vouches for `vcl`.
        let state = unsafe { vx_vcl_get(vcl) }.cast::<V>();
        // SAFETY: NULL or the Box<V> of set_vcl(), which lives until no task of the VCL is left; V is
        // Sync, and nobody gets it mutably.
        unsafe { state.as_ref() }
    }

    fn id(&'static self) -> *const c_void {
        (&raw const self.id).cast()
    }
}

impl<T: TaskState, V: Sync + 'static> Default for States<T, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Ends a task's state.
unsafe extern "C" fn end_task<T: TaskState>(ctx: *const VrtCtx, held: *mut c_void) {
    let body = |ctx| {
        // SAFETY: NULL or the Box of task(), handed back once.
        if let Some(held) = unsafe { held.cast::<Held<T>>().as_mut() } {
            // The server leaves it on the task until all states of all modules have ended.
            // SAFETY: where the server had it from just now.
            unsafe { vx_task_end(held.place) }
            held.state.end(ctx);
        }
    };
    // SAFETY: the server passes its context.
    unsafe { enter(ctx, "end of task", (), body) }
    // SAFETY: handed back once, by the server. Apart from the above: a panic there must not leak it.
    unsafe { free::<Held<T>>(held) }
}

/// Ends a state that Box made.
unsafe extern "C" fn free<S>(state: *mut c_void) {
    enter_bare("end of state", (), || {
        if !state.is_null() {
            // SAFETY: the server hands back, once, what task() or set_vcl() gave it.
            drop(unsafe { Box::from_raw(state.cast::<S>()) });
        }
    });
}

unsafe extern "C" {
    fn vx_setup(task: unsafe extern "C" fn(*const VrtCtx, *mut c_void), vcl: unsafe extern "C" fn(*mut c_void));
    fn vx_task_get(ctx: *const VrtCtx, id: *const c_void) -> *mut c_void;
    fn vx_task_set(ctx: *const VrtCtx, id: *const c_void, state: *mut c_void) -> *mut VmodPriv;
    fn vx_task_end(place: *mut VmodPriv);
    fn vx_vcl_get(vcl: *const VmodPriv) -> *mut c_void;
    fn vx_vcl_set(vcl: *mut VmodPriv, state: *mut c_void);
}
