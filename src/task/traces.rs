// SPDX-License-Identifier: BSD-2-Clause
//! The trace of a task: looked up in the request that the task is about, once.

use protocol::baggage;
use protocol::trace::Trace;
use shim::{Ctx, Message, Side};

use crate::client::VclClient;

/// The trace that a task is asked to continue, or begins; and one of its own for clients that do not continue it.
pub struct Traces {
    found: Trace,
    /// The organization that it comes from, as far as it says so.
    organization: Option<Box<[u8]>>,
    own: Option<Trace>,
}

impl Traces {
    /// Looks it up.
    pub fn found(ctx: Ctx<'_>, side: Side) -> Traces {
        let found = Trace::of(lines(ctx, side), || fastrand::u64(..));
        let organization = if found.is_continued() { baggage::organization(lines(ctx, side)) } else { None };
        Traces { found, organization: organization.map(Box::from), own: None }
    }

    /// The trace as `client` has it.
    pub fn of(&mut self, client: &VclClient) -> Trace {
        let continues = || client.made().is_none_or(|core| core.continues(self.organization.as_deref()));
        if !self.found.is_continued() || continues() {
            return self.found;
        }
        *self.own.get_or_insert_with(|| Trace::of(std::iter::empty(), || fastrand::u64(..)))
    }
}

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
