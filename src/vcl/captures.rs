// SPDX-License-Identifier: BSD-2-Clause
//! `capture()`, `capture_exception()`, `last_event_id()`.

use std::ffi::c_char;

use delivery::admission::threshold::Threshold;
use protocol::event_id::EventId;
use shim::state::VmodPriv;
use shim::{VclString, VrtCtx};

use super::call::{Call, Object, entries, function, level_of, method};
use crate::captures::{Subject, capture};
use crate::task::{Audience, STATES};

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

entries!("sentry.last_event_id()": vmod_last_event_id, vmod_client_last_event_id(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    let id = STATES.existing_task(call.ctx, |task| match call.audience {
        Audience::All(_) => task.last_id,
        Audience::One(client) => task.client(client).and_then(|task| task.last_id),
    });
    id.flatten().map_or(std::ptr::null(), |id| in_workspace(call, id))
});

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
    let Some(core) = call.core() else { return std::ptr::null() };
    // Whatever it says: without a DSN a call costs next to nothing, not even a look at the clock.
    if threshold.is_none() && core.turn_away().is_some() {
        return std::ptr::null();
    }
    let id = capture(call.ctx, call.client(), call.audience, subject(), level_of(level), threshold);
    id.map_or(std::ptr::null(), |id| in_workspace(call, id))
}

/// An event id in the workspace, for VCL.
fn in_workspace(call: Call<'_>, id: EventId) -> *const c_char {
    let text = call.ctx.copy(&id.to_hex());
    if text.is_null() {
        call.misused(&format!("out of workspace for the event id {id}"));
    }
    text
}
