// SPDX-License-Identifier: BSD-2-Clause
//! A VCL's load: its events, and the making and the end of its objects.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;
use std::sync::Arc;

use shim::director::VclBackend;
use shim::guard::enter_bare;
use shim::state::VmodPriv;
use shim::{Ctx, VclString, VrtCtx, enter};

use crate::object::{Arguments, Objects, Saintmode};
use crate::task::STATES;
use crate::{counters, director};

const VCL_EVENT_LOAD: c_int = 0;
const VCL_EVENT_WARM: c_int = 1;
const VCL_EVENT_COLD: c_int = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_event(ctx: *const VrtCtx, vcl: *mut VmodPriv, event: c_int) -> c_int {
    let body = |ctx: Ctx<'_>| {
        match event {
            VCL_EVENT_LOAD => {
                STATES.install();
                counters::install();
                // SAFETY: the server passes the VCL's own private.
                unsafe { STATES.set_vcl(vcl, Arc::default()) };
            }
            VCL_EVENT_WARM => {
                // SAFETY: as above.
                if let Some(objects) = unsafe { STATES.vcl(vcl) } {
                    director::begin(ctx, objects);
                }
            }
            VCL_EVENT_COLD => {
                // SAFETY: as above.
                if let Some(objects) = unsafe { STATES.vcl(vcl) } {
                    director::rest(objects);
                }
            }
            _ => {}
        }
        0
    };
    // SAFETY: the server passes its context.
    unsafe { enter(ctx, "saintmode", 1, body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode__init(
    ctx: *const VrtCtx,
    object: *mut *mut Saintmode,
    name: *const c_char,
    vcl: *mut VmodPriv,
    backend: VclBackend,
    threshold: i64,
    max_entries: i64,
    keep: VclString<'_>,
    group: VclString<'_>,
    keep_one: u32,
    max_sick_percent: i64,
    on: VclString<'_>,
    ttl: f64,
    max_ttl: f64,
    half_open: u32,
    max_failure_percent: i64,
    min_requests: i64,
    window: f64,
) {
    let arguments = Arguments {
        keep,
        group,
        keep_one: keep_one != 0,
        max_sick_percent,
        on,
        ttl,
        max_ttl,
        half_open: half_open != 0,
        max_failure_percent,
        min_requests,
        window,
    };
    let body = |ctx: Ctx<'_>| {
        // SAFETY: the VCC compiler passes the object's name, a literal.
        let name = unsafe { CStr::from_ptr(name) };
        // SAFETY: the server passes the VCL's own private.
        let Some(objects) = (unsafe { STATES.vcl(vcl) }) else { return };
        // SAFETY: the server passes a backend or NULL.
        match unsafe { make(ctx, objects, name, backend, threshold, max_entries, arguments) } {
            // SAFETY: the VCC compiler passes the address of the object's variable.
            Ok(made) => unsafe { *object = made.as_ptr() },
            Err(problem) => ctx.fail(&format!("saintmode.saintmode(): {problem}")),
        }
    };
    // SAFETY: the server passes its context.
    unsafe { enter(ctx, "saintmode.saintmode()", (), body) }
}

/// # Safety
/// `backend` is NULL or what VCL passed in at this call.
unsafe fn make(
    ctx: Ctx<'_>,
    objects: &Arc<Objects>,
    name: &CStr,
    backend: VclBackend,
    threshold: i64,
    max_entries: i64,
    arguments: Arguments<'_>,
) -> Result<NonNull<Saintmode>, String> {
    let object = name.to_string_lossy();
    if backend.is_null() {
        return Err(format!("backend of {object} is none, expected a backend or director"));
    }
    let Ok(threshold) = u64::try_from(threshold) else {
        return Err(format!("threshold of {object} must be at least 0, got {threshold}"));
    };
    let max_entries = match usize::try_from(max_entries) {
        Ok(max_entries) if (1..=1 << 24).contains(&max_entries) => max_entries,
        _ => return Err(format!("max_entries of {object} must be between 1 and 16777216, got {max_entries}")),
    };
    let policy = arguments.policy(&object)?;
    // SAFETY: not NULL, checked above; the caller vouches for the rest.
    let made = unsafe { director::register(ctx, objects, name, backend, threshold, max_entries, policy) };
    made.ok_or_else(|| format!("the VCL takes no director for {object} any more"))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode__fini(object: *mut *mut Saintmode) {
    enter_bare("saintmode.saintmode()", (), || {
        // SAFETY: the VCC compiler passes the address of the object's variable, for the last time.
        let Some(gone) = NonNull::new(std::mem::replace(unsafe { &mut *object }, std::ptr::null_mut())) else {
            return;
        };
        // SAFETY: made by register(); the variable was just cleared, so this is the one call.
        unsafe { director::retire(gone) };
    });
}
