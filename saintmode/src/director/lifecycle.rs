// SPDX-License-Identifier: BSD-2-Clause
//! How an object comes into its VCL and leaves it. On the CLI thread.

use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;

use shim::Ctx;
use shim::director::{Handle, VclBackend};

use crate::backend::explore_all;
use crate::clock::time;
use crate::object::{Objects, Policy, Saintmode, set_wanted};

/// Makes an object and registers its director; `None` if the VCL takes no directors any more.
///
/// # Safety
/// `backend` is not NULL and was passed in by VCL at this call.
pub unsafe fn register(
    ctx: Ctx<'_>,
    objects: &Arc<Objects>,
    name: &CStr,
    backend: VclBackend,
    threshold: u64,
    max_entries: usize,
    policy: Policy,
) -> Option<NonNull<Saintmode>> {
    // SAFETY: the caller vouches for the backend.
    let made = unsafe { Saintmode::new(ctx, objects, name, backend, threshold, max_entries, policy) };
    made.find(time(ctx));
    let made = NonNull::from(Box::leak(Box::new(made)));
    // SAFETY: the caller vouches for the backend; `made` came from a Box.
    let Some(handle) = (unsafe { Handle::new(ctx, name, backend, made) }) else {
        // SAFETY: made above, and nobody took it.
        drop(unsafe { Box::from_raw(made.as_ptr()) });
        return None;
    };
    // SAFETY: just made, and alive until retire().
    let one = unsafe { made.as_ref() };
    let _ = one.handle.set(handle);
    // SAFETY: retire() takes it out.
    unsafe { objects.join(made) };
    if let Some(group) = &one.group {
        // SAFETY: as above; the server keeps it until no task of its VCL is left.
        unsafe { group.join(made) };
    }
    Some(made)
}

/// The VCL is loaded: all directors have their members now, and the thresholds that it asks for count.
pub fn begin(ctx: Ctx<'_>, objects: &Objects) {
    objects.with(|all| {
        let all: Vec<&Saintmode> = all.collect();
        explore_all(ctx, &all);
        set_wanted(ctx, &all);
    });
    show(objects, true);
}

/// The VCL serves no more, until it is warm again.
pub fn rest(objects: &Objects) {
    show(objects, false);
}

/// Has varnishstat show the objects' counters, as it shows those of a VCL's backends, while it is warm.
fn show(objects: &Objects, shown: bool) {
    objects.with(|all| all.filter_map(|one| one.counters.as_ref()).for_each(|counters| counters.show(shown)));
}

/// Takes the object's director out of its VCL; `object` may be gone afterwards.
///
/// # Safety
/// `object` came from [`register`]; called once, on the CLI thread.
pub unsafe fn retire(object: NonNull<Saintmode>) {
    // SAFETY: alive until the retire() below.
    let this = unsafe { object.as_ref() };
    this.siblings.leave(object);
    if let Some(group) = &this.group {
        group.leave(object);
    }
    if let Some(handle) = this.handle.get().copied() {
        // SAFETY: the caller vouches for the one call.
        unsafe { handle.retire() }
    }
}
