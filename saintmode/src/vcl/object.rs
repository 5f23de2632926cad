// SPDX-License-Identifier: BSD-2-Clause
//! The methods of an object.

use denylist::{Digest, Time};
use shim::director::VclBackend;
use shim::{Ctx, VclString, VrtCtx};

use super::call::{key_digest, method, misused};
use crate::clock::time;
use crate::object::{Kind, Saintmode};

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_backend(ctx: *const VrtCtx, object: *const Saintmode) -> VclBackend {
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, "saintmode.backend()", std::ptr::null(), |_, object| object.face()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_is_healthy(ctx: *const VrtCtx, object: *const Saintmode) -> u32 {
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, "saintmode.is_healthy()", 1, |ctx, object| u32::from(object.is_healthy(ctx))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_denylist_count(ctx: *const VrtCtx, object: *const Saintmode) -> i64 {
    let count = |ctx: Ctx<'_>, object: &Saintmode| i64::try_from(object.live(time(ctx))).unwrap_or(i64::MAX);
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, "saintmode.denylist_count()", 0, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_blacklist_count(ctx: *const VrtCtx, object: *const Saintmode) -> i64 {
    // SAFETY: as the server passed them to this call.
    unsafe { vmod_saintmode_denylist_count(ctx, object) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_denied(ctx: *const VrtCtx, object: *const Saintmode, key: VclString<'_>) -> u32 {
    let body = |ctx: Ctx<'_>, one: &Saintmode| {
        let denied = |_: Kind, digest: &Digest, now: Time| one.denied(digest, now);
        u32::from(meant(ctx, "saintmode.denied()", key, denied).unwrap_or(false))
    };
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, "saintmode.denied()", 0, body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_allow(ctx: *const VrtCtx, object: *const Saintmode, key: VclString<'_>) {
    let body = |ctx: Ctx<'_>, one: &Saintmode| {
        meant(ctx, "saintmode.allow()", key, |kind, digest, now| one.allow(ctx, kind, digest, now));
    };
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, "saintmode.allow()", (), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_clear(ctx: *const VrtCtx, object: *const Saintmode) {
    let body = |ctx: Ctx<'_>, one: &Saintmode| one.clear(ctx, time(ctx));
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, "saintmode.clear()", (), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_saintmode_set_threshold(ctx: *const VrtCtx, object: *const Saintmode, threshold: i64) {
    const CALL: &str = "saintmode.set_threshold()";
    let body = |ctx: Ctx<'_>, one: &Saintmode| match u64::try_from(threshold) {
        Ok(threshold) => one.set_threshold(ctx, threshold, time(ctx)),
        Err(_) => {
            let problem = format!("{CALL}: threshold of {} must be at least 0, got {threshold}", one.name());
            if ctx.facts().sub == b"vcl_init" { ctx.fail(&problem) } else { misused(ctx, &problem) }
        }
    };
    // SAFETY: the server passes its context and the object's variable.
    unsafe { method(ctx, object, CALL, (), body) }
}

/// `body` with what a call means, its key or else the task's object; `None` if there is neither.
fn meant<R>(ctx: Ctx<'_>, call: &str, key: VclString<'_>, body: impl FnOnce(Kind, &Digest, Time) -> R) -> Option<R> {
    let object = ctx.object();
    let now = time(ctx);
    if let Some(key) = key_digest(key) {
        return Some(body(Kind::Key, &key, now));
    }
    if let Some(digest) = object.digest {
        return Some(body(Kind::Object, digest, now));
    }
    misused(ctx, &format!("{call} called where there is no object yet, and without a key"));
    None
}
