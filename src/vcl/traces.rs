// SPDX-License-Identifier: BSD-2-Clause
//! `trace_header()`, `traceparent_header()`, `baggage_header()`.

use std::ffi::c_char;

use protocol::baggage;
use protocol::trace::Trace;
use shim::state::VmodPriv;
use shim::{Side, VrtCtx};

use super::call::{Call, Object, entries, function, method};
use crate::task::{STATES, TaskState, lines};

entries!("sentry.trace_header()": vmod_trace_header, vmod_client_trace_header(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    propagated(call, |trace, _| trace.sentry_trace().into_bytes())
});

entries!("sentry.traceparent_header()": vmod_traceparent_header, vmod_client_traceparent_header(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    propagated(call, |trace, _| trace.traceparent().into_bytes())
});

entries!("sentry.baggage_header()": vmod_baggage_header, vmod_client_baggage_header(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    propagated(call, |trace, side| {
        let lines = lines(call.ctx, side);
        match call.client().made() {
            Some(core) => core.baggage_header(trace, lines),
            None => baggage::header(trace, lines, None),
        }
    })
});

/// A header of the task's trace in the workspace, for VCL; unset if it has nothing to say.
fn propagated(call: Call<'_>, header: impl FnOnce(&Trace, Side) -> Vec<u8>) -> *const c_char {
    let side = call.ctx.facts().side;
    // Made for no task, a trace would be another one at each call.
    let trace = STATES.task(call.ctx, TaskState::default, |task| task.trace(call.ctx, side, call.client()));
    let header = trace.map(|trace| header(&trace, side));
    if header.as_ref().is_some_and(Vec::is_empty) {
        return std::ptr::null();
    }
    let text = header.map_or(std::ptr::null(), |header| call.ctx.copy(&header));
    if text.is_null() {
        call.misused("out of workspace");
    }
    text
}
