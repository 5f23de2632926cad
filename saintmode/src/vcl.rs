// SPDX-License-Identifier: BSD-2-Clause
//! The entries from C: one short function per $Function, $Method and $Event of vmod.vcc.

use std::ffi::{CStr, c_char, c_int};
use std::fmt::Write;
use std::ptr::NonNull;
use std::sync::Arc;

use denylist::{Digest, Fault, Outcome, Reason, Time};
use shim::digest::of_key;
use shim::director::{Object, VclBackend};
use shim::guard::enter_bare;
use shim::state::{States, VmodPriv};
use shim::{Ctx, Message, Side, Tag, VclString, VrtCtx, enter};

use crate::object::{Kind, Objects, Saintmode, time};
use crate::observe::{backend_failed, observe};
use crate::policy::Arguments;
use crate::report::report;
use crate::trial::Trials;
use crate::{attempt, counters, page, scope};

pub(crate) static STATES: States<Trials, Arc<Objects>> = States::new();

const VCL_EVENT_LOAD: c_int = 0;
const VCL_EVENT_WARM: c_int = 1;

const BAD_LIMIT: &CStr = c"{\"error\": \"limit must be between 1 and 1000\"}";

/// The workspace of a status page has no room: a text that needs none.
const NO_WORKSPACE: &CStr = c"{\"error\": \"out of workspace\"}";

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
                    objects.begin(ctx);
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
    let made = unsafe { Saintmode::register(ctx, objects, name, backend, threshold, max_entries, policy) };
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
        unsafe { Saintmode::retire(gone) };
    });
}

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

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_denylist(ctx: *const VrtCtx, vcl: *const VmodPriv, expires: f64, key: VclString<'_>) {
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, "saintmode.denylist()", (), |ctx, objects| deny(ctx, objects, expires, digest(key))) }
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
        } else if !scope::set_key(ctx, digest(key)) {
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

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_status(ctx: *const VrtCtx, vcl: *const VmodPriv) -> *const c_char {
    const CALL: &str = "saintmode.status()";
    let body = |ctx: Ctx<'_>, objects: &Objects| json(ctx, CALL, &status(ctx, objects));
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, CALL, std::ptr::null(), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_report(
    ctx: *const VrtCtx,
    vcl: *const VmodPriv,
    cursor: VclString<'_>,
    limit: i64,
) -> *const c_char {
    const CALL: &str = "saintmode.report()";
    let body = |ctx: Ctx<'_>, objects: &Objects| {
        let limit = match usize::try_from(limit) {
            Ok(limit) if (1..=1000).contains(&limit) => limit,
            _ => {
                misused(ctx, &format!("{CALL}: limit must be between 1 and 1000, got {limit}"));
                return BAD_LIMIT.as_ptr();
            }
        };
        // What is no text is no cursor either.
        let cursor = cursor.text().unwrap_or_default();
        json(ctx, CALL, &objects.with(|all| report(ctx, &all.collect::<Vec<_>>(), cursor, limit)))
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, CALL, std::ptr::null(), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_page(_: *const VrtCtx) -> *const c_char {
    page::PAGE.as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_page_script(_: *const VrtCtx) -> *const c_char {
    page::SCRIPT.as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_page_csp(_: *const VrtCtx) -> *const c_char {
    page::POLICY.as_ptr()
}

/// A $Method: `body` with the object, or `neutral`.
///
/// # Safety
/// `ctx` and `object` are what the server passed to this call.
unsafe fn method<T: Copy>(
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
unsafe fn function<T: Copy>(
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
fn digest(key: VclString<'_>) -> Option<Digest> {
    key.bytes().filter(|key| !key.is_empty()).map(of_key)
}

/// `body` with what a call means, its key or else the task's object; `None` if there is neither.
fn meant<R>(ctx: Ctx<'_>, call: &str, key: VclString<'_>, body: impl FnOnce(Kind, &Digest, Time) -> R) -> Option<R> {
    let object = ctx.object();
    let now = time(ctx);
    if let Some(key) = digest(key) {
        return Some(body(Kind::Key, &key, now));
    }
    if let Some(digest) = object.digest {
        return Some(body(Kind::Object, digest, now));
    }
    misused(ctx, &format!("{call} called where there is no object yet, and without a key"));
    None
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
    responsible(ctx, objects, &object, CALL, |one| match (&key, object.digest) {
        (Some(key), _) => one.deny(ctx, Kind::Key, key, now, expires, reason),
        (None, Some(digest)) => one.deny(ctx, Kind::Object, digest, now, expires, reason),
        (None, None) => {}
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

/// saintmode.status(): the C module's text, with its end.
fn status(ctx: Ctx<'_>, objects: &Objects) -> String {
    let now = time(ctx);
    let mut text = String::from("{\n\t\"saintmode\": [\n");
    objects.with(|all| {
        for (at, one) in all.enumerate() {
            if at > 0 {
                text.push_str(",\n");
            }
            // Writing to a String cannot fail. VCL's names need no escaping.
            let _ = write!(
                text,
                "\t\t{{ \"name\": \"{}\", \"backend\": \"{}\", \"count\": \"{}\", \"threshold\": \"{}\" }}",
                one.name(),
                one.backend_name(),
                one.live(now),
                one.threshold()
            );
        }
    });
    if !text.ends_with("[\n") {
        text.push('\n');
    }
    text.push_str("\t]\n}\n");
    text
}

/// `text` in the task's workspace; without room there, JSON that says so.
fn json(ctx: Ctx<'_>, call: &str, text: &str) -> *const c_char {
    let copy = ctx.copy(text.as_bytes());
    if copy.is_null() {
        misused(ctx, &format!("{call}: out of workspace"));
        return NO_WORKSPACE.as_ptr();
    }
    copy
}

/// A call that can do nothing: one record, one more in the counter.
fn misused(ctx: Ctx<'_>, problem: &str) {
    counters::error();
    ctx.log(Tag::VclError, problem);
}
