// SPDX-License-Identifier: BSD-2-Clause
//! Whether the backend is healthy that an object stands for. A director is asked only if it leads neither back to the object nor over too many
//! others.

use std::cell::Cell;

use shim::{Ctx, Side, Tag};

use crate::counters;
use crate::object::{LONGEST, Saintmode, Way};

thread_local! {
    /// How many objects on this thread wait for their directors to answer.
    static WAITING: Cell<u32> = const { Cell::new(0) };
}

/// One more that waits, until it is dropped, also if it panics.
pub struct Waiting;

impl Waiting {
    pub fn begin() -> Waiting {
        WAITING.set(Waiting::count() + 1);
        Waiting
    }

    pub fn count() -> u32 {
        WAITING.get()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.set(WAITING.get().saturating_sub(1));
    }
}

impl Saintmode {
    /// Whether what it stands for is healthy, and since when.
    #[inline]
    pub fn backend_healthy(&self, ctx: Ctx<'_>) -> (bool, f64) {
        if self.leads_on() {
            return self.director_healthy(ctx);
        }
        // SAFETY: not NULL (new), and referenced by the director for as long as self lives.
        unsafe { ctx.backend_healthy(self.backend) }
    }

    #[inline(never)]
    fn director_healthy(&self, ctx: Ctx<'_>) -> (bool, f64) {
        if self.is_too_far(ctx, Waiting::count()) {
            return (false, 0.0);
        }
        let (healthy, since) = {
            let _waiting = Waiting::begin();
            // SAFETY: not NULL (new), and referenced by the director for as long as self lives.
            unsafe { ctx.backend_healthy(self.backend) }
        };
        // That may have come to light just now.
        (healthy && !self.way.is_cut(), since)
    }

    /// Whether it is cut, or `before` so many objects, which wait for it; says so in the task's log.
    pub fn is_too_far(&self, ctx: Ctx<'_>, before: u32) -> bool {
        if !self.leads_on() {
            return false;
        }
        // Only with members that came or went after the load: it stays cut until the VCL is warm anew.
        if before >= u32::from(LONGEST) && !self.way.is_cut() {
            self.way.set(Way::TOO_FAR);
        }
        let cut = self.way.is_cut();
        if cut && ctx.place().side != Side::Cli {
            self.tell_cut(ctx);
        }
        cut
    }

    /// Says in the log why it is cut.
    pub fn tell_cut(&self, ctx: Ctx<'_>) {
        let (name, backend) = (self.name(), self.backend_name());
        let problem = match self.way.get() {
            Way::LOOP => format!("leads back to {name}"),
            _ => format!("leads over more than {LONGEST} saintmode objects"),
        };
        counters::error();
        ctx.log(
            Tag::VclError,
            &format!("saintmode.saintmode(): backend {backend} of {name} {problem}: {name} is sick"),
        );
    }
}
