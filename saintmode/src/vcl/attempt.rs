// SPDX-License-Identifier: BSD-2-Clause
//! What VCL says of an attempt, to the objects that it was sent to, and of the task.

use denylist::{Digest, Fault, Outcome, Reason};
use shim::director::Object;
use shim::state::VmodPriv;
use shim::{Ctx, Message, Side, VclString, VrtCtx, enter};

use super::call::{function, key_digest, misused};
use crate::clock::time;
use crate::fetch::{backend_failed, observe};
use crate::object::{Kind, Objects, Saintmode};
use crate::task::{attempt, scope};

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_denylist(ctx: *const VrtCtx, vcl: *const VmodPriv, expires: f64, key: VclString<'_>) {
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe {
        function(ctx, vcl, "saintmode.denylist()", (), |ctx, objects| deny(ctx, objects, expires, key_digest(key)))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_blacklist(ctx: *const VrtCtx, vcl: *const VmodPriv, expires: f64) {
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "saintmode.denylist()", (), |ctx, objects| deny(ctx, objects, expires, None)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_exclude(ctx: *const VrtCtx, vcl: *const VmodPriv) {
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "saintmode.exclude()", (), exclude) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_set_key(ctx: *const VrtCtx, vcl: *const VmodPriv, key: VclString<'_>) {
    let body = |ctx: Ctx<'_>, objects: &Objects| {
        objects.look_at_scopes();
        if ctx.place().side == Side::Cli {
            misused(ctx, "saintmode.set_key() called outside of a request");
        } else if !scope::set_key(ctx, key_digest(key)) {
            misused(ctx, "saintmode.set_key(): out of workspace");
        }
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "saintmode.set_key()", (), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_observe(ctx: *const VrtCtx, vcl: *const VmodPriv) {
    let body = |ctx: Ctx<'_>, objects: &Objects| {
        if let Some(problem) = observe(ctx, objects) {
            misused(ctx, problem);
        }
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "saintmode.observe()", (), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_backend_failed(ctx: *const VrtCtx) -> u32 {
    const CALL: &str = "saintmode.backend_failed()";
    let body = |ctx: Ctx<'_>| {
        if !ctx.object().failed {
            misused(ctx, &format!("{CALL} called outside of vcl_backend_error"));
            return 0;
        }
        u32::from(backend_failed(ctx).is_some_and(|fault| fault != Fault::Upload))
    };
    // SAFETY: the server passes its context.
    unsafe { enter(ctx, CALL, 0, body) }
}

/// saintmode.denylist(): denies what this attempt asked for, or a key, at the objects that it was sent to.
fn deny(ctx: Ctx<'_>, objects: &Objects, expires: f64, key: Option<Digest>) {
    const CALL: &str = "saintmode.denylist()";
    let object = ctx.object();
    let now = time(ctx);
    if object.attempt_over && (expires.is_nan() || expires <= 0.0) && objects.with(|all| all.next().is_some()) {
        return misused(ctx, &format!("{CALL}: expires must be more than 0s, got {expires:.3}s"));
    }
    // Before the first record, which may push out of the log what tells.
    let reason = Reason::of(match object.failed {
        false => Outcome::Status(ctx.status(Message::BackendResponse)),
        true => Outcome::Fault(backend_failed(ctx).unwrap_or(Fault::Other)),
    });
    let entry = key.as_ref().map(|key| (Kind::Key, key)).or(object.digest.map(|digest| (Kind::Object, digest)));
    responsible(ctx, objects, &object, CALL, |one| {
        if let Some((kind, digest)) = entry {
            one.look_behind_group(ctx, now);
            one.deny(ctx, kind, digest, now, expires, reason);
        }
    });
}

/// saintmode.exclude(): the objects that this attempt was sent to serve this task no more.
fn exclude(ctx: Ctx<'_>, objects: &Objects) {
    objects.look_at_scopes();
    let mut excluded = true;
    responsible(ctx, objects, &ctx.object(), "saintmode.exclude()", |one| excluded &= scope::exclude(ctx, one));
    if !excluded {
        misused(ctx, "saintmode.exclude(): out of workspace, or more than 16 objects excluded");
    }
}

/// `body` with each object that has to answer for the attempt: those that it was sent through, else the first one for
/// the backend that responded. If there is none, the call could do nothing.
fn responsible(ctx: Ctx<'_>, objects: &Objects, object: &Object<'_>, call: &str, mut body: impl FnMut(&Saintmode)) {
    let problem = objects.with(|all| {
        let mut all = all.peekable();
        if all.peek().is_none() {
            return Some(format!("{call}: Saintmode is not configured"));
        }
        if !object.attempt_over {
            return Some(format!("{call} called outside of vcl_backend_response and vcl_backend_error"));
        }
        let mut served = attempt::served(ctx, object).peekable();
        if served.peek().is_some() {
            served.for_each(body);
        } else if object.failed {
            return Some(format!("{call}: no backend of a saintmode object was tried in this attempt"));
        } else if let Some(one) = all.find(|one| one.stands_for(object.reached)) {
            body(one);
        } else {
            return Some(format!("Error: {call}: Saintmode not configured for this backend."));
        }
        None
    });
    if let Some(problem) = problem {
        misused(ctx, &problem);
    }
}
