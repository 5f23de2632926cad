// SPDX-License-Identifier: BSD-2-Clause
//! The entries from C: one short function per $Function, $Method and $Event of vmod.vcc.

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use report::baggage;
use report::before_send::Edit;
use report::event_id::EventId;
use report::ignore::{Expressions, Rule, RuleError};
use report::level::Level;
use report::scope::{Scope, ScopeFull};
use report::threshold::Threshold;
use report::trace::Trace;
use shim::guard::enter_bare;
use shim::state::VmodPriv;
use shim::{Ctx, Side, VclString, VrtCtx, enter};

use crate::capture::{Subject, capture};
use crate::client::{VclClient, VclState};
use crate::counters::{self, misused};
use crate::lifecycle;
use crate::registry::Lease;
use crate::scope::{Audience, STATES, TaskState, change};
use crate::settings::{Given, text, with_settings};
use crate::trace;
use crate::watch;

const VCL_EVENT_LOAD: c_int = 0;
const VCL_EVENT_WARM: c_int = 1;
const VCL_EVENT_DISCARD: c_int = 3;

/// The longest that flush() waits, whatever VCL asks for: it blocks a worker.
const MAX_FLUSH: Duration = Duration::from_secs(10);
/// A status page's workspace has no room: a text that needs none.
const NO_WORKSPACE: &CStr = c"{\"error\": \"out of workspace\"}";

/// `struct vmod_sentry_client`: what `new c = sentry.client(…)` makes.
pub struct Object {
    client: Arc<VclClient>,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_event(ctx: *const VrtCtx, vcl: *mut VmodPriv, event: c_int) -> c_int {
    let body = |ctx: Ctx<'_>| {
        match event {
            VCL_EVENT_LOAD => {
                STATES.install();
                counters::install();
                watch::install();
                // SAFETY: the server passes the VCL's own private.
                unsafe { STATES.set_vcl(vcl, Arc::new(VclState::new())) };
            }
            VCL_EVENT_WARM => {
                // SAFETY: as above.
                if let Some(vcl) = unsafe { STATES.vcl(vcl) } {
                    vcl.default.core(ctx);
                    lifecycle::warm(ctx, vcl);
                }
            }
            VCL_EVENT_DISCARD => {
                // SAFETY: as above; it ends after this event.
                if let Some(vcl) = unsafe { STATES.vcl(vcl) } {
                    lifecycle::discard(ctx, vcl);
                }
            }
            _ => {}
        }
        0
    };
    // SAFETY: the server passes its context.
    unsafe { enter(ctx, "sentry", 1, body) }
}

/// The entry of a call with settings; `$body` gets its own arguments, then those.
macro_rules! settings_entry {
    ($name:literal: $function:ident($($own:ident: $own_type:ty),*), $body:ident($($passed:expr),*);
        $($setting:ident: $type:ty),*) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function<'t>(
            ctx: *const VrtCtx,
            $($own: $own_type,)*
            vcl: *const VmodPriv,
            $($setting: $type),*
        ) {
            let body = |call: Call<'_>| $body(call, $($passed,)* Given { $($setting),* });
            // SAFETY: the server passes its context and the VCL's own private.
            unsafe { function(ctx, vcl, $name, (), body) }
        }
    };
}

with_settings!(settings_entry! { "sentry.init()": vmod_init(), init(); });
with_settings!(settings_entry! {
    "sentry.client()": vmod_client__init(object: *mut *mut Object, name: VclString<'t>),
    // SAFETY: the VCC compiler passes the address of the object's variable, which nobody else has yet.
    client(unsafe { object.as_mut() }, name);
});

fn init(call: Call<'_>, given: Given<'_>) {
    let Audience::All(vcl) = call.audience else { return };
    if !call.is_in_vcl_init() {
        return;
    }
    let leased = given.checked("default", true).and_then(|arguments| arguments.settings(call.ctx)).map(Lease::of);
    let set = leased.and_then(|lease| {
        vcl.default.set(lease).map_err(|()| "called twice, or after something was captured".to_owned())
    });
    if let Err(problem) = set {
        call.fail(&problem);
    }
}

fn client(call: Call<'_>, object: Option<&mut *mut Object>, name: VclString<'_>, given: Given<'_>) {
    let (Audience::All(vcl), Some(object)) = (call.audience, object) else { return };
    let name = name.text().unwrap_or_default();
    match given.checked(name, false).and_then(|arguments| arguments.settings(call.ctx)).map(Lease::of) {
        Ok(lease) => {
            *object = Box::into_raw(Box::new(Object { client: vcl.add(lease) }));
        }
        Err(problem) => call.fail(&problem),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_client__fini(object: *mut *mut Object) {
    enter_bare("sentry.client()", (), || {
        // SAFETY: the VCC compiler passes the address of the object's variable, for the last time.
        let gone = std::mem::replace(unsafe { &mut *object }, std::ptr::null_mut());
        if !gone.is_null() {
            // SAFETY: made by Box::into_raw in vmod_client__init, and the variable was just cleared.
            drop(unsafe { Box::from_raw(gone) });
        }
    });
}

/// What the calls below have in common: where a call comes from, and whom it is for.
#[derive(Clone, Copy)]
struct Call<'t> {
    ctx: Ctx<'t>,
    name: &'static str,
    audience: Audience<'t>,
}

impl<'t> Call<'t> {
    /// The client that captures: the one of the method, or the default one.
    fn client(self) -> &'t Arc<VclClient> {
        match self.audience {
            Audience::All(vcl) => &vcl.default,
            Audience::One(client) => client,
        }
    }

    fn misused(self, problem: &str) {
        misused(self.ctx, &format!("{}: {problem}", self.name));
    }

    /// Fails the load of the VCL.
    fn fail(self, problem: &str) {
        self.ctx.fail(&format!("{}: {problem}", self.name));
    }

    fn change(self, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) {
        change(self.ctx, self.audience, self.name, set);
    }

    /// The argument if it says something; else the call is misused.
    fn needed(self, name: &str, argument: VclString<'t>) -> Option<&'t [u8]> {
        match argument.bytes() {
            Some(b"") => self.misused(&format!("{name} is empty")),
            None => self.misused(&format!("{name} is unset")),
            some => return some,
        }
        None
    }

    /// Whether the call comes from vcl_init; elsewhere it is misused.
    fn is_in_vcl_init(self) -> bool {
        let is_in = self.ctx.facts().sub == b"vcl_init";
        if !is_in {
            self.misused("may only be called from vcl_init");
        }
        is_in
    }

    /// A header of the task's trace in the workspace, for VCL; unset if it has nothing to say.
    fn propagated(self, header: impl FnOnce(&Trace, Side) -> Vec<u8>) -> *const c_char {
        let side = self.ctx.facts().side;
        // Made for no task, a trace would be another one at each call.
        let trace = STATES.task(self.ctx, TaskState::default, |task| trace::of_task(self.ctx, task, side));
        let header = trace.map(|trace| header(&trace, side));
        if header.as_ref().is_some_and(Vec::is_empty) {
            return std::ptr::null();
        }
        let text = header.map_or(std::ptr::null(), |header| self.ctx.copy(&header));
        if text.is_null() {
            self.misused("out of workspace");
        }
        text
    }

    /// Adds a rule for the clients that the call is for, or fails the load.
    fn add<R>(
        self,
        rule: impl Fn() -> Result<Arc<R>, String>,
        add: impl Fn(&VclClient, &Arc<R>) -> Result<(), RuleError>,
    ) {
        if !self.is_in_vcl_init() {
            return;
        }
        let added = rule().and_then(|rule| {
            let added = match self.audience {
                Audience::All(vcl) => vcl.add_to_all(|client| add(client, &rule)),
                Audience::One(client) => add(client, &rule),
            };
            added.map_err(|error| error.to_string())
        });
        if let Err(problem) = added {
            self.fail(&problem);
        }
    }

    /// An event id in the workspace, for VCL.
    fn id(self, id: EventId) -> *const c_char {
        let text = self.ctx.copy(&id.to_hex());
        if text.is_null() {
            self.misused(&format!("out of workspace for the event id {id}"));
        }
        text
    }
}

/// The two entries of a call: as a function, for all clients; and as a method, for one.
macro_rules! entries {
    ($name:literal: $function:ident, $method:ident($($argument:ident: $type:ty),*) -> $result:ty = $neutral:expr, $body:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function(ctx: *const VrtCtx, vcl: *const VmodPriv $(, $argument: $type)*) -> $result {
            // SAFETY: the server passes its context and the VCL's own private.
            unsafe { function(ctx, vcl, $name, $neutral, |call| $body(call $(, $argument)*)) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn $method(ctx: *const VrtCtx, object: *const Object $(, $argument: $type)*) -> $result {
            // SAFETY: the server passes its context and the object's variable.
            unsafe { method(ctx, object, $name, $neutral, |call| $body(call $(, $argument)*)) }
        }
    };
}

entries!("sentry.capture()": vmod_capture, vmod_client_capture(
    message: VclString<'_>, level: VclString<'_>,
    p1: VclString<'_>, p2: VclString<'_>, p3: VclString<'_>, p4: VclString<'_>, after: i64, within: f64
) -> *const c_char = std::ptr::null(), |call: Call<'_>, message, level: VclString<'_>, p1, p2, p3, p4, after, within| {
    let Some(text) = call.needed("message", message) else { return std::ptr::null() };
    let params = || [given(b"{1}", p1), given(b"{2}", p2), given(b"{3}", p3), given(b"{4}", p4)];
    captured(call, || Subject::Message { text, params: params() }, level, after, within)
});

entries!("sentry.capture_exception()": vmod_capture_exception, vmod_client_capture_exception(
    kind: VclString<'_>, value: VclString<'_>, level: VclString<'_>, after: i64, within: f64
) -> *const c_char = std::ptr::null(), |call: Call<'_>, kind, value: VclString<'_>, level, after, within| {
    let Some(kind) = call.needed("type", kind) else { return std::ptr::null() };
    let subject = || Subject::Exception { kind, value: value.bytes().unwrap_or_default() };
    captured(call, subject, level, after, within)
});

entries!("sentry.ignore()": vmod_ignore, vmod_client_ignore(
    message: VclString<'_>, url: VclString<'_>, status: VclString<'_>, user_agent: VclString<'_>, level: VclString<'_>
) -> () = (), |call: Call<'_>, message, url, status, user_agent, level| {
    let rule = || {
        let when = expressions(message, url, status, user_agent, level)?;
        Rule::new(&when).map(Arc::new).map_err(|error| error.to_string())
    };
    call.add(rule, |client, rule| client.rules.add(rule));
});

entries!("sentry.before_send()": vmod_before_send, vmod_client_before_send(
    message: VclString<'_>, url: VclString<'_>, status: VclString<'_>, user_agent: VclString<'_>, level: VclString<'_>,
    set_level: VclString<'_>, remove: VclString<'_>
) -> () = (), |call: Call<'_>, message, url, status, user_agent, level, set_level: VclString<'_>, remove| {
    let edit = || {
        let when = expressions(message, url, status, user_agent, level)?;
        let level = set_level.bytes().and_then(Level::from_name);
        Edit::new(&when, level, text("remove", remove)?).map(Arc::new).map_err(|error| error.to_string())
    };
    call.add(edit, |client, edit| client.edits.add(edit));
});

entries!("sentry.rule()": vmod_rule, vmod_client_rule(
    tag: VclString<'_>, expression: VclString<'_>, name: VclString<'_>, level: VclString<'_>
) -> () = (), |call: Call<'_>, tag, expression, name, level: VclString<'_>| {
    let rule = || watch::rule(text("tag", tag)?, text("match", expression)?, text("name", name)?, level_of(level));
    call.add(rule, |client, rule| client.add_watch(rule));
});

entries!("sentry.watch()": vmod_watch, vmod_client_watch(builtin: u32) -> () = (), |call: Call<'_>, builtin: u32| {
    if call.ctx.place().side == Side::Cli {
        return call.misused("may not be called from vcl_init and vcl_fini");
    }
    let (client, builtin) = (call.client(), builtin != 0);
    if !builtin && client.watch().is_empty() {
        return;
    }
    let watched = STATES.task(call.ctx, TaskState::default, |task| task.watch(call.ctx, client, builtin));
    if watched.is_none() {
        call.misused("out of workspace");
    }
});

entries!("sentry.set_tag()": vmod_set_tag, vmod_client_set_tag(
    key: VclString<'_>, value: VclString<'_>
) -> () = (), |call: Call<'_>, key, value: VclString<'_>| {
    if let Some(key) = call.needed("key", key) {
        call.change(|scope| scope.set_tag(key, value.bytes().unwrap_or_default()));
    }
});

entries!("sentry.set_extra()": vmod_set_extra, vmod_client_set_extra(
    key: VclString<'_>, value: VclString<'_>
) -> () = (), |call: Call<'_>, key, value: VclString<'_>| {
    if let Some(key) = call.needed("key", key) {
        call.change(|scope| scope.set_extra(key, value.bytes().unwrap_or_default()));
    }
});

entries!("sentry.set_user()": vmod_set_user, vmod_client_set_user(
    id: VclString<'_>, email: VclString<'_>, username: VclString<'_>, ip_address: VclString<'_>
) -> () = (), |call: Call<'_>, id, email, username, ip_address| {
    let all: [(&[u8], VclString<'_>); 4] =
        [(b"id", id), (b"email", email), (b"username", username), (b"ip_address", ip_address)];
    for (attribute, value) in all {
        if let Some(value) = value.bytes().filter(|value| !value.is_empty()) {
            call.change(|scope| scope.set_user(attribute, value));
        }
    }
});

entries!("sentry.set_context()": vmod_set_context, vmod_client_set_context(
    name: VclString<'_>, key: VclString<'_>, value: VclString<'_>
) -> () = (), |call: Call<'_>, name, key, value: VclString<'_>| {
    if let Some(name) = call.needed("name", name)
        && let Some(key) = call.needed("key", key)
    {
        call.change(|scope| scope.set_context(name, key, value.bytes().unwrap_or_default()));
    }
});

entries!("sentry.set_level()": vmod_set_level, vmod_client_set_level(
    level: VclString<'_>
) -> () = (), |call: Call<'_>, level| {
    let level = level_of(level);
    call.change(|scope| {
        scope.set_level(level);
        Ok(())
    });
});

entries!("sentry.set_fingerprint()": vmod_set_fingerprint, vmod_client_set_fingerprint(
    fingerprint: VclString<'_>, p2: VclString<'_>, p3: VclString<'_>, p4: VclString<'_>
) -> () = (), |call: Call<'_>, fingerprint, p2: VclString<'_>, p3: VclString<'_>, p4: VclString<'_>| {
    if let Some(fingerprint) = call.needed("fingerprint", fingerprint) {
        let [p2, p3, p4] = [p2, p3, p4].map(|part| part.bytes().unwrap_or_default());
        call.change(|scope| scope.set_fingerprint(&[fingerprint, p2, p3, p4]));
    }
});

entries!("sentry.set_transaction()": vmod_set_transaction, vmod_client_set_transaction(
    name: VclString<'_>
) -> () = (), |call: Call<'_>, name| {
    if let Some(name) = call.needed("name", name) {
        call.change(|scope| scope.set_transaction(name));
    }
});

entries!("sentry.add_breadcrumb()": vmod_add_breadcrumb, vmod_client_add_breadcrumb(
    message: VclString<'_>, category: VclString<'_>, level: VclString<'_>
) -> () = (), |call: Call<'_>, message, category: VclString<'_>, level| {
    if let Some(message) = call.needed("message", message) {
        let (at, category) = (SystemTime::now(), category.bytes().unwrap_or_default());
        let level = level_of(level);
        call.change(|scope| scope.add_breadcrumb(at, level, category, message));
    }
});

entries!("sentry.last_event_id()": vmod_last_event_id, vmod_client_last_event_id(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    let id = STATES.existing_task(call.ctx, |task| match call.audience {
        Audience::All(_) => task.last_id,
        Audience::One(client) => task.client(client).and_then(|task| task.last_id),
    });
    id.flatten().map_or(std::ptr::null(), |id| call.id(id))
});

entries!("sentry.fetch_error()": vmod_fetch_error, vmod_client_fetch_error(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    let Some(text) = call.ctx.fetch_error() else { return std::ptr::null() };
    if text.is_null() {
        call.misused("out of workspace");
    }
    text
});

entries!("sentry.trace_header()": vmod_trace_header, vmod_client_trace_header(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    call.propagated(|trace, _| trace.sentry_trace().into_bytes())
});

entries!("sentry.traceparent_header()": vmod_traceparent_header, vmod_client_traceparent_header(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    call.propagated(|trace, _| trace.traceparent().into_bytes())
});

entries!("sentry.baggage_header()": vmod_baggage_header, vmod_client_baggage_header(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    call.propagated(|trace, side| {
        let lines = trace::lines(call.ctx, side);
        match call.client().core(call.ctx) {
            Some(core) => core.baggage_header(trace, lines),
            None => baggage::header(trace, lines, None),
        }
    })
});

entries!("sentry.flush()": vmod_flush, vmod_client_flush(timeout: f64) -> u32 = 0, |call: Call<'_>, timeout: f64| {
    // Below zero, NaN: no time at all.
    let timeout = Duration::try_from_secs_f64(timeout.min(MAX_FLUSH.as_secs_f64())).unwrap_or_default();
    u32::from(call.client().core(call.ctx).is_some_and(|core| core.flush(timeout)))
});

entries!("sentry.status()": vmod_status, vmod_client_status(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    let cores = match call.audience {
        Audience::All(vcl) => vcl.cores(call.ctx),
        Audience::One(client) => client.core(call.ctx).cloned().into_iter().collect(),
    };
    let now = std::time::Instant::now();
    let each: Vec<String> = cores.iter().map(|core| core.status(now)).collect();
    let text = call.ctx.copy(format!("[{}]", each.join(",\n")).as_bytes());
    if text.is_null() {
        call.misused("out of workspace");
        return NO_WORKSPACE.as_ptr();
    }
    text
});

/// The expressions of a rule, checked to be UTF-8.
fn expressions<'t>(
    message: VclString<'t>,
    url: VclString<'t>,
    status: VclString<'t>,
    user_agent: VclString<'t>,
    level: VclString<'t>,
) -> Result<Expressions<'t>, String> {
    Ok(Expressions {
        message: text("message", message)?,
        url: text("url", url)?,
        status: text("status", status)?,
        user_agent: text("user_agent", user_agent)?,
        level: text("level", level)?,
    })
}

/// A parameter's value, if it was given: its default is its own placeholder, which filled in changes nothing.
fn given<'t>(placeholder: &[u8], parameter: VclString<'t>) -> Option<&'t [u8]> {
    Some(parameter.bytes().unwrap_or_default()).filter(|value| *value != placeholder)
}

/// Captures, and hands VCL the id. A threshold that is none is misuse, and captures as if there was none.
fn captured<'t>(
    call: Call<'t>,
    subject: impl FnOnce() -> Subject<'t>,
    level: VclString<'t>,
    after: i64,
    within: f64,
) -> *const c_char {
    let threshold = Threshold::new(after, within).unwrap_or_else(|error| {
        call.misused(&error.to_string());
        None
    });
    let client = call.client();
    // Whatever it says: without a DSN a call costs next to nothing, not even a look at the clock.
    if threshold.is_none() && client.core(call.ctx).is_some_and(|core| core.turn_away().is_some()) {
        return std::ptr::null();
    }
    let id = capture(call.ctx, client, call.audience, subject(), level_of(level), threshold);
    id.map_or(std::ptr::null(), |id| call.id(id))
}

/// The level of an ENUM argument: VCC lets no other word through.
fn level_of(word: VclString<'_>) -> Level {
    word.bytes().and_then(Level::from_name).unwrap_or(Level::Error)
}

/// A $Function: `body` with the VCL's state, or `neutral`.
///
/// # Safety
/// `ctx` and `vcl` are what the server passed to this call.
unsafe fn function<T: Copy>(
    ctx: *const VrtCtx,
    vcl: *const VmodPriv,
    name: &'static str,
    neutral: T,
    body: impl FnOnce(Call<'_>) -> T,
) -> T {
    let body = |ctx| {
        // SAFETY: the caller vouches for `vcl`.
        match unsafe { STATES.vcl(vcl) } {
            Some(vcl) => body(Call { ctx, name, audience: Audience::All(vcl) }),
            None => neutral,
        }
    };
    // SAFETY: the caller passes on what the server gave it.
    unsafe { enter(ctx, name, neutral, body) }
}

/// A $Method: `body` with the object's client, or `neutral`.
///
/// # Safety
/// `ctx` and `object` are what the server passed to this call.
unsafe fn method<T: Copy>(
    ctx: *const VrtCtx,
    object: *const Object,
    name: &'static str,
    neutral: T,
    body: impl FnOnce(Call<'_>) -> T,
) -> T {
    let body = |ctx| {
        // SAFETY: NULL or the object of `new`, which lives until no task of its VCL is left.
        match unsafe { object.as_ref() } {
            Some(object) => body(Call { ctx, name, audience: Audience::One(&object.client) }),
            None => neutral,
        }
    };
    // SAFETY: the caller passes on what the server gave it.
    unsafe { enter(ctx, name, neutral, body) }
}
