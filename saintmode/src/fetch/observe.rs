// SPDX-License-Identifier: BSD-2-Clause
//! saintmode.observe(): what came of an attempt, told to the objects that served it.

use denylist::{Digest, Fault, Outcome};
use shim::director::Object;
use shim::note::{Notes, Plain};
use shim::{Ctx, Message};

use super::judgement::Judgement;
use super::outcome::Told;
use super::settlement::{settle, settle_before, wait};
use crate::clock::time;
use crate::object::{Objects, Saintmode};
use crate::task::{Pending, State, Waiting, attempt};

static NOTES: Notes<Observed> = Notes::new();

/// What a task has been told of its last attempt that was observed.
#[derive(Clone, Copy)]
struct Observed {
    /// The attempt's; 0 before the first.
    xid: u64,
    /// Whether it had a response.
    response: bool,
    failed: bool,
}

// SAFETY: a number and false.
unsafe impl Plain for Observed {}

/// Tells the objects that served this attempt what came of it, each attempt once; or a second time, if there was a response and the
/// fetch failed all the same. Returns what is wrong with the call.
pub fn observe(ctx: Ctx<'_>, objects: &Objects) -> Option<&'static str> {
    let object = ctx.object();
    objects.with(|all| {
        let mut all = all.peekable();
        if all.peek().is_none() {
            return Some("saintmode.observe(): Saintmode is not configured");
        }
        let (true, Some(digest)) = (object.attempt_over, object.digest) else {
            return Some("saintmode.observe() called outside of vcl_backend_response and vcl_backend_error");
        };
        let known = NOTES.get(ctx).filter(|known| known.xid == object.xid);
        settle_before(ctx, object.xid);
        let failed = match (object.failed, known) {
            (false, None) => observe_response(ctx, all, &object, digest),
            (true, None) => observe_error(ctx, &object, digest, Told::Never),
            (true, Some(known)) if known.response && !known.failed => observe_error(ctx, &object, digest, Told::Before),
            _ => None,
        };
        if let Some(failed) = failed {
            let response = !object.failed || known.is_some();
            // Without room for the note the attempt may be observed twice.
            NOTES.change(ctx, |known| *known = Observed { xid: object.xid, response, failed });
        }
        None
    })
}

/// Whether the attempt that vcl_backend_error is called for failed, and by the backend's doing.
pub fn backend_failed(ctx: Ctx<'_>) -> Option<Fault> {
    match judge(ctx, &ctx.object()) {
        Judgement::Failed(fault) => Some(fault),
        _ => None,
    }
}

/// Whose doing the end of the attempt is that vcl_backend_error is called for.
fn judge(ctx: Ctx<'_>, object: &Object<'_>) -> Judgement {
    let known = NOTES.get(ctx).is_some_and(|known| known.xid == object.xid && known.response);
    Judgement::of_error(ctx, known)
}

/// Tells of a status that is a failure at once; any other one counts when the body has ended. `None` if there is nobody to tell.
fn observe_response<'a>(
    ctx: Ctx<'_>,
    mut all: impl Iterator<Item = &'a Saintmode>,
    object: &Object<'_>,
    digest: &Digest,
) -> Option<bool> {
    let now = time(ctx);
    let outcome = Outcome::Status(ctx.status(Message::BackendResponse));
    let body_comes = ctx.body_comes();
    let mut pending = Pending { xid: object.xid, digest: *digest, answered: now, objects: Waiting::NONE };
    let mut failed = false;
    let mut told = 0;
    let mut tell = |one: &Saintmode| {
        one.look_behind_group(ctx, now);
        told += 1;
        if one.takes_for_failure(outcome) {
            one.fail(ctx, digest, outcome, Told::Never, now);
            failed = true;
        } else if body_comes {
            pending.objects.push(one);
        } else {
            one.succeed(ctx, digest, Told::Never, now);
        }
    };
    let mut served = attempt::served(ctx, object).peekable();
    if served.peek().is_some() {
        served.for_each(&mut tell);
    } else if let Some(one) = all.find(|one| one.stands_for(object.reached)) {
        tell(one);
    }
    if !pending.objects.is_empty() && !wait(ctx, &pending) {
        // No room to wait for more.
        pending.objects.iter().for_each(|one| one.succeed(ctx, digest, Told::Never, now));
    }
    (told > 0).then_some(failed)
}

/// Tells of an attempt that failed; `told` is what its objects know of it that do not wait for its end. `None` if there is nobody to tell:
/// refused, or past every saintmode object, it was no attempt of theirs.
fn observe_error(ctx: Ctx<'_>, object: &Object<'_>, digest: &Digest, told: Told) -> Option<bool> {
    let now = time(ctx);
    if let Some(pending) = State::take_pending(ctx) {
        let judgement = judge(ctx, object);
        pending.objects.iter().for_each(|one| one.look_behind_group(ctx, now));
        return Some(settle(ctx, &pending, &judgement, now, |one| one.free_trials(ctx, digest)));
    }
    let mut served = attempt::served(ctx, object).peekable();
    served.peek()?;
    let judgement = judge(ctx, object);
    let mut failed = false;
    for one in served {
        one.look_behind_group(ctx, now);
        // Without a response it is VCL that made an error of nothing; what had one has counted.
        let counts = judgement != Judgement::Fine && (told == Told::Never || matches!(judgement, Judgement::Failed(_)));
        if counts {
            failed |= one.learn(ctx, digest, &judgement, told, now, || one.free_trials(ctx, digest));
        }
    }
    Some(failed)
}
