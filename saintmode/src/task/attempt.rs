// SPDX-License-Identifier: BSD-2-Clause
//! Which saintmode objects served a task's attempt: those on the way from the director that VCL chose to
//! the backend proper.

use shim::Ctx;
use shim::director::{Object, VclBackend};
use shim::note::{Notes, Plain};

use crate::object::Saintmode;

static NOTES: Notes<Attempt> = Notes::new();

/// Of a longer way the inner objects count.
pub const LONGEST_WAY: usize = 8;

/// The way of a task's last attempt that went through a saintmode object.
#[derive(Clone, Copy)]
struct Attempt {
    /// Of the attempt.
    xid: u64,
    /// Whether VCL asked: `.resolve()`, which may or may not be what is fetched from in the end.
    in_sub: bool,
    /// From the backend outwards. NULL from the end of the way on.
    way: [Step; LONGEST_WAY],
}

#[derive(Clone, Copy)]
struct Step {
    object: *const Saintmode,
    reached: VclBackend,
}

// SAFETY: numbers, false and NULL.
unsafe impl Plain for Attempt {}

/// Notes that `one` serves the attempt that `object` is about, and that it leads to `reached`. Without room for
/// the note, vcl_backend_error cannot tell whether this attempt was ours: it then denies nothing, and says so. Returns whether
/// that is the end of an attempt before.
pub fn note(ctx: Ctx<'_>, object: &Object<'_>, one: &Saintmode, reached: VclBackend) -> bool {
    let retried = NOTES.change(ctx, |attempt| {
        let retried = attempt.xid != 0 && attempt.xid != object.xid;
        // What VCL asked for means nothing any more once the server has asked for itself.
        if attempt.xid != object.xid || (attempt.in_sub && !object.in_sub) {
            attempt.way = [Step::NONE; LONGEST_WAY];
        }
        (attempt.xid, attempt.in_sub) = (object.xid, object.in_sub);
        let known = |step: &&mut Step| step.object.is_null() || std::ptr::eq(step.object, one);
        if let Some(step) = attempt.way.iter_mut().find(known) {
            *step = Step { object: one, reached };
        }
        retried
    });
    retried == Some(true)
}

/// The objects that served the attempt that `object` is about, from the backend outwards. None before the
/// attempt is over, if it reached no backend, and if it went past every saintmode director. After "Too many retries" it is still the last
/// attempt that there was.
pub fn served<'t>(ctx: Ctx<'t>, object: &Object<'t>) -> impl Iterator<Item = &'t Saintmode> {
    let (xid, reached) = (object.xid, object.reached);
    let attempt = if object.attempt_over { NOTES.get(ctx) } else { None };
    let way = attempt.filter(|attempt| attempt.xid == xid).map(|attempt| attempt.way);
    // The server's word alone will not do: it stays from the attempt before if this one reached no backend.
    let way = way.into_iter().flatten().filter(move |step| step.reached == reached);
    // SAFETY: NULL or an object that noted itself in this very task, whose VCL keeps it for as long as it runs.
    way.filter_map(|step| unsafe { step.object.as_ref() })
}

impl Step {
    const NONE: Step = Step { object: std::ptr::null(), reached: std::ptr::null() };
}
