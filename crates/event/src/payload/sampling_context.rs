// SPDX-License-Identifier: BSD-2-Clause
//! The sampling context of a record's trace, which its envelope has in its header.

use std::borrow::Cow;

use protocol::baggage::{MAX_VALUE, SamplingContext};
use protocol::dsn::Dsn;
use protocol::text::line;
use protocol::trace::Trace;

use crate::capture::fields::Kind;
use crate::capture::record::Record;
use crate::filter::Filter;
use crate::identity::Identity;

/// The context of a trace that begins here with what is known of its sender.
pub fn begun<'a>(trace: &Trace, dsn: &'a Dsn, identity: &'a Identity) -> SamplingContext<'a> {
    SamplingContext::begun(trace, dsn, identity.organization(), identity.environment(), identity.release())
}

/// The context of `record`'s trace: a new one, or the one that came with it, as the record's `filter` leaves it; `None` if there is none.
pub fn of<'a>(
    record: &'a Record,
    dsn: &'a Dsn,
    identity: &'a Identity,
    filter: &Filter<'_>,
) -> Option<SamplingContext<'a>> {
    let trace = record.fields().find(|field| field.kind == Kind::Trace)?;
    let trace = Trace::from_bytes(trace.value)?;
    if !trace.is_continued() {
        return Some(begun(&trace, dsn, identity));
    }
    let members = record.fields().filter(|field| field.kind == Kind::Baggage);
    let mut context = SamplingContext::continued(&trace, members.map(|field| field.value))?;
    // Whoever began the trace says what is in it; the trace's id is known to be one.
    context.retain(|key, value| {
        if key == "trace_id" {
            return true;
        }
        if let Cow::Owned(kept) = filter.text(value.as_bytes()) {
            // What stands for a secret can be longer than it.
            *value = Cow::Owned(line(&kept, MAX_VALUE).into_owned());
        }
        !filter.removes(&[b"trace.", key.as_bytes()])
    });
    Some(context)
}
