// SPDX-License-Identifier: BSD-2-Clause
//! A response that was observed while its body was still under way: the objects are told what came of it when it has ended.

use denylist::{Digest, SETTLES, Time};
use shim::Ctx;

use crate::attempt::LONGEST_WAY;
use crate::judgement::Judgement;
use crate::object::Saintmode;
use crate::outcome::Told;

/// What waits for the end of an attempt.
#[derive(Clone, Copy)]
pub struct Pending {
    /// Of the attempt.
    pub xid: u64,
    pub digest: Digest,
    /// When the response was observed.
    pub answered: Time,
    pub objects: Waiting,
}

/// Objects that are to be told of it: those for which the status was no failure.
#[derive(Clone, Copy)]
pub struct Waiting {
    /// NULL from the end on.
    objects: [*const Saintmode; LONGEST_WAY],
}

impl Waiting {
    pub const NONE: Waiting = Waiting { objects: [std::ptr::null(); LONGEST_WAY] };

    /// Adds an object of this task's VCL.
    pub fn push(&mut self, one: &Saintmode) {
        if let Some(free) = self.objects.iter_mut().find(|object| object.is_null()) {
            *free = one;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Saintmode> {
        // SAFETY: NULL or an object that this very task has met, whose VCL keeps it until the task's privates have ended.
        self.objects.iter().filter_map(|object| unsafe { object.as_ref() })
    }
}

impl Pending {
    /// Tells the objects what came of it. Returns whether it counts as a failure for one of them; `free` frees the trials of one for which
    /// it is none.
    pub fn settle(&self, ctx: Ctx<'_>, judgement: &Judgement, now: Time, mut free: impl FnMut(&Saintmode)) -> bool {
        let (digest, told) = (&self.digest, Told::Answered(self.answered));
        let says_nothing = matches!(judgement, Judgement::Elsewhere(_) | Judgement::Unknown(_));
        let mut failed = false;
        for one in self.objects.iter() {
            if says_nothing && now.seconds_after(self.answered) >= SETTLES {
                // It has been a success since then.
                one.succeed(ctx, digest, told, now);
                one.learn(ctx, digest, judgement, Told::Before, now, || {});
            } else {
                failed |= one.learn(ctx, digest, judgement, told, now, || free(one));
            }
        }
        failed
    }
}
