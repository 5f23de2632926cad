// SPDX-License-Identifier: BSD-2-Clause
//! saintmode.observe(): what came of an attempt, told to the objects that served it.

use denylist::{Digest, Fault, Outcome};
use shim::director::Object;
use shim::note::{Notes, Plain};
use shim::{Ctx, Message};

use crate::attempt;
use crate::object::{Objects, Saintmode, time};

static NOTES: Notes<Observed> = Notes::new();

/// What a task has been told of its last attempt that was observed.
#[derive(Clone, Copy)]
struct Observed {
    /// One more than the attempt's retries; 0 before the first.
    attempt: u32,
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
        let known = NOTES.get(ctx).filter(|known| known.attempt == object.retries + 1);
        let outcome = outcome(ctx, &object, known.is_some());
        if let Some(outcome) = outcome.filter(|_| known.is_none_or(|known| object.failed && !known.failed)) {
            tell(ctx, all, &object, digest, outcome, known.is_some());
        }
        None
    })
}

fn tell<'a>(
    ctx: Ctx<'_>,
    mut all: impl Iterator<Item = &'a Saintmode>,
    object: &Object<'_>,
    digest: &Digest,
    outcome: Outcome,
    had_response: bool,
) {
    let now = time(ctx);
    let mut served = attempt::served(ctx, object).peekable();
    let mut failed = false;
    if served.peek().is_some() {
        served.for_each(|one| failed |= one.observe(ctx, digest, outcome, had_response, now));
    } else if object.failed {
        // Refused, or past every saintmode object: no attempt of theirs.
        return;
    } else if let Some(one) = all.find(|one| one.stands_for(object.reached)) {
        failed = one.observe(ctx, digest, outcome, had_response, now);
    }
    // Without room for the note the attempt may be observed twice.
    NOTES.change(ctx, |known| *known = Observed { attempt: object.retries + 1, failed });
}

/// `None` if the server has nothing against the attempt: then it is VCL that chose vcl_backend_error after a response.
pub fn outcome(ctx: Ctx<'_>, object: &Object<'_>, had_response: bool) -> Option<Outcome> {
    if !object.failed {
        return Some(Outcome::Status(ctx.status(Message::BackendResponse)));
    }
    let fault = ctx.read_fetch_error(|text| text.map(fault));
    if had_response { fault } else { fault.or(Some(Fault::Other)) }.map(Outcome::Fault)
}

/// Tells by the texts of FetchError, which are the same on every server here.
fn fault(text: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(text);
    if text.starts_with("backend write error") {
        return Fault::Reset;
    }
    // `backend one: fail errno 111 (Connection refused)`, `backend one: busy`: VCL gave the name, it means nothing.
    if let Some((_, problem)) = text.strip_prefix("backend ").and_then(|text| text.split_once(": ")) {
        return if problem.starts_with("fail") { Fault::Connect } else { Fault::Other };
    }
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["timeout", "timed out"]) {
        Fault::Timeout
    } else if says(&["backend closed", "HTC eof", "EOF", "reset", "insufficient bytes", "read error"]) {
        Fault::Reset
    } else {
        Fault::Other
    }
}
