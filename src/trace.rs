// SPDX-License-Identifier: BSD-2-Clause
//! The trace of a task: looked up in the request that the task is about, once.

use report::trace::Trace;
use shim::{Ctx, Message, Side};

use crate::scope::TaskState;

/// The request of the side that asks; the CLI has none.
pub fn request_of(side: Side) -> Option<Message> {
    match side {
        Side::Cli => None,
        Side::Client => Some(Message::Request),
        Side::Backend => Some(Message::BackendRequest),
    }
}

/// What the task's span is about, in Sentry's words.
pub fn op_of(side: Side) -> &'static [u8] {
    match side {
        Side::Cli => b"",
        Side::Client => b"http.server",
        Side::Backend => b"http.client",
    }
}

/// The header lines that may name a trace.
pub fn lines(ctx: Ctx<'_>, side: Side) -> impl Iterator<Item = &[u8]> + Clone {
    request_of(side).into_iter().flat_map(move |message| ctx.headers(message))
}

/// The trace of the task. Kept from the first time on: by then VCL may have put the task's own into the header.
pub fn of_task(ctx: Ctx<'_>, task: &mut TaskState, side: Side) -> Trace {
    *task.trace.get_or_insert_with(|| found(ctx, side))
}

/// The trace of a task that cannot keep it.
pub fn found(ctx: Ctx<'_>, side: Side) -> Trace {
    Trace::of(lines(ctx, side), || fastrand::u64(..))
}
