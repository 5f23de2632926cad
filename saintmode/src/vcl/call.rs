// SPDX-License-Identifier: BSD-2-Clause
//! What all calls have in common: how they come from C, and what becomes of those that can do nothing.

use denylist::Digest;
use shim::digest::of_key;
use shim::state::VmodPriv;
use shim::{Ctx, Tag, VclString, VrtCtx, enter};

use crate::counters;
use crate::object::{Objects, Saintmode};
use crate::task::STATES;

/// A $Method: `body` with the object, or `neutral`.
///
/// # Safety
/// `ctx` and `object` are what the server passed to this call.
pub unsafe fn method<T: Copy>(
    ctx: *const VrtCtx,
    object: *const Saintmode,
    call: &str,
    neutral: T,
    body: impl FnOnce(Ctx<'_>, &Saintmode) -> T,
) -> T {
    let body = |ctx: Ctx<'_>| {
        // SAFETY: NULL or the object of `new`, which lives until no task of its VCL is left.
        match unsafe { object.as_ref() } {
            Some(object) => body(ctx, object),
            None => neutral,
        }
    };
    // SAFETY: the caller passes on what the server gave it.
    unsafe { enter(ctx, call, neutral, body) }
}

/// A $Function: `body` with the VCL's objects, or `neutral`.
///
/// # Safety
/// `ctx` and `vcl` are what the server passed to this call.
pub unsafe fn function<T: Copy>(
    ctx: *const VrtCtx,
    vcl: *const VmodPriv,
    call: &str,
    neutral: T,
    body: impl FnOnce(Ctx<'_>, &Objects) -> T,
) -> T {
    let body = |ctx: Ctx<'_>| {
        // SAFETY: the caller vouches for `vcl`.
        match unsafe { STATES.vcl(vcl) } {
            Some(objects) => body(ctx, objects),
            None => neutral,
        }
    };
    // SAFETY: the caller passes on what the server gave it.
    unsafe { enter(ctx, call, neutral, body) }
}

/// The digest of a key; an empty one, or an unset one, is none.
pub fn key_digest(key: VclString<'_>) -> Option<Digest> {
    key.bytes().filter(|key| !key.is_empty()).map(of_key)
}

/// A call that can do nothing: one record, one more in the counter.
pub fn misused(ctx: Ctx<'_>, problem: &str) {
    counters::error();
    ctx.log(Tag::VclError, problem);
}
