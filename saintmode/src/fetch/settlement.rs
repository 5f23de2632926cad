// SPDX-License-Identifier: BSD-2-Clause
//! What came of a response that was observed while its body was under way: the objects are told when it has ended, at the task's end at the
//! latest.

use denylist::{SETTLES, Time};
use shim::Ctx;
use shim::state::TaskState;

use super::judgement::Judgement;
use super::outcome::Told;
use crate::clock::{clock, time};
use crate::object::Saintmode;
use crate::task::{Pending, STATES, State, Subject};

/// Has the task tell its objects what comes of a response; false without room for it.
pub fn wait(ctx: Ctx<'_>, pending: &Pending) -> bool {
    let wait = |state: &mut State| {
        for one in pending.objects.iter() {
            one.wait(&pending.digest, state.trials.task(), pending.answered);
        }
        state.pending = Some(*pending);
    };
    STATES.task(ctx, State::default, wait).is_some()
}

/// Settles what the task waits for if that is of an attempt before the one of this `xid`: VCL tried again, so it did not want the rest.
pub fn settle_before(ctx: Ctx<'_>, xid: u64) {
    if let Some(pending) = State::take_before(ctx, xid) {
        settle(ctx, &pending, &Judgement::Fine, time(ctx), |_| {});
    }
}

/// Tells the objects what came of it. Returns whether it counts as a failure for one of them; `free` frees the trials of one for which
/// it is none.
pub fn settle(
    ctx: Ctx<'_>,
    pending: &Pending,
    judgement: &Judgement,
    now: Time,
    mut free: impl FnMut(&Saintmode),
) -> bool {
    let (digest, told) = (&pending.digest, Told::Answered(pending.answered));
    let says_nothing = matches!(judgement, Judgement::Elsewhere(_) | Judgement::Unknown(_));
    let mut failed = false;
    for one in pending.objects.iter() {
        if says_nothing && now.seconds_after(pending.answered) >= SETTLES {
            // It has been a success since then.
            one.succeed(ctx, digest, told, now);
            one.learn(ctx, digest, judgement, Told::Before, now, || {});
        } else {
            failed |= one.learn(ctx, digest, judgement, told, now, || free(one));
        }
    }
    failed
}

impl TaskState for State {
    fn end(&mut self, ctx: Ctx<'_>) {
        if let Some(pending) = self.pending.take() {
            let place = ctx.place();
            // What VCL takes back, or tries again, it did not want the rest of.
            let judgement = match place.in_sub || place.xid != pending.xid {
                true => Judgement::Fine,
                false => Judgement::of_body(ctx),
            };
            // The task's clock stands where the body began. Nothing may ask for what the task keeps: it is ending.
            settle(ctx, &pending, &judgement, clock(), |one| {
                Subject::all(one, Some(&pending.digest)).for_each(|subject| self.trials.free(&subject));
            });
        }
        self.trials.end();
    }
}
