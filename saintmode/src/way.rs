// SPDX-License-Identifier: BSD-2-Clause
//! Where the director that an object stands for leads to: neither back to the object nor over too many others.
//!
//! A director that is choosing holds a lock that asking for its health takes, too, and the server ends the child that waits for itself.
//! So this is found out before there is any traffic, and what cannot be used is not asked any more: it is sick.

use std::cell::Cell;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use shim::{Ctx, Side, Tag};

use crate::asked::{How, ask};
use crate::counters;
use crate::object::Saintmode;

/// So many objects may stand one behind the other, with directors between them: a worker's stack is small.
const LONGEST: u8 = 16;

/// So deep an exploration goes before it begins anew with the next object. It is on the CLI's thread, whose stack is large.
const DEEPEST: u32 = 500;

thread_local! {
    /// How many objects on this thread wait for their directors to answer.
    static WAITING: Cell<u32> = const { Cell::new(0) };
    /// The longest way that was met in an exploration, in objects.
    static FARTHEST: Cell<u8> = const { Cell::new(0) };
}

/// What is known of an object's way: how many objects it leads over, this one included, or one of the values below.
///
/// Nothing else goes by it, so that any order of reads will do.
#[derive(Default)]
pub struct Way(AtomicU8);

const UNKNOWN: u8 = 0;
/// It is being found out.
const EXPLORING: u8 = 253;
const TOO_FAR: u8 = 254;
const LOOP: u8 = 255;

impl Way {
    fn get(&self) -> u8 {
        self.0.load(Relaxed)
    }

    fn set(&self, known: u8) {
        self.0.store(known, Relaxed);
    }

    /// Whether the director cannot be used.
    fn is_cut(&self) -> bool {
        matches!(self.get(), TOO_FAR | LOOP)
    }
}

/// One more that waits, until it is dropped, also if it panics.
struct Waiting;

impl Waiting {
    fn begin() -> Waiting {
        WAITING.set(WAITING.get() + 1);
        Waiting
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.set(WAITING.get().saturating_sub(1));
    }
}

/// Finds out where the objects of a VCL lead to, and tells of those that are cut. On the CLI's thread, before there is traffic.
///
/// Of a cycle one object is cut: the first of those that `all` has.
pub fn explore_all(ctx: Ctx<'_>, all: &[&Saintmode]) {
    let leading = || all.iter().filter(|one| one.leads_on());
    leading().for_each(|one| one.way.set(UNKNOWN));
    leading().for_each(|one| ask(How::Exploring, || one.explore(ctx)));
    leading().filter(|one| one.way.is_cut()).for_each(|one| one.tell_cut(ctx));
}

impl Saintmode {
    /// Finds out where its director leads to, unless that is known.
    pub(crate) fn explore(&self, ctx: Ctx<'_>) {
        let length = match self.way.get() {
            _ if !self.leads_on() => 1,
            // Long enough for those in front of it; its own turn comes.
            UNKNOWN if WAITING.get() >= DEEPEST => LONGEST,
            UNKNOWN => self.explore_director(ctx),
            EXPLORING => {
                self.way.set(LOOP);
                0
            }
            LOOP | TOO_FAR => 0,
            length => length,
        };
        FARTHEST.set(FARTHEST.get().max(length));
    }

    fn explore_director(&self, ctx: Ctx<'_>) -> u8 {
        let before = FARTHEST.replace(0);
        self.way.set(EXPLORING);
        {
            let _waiting = Waiting::begin();
            // SAFETY: a director (leads_on), and referenced for as long as self lives.
            unsafe { ctx.explore_director(self.backend) }
        }
        let length = FARTHEST.replace(before) + 1;
        if self.way.get() == EXPLORING {
            self.way.set(if length > LONGEST { TOO_FAR } else { length });
        }
        if self.way.is_cut() { 0 } else { length }
    }

    /// Whether nobody may ask its director yet: in vcl_init, one that is choosing may be who asks.
    pub(crate) fn is_unexplored(&self, ctx: Ctx<'_>) -> bool {
        self.leads_on() && self.way.get() == UNKNOWN && {
            let place = ctx.place();
            place.side == Side::Cli && place.in_sub
        }
    }

    /// Whether the director it stands for is healthy, and since when.
    #[inline(never)]
    pub(crate) fn director_healthy(&self, ctx: Ctx<'_>) -> (bool, f64) {
        if self.is_too_far(ctx, WAITING.get()) {
            return (false, 0.0);
        }
        let (healthy, since) = {
            let _waiting = Waiting::begin();
            // SAFETY: not NULL (register), and referenced by the director for as long as self lives.
            unsafe { ctx.backend_healthy(self.backend) }
        };
        // That may have come to light just now.
        (healthy && !self.way.is_cut(), since)
    }

    /// Whether it is cut, or `before` so many objects, which wait for it; says so in the task's log.
    pub(crate) fn is_too_far(&self, ctx: Ctx<'_>, before: u32) -> bool {
        if !self.leads_on() {
            return false;
        }
        // Only with members that came or went after the load: it stays cut until the VCL is warm anew.
        if before >= u32::from(LONGEST) && !self.way.is_cut() {
            self.way.set(TOO_FAR);
        }
        let cut = self.way.is_cut();
        if cut && ctx.place().side != Side::Cli {
            self.tell_cut(ctx);
        }
        cut
    }

    fn tell_cut(&self, ctx: Ctx<'_>) {
        let (name, backend) = (self.name(), self.backend_name());
        let problem = match self.way.get() {
            LOOP => format!("leads back to {name}"),
            _ => format!("leads over more than {LONGEST} saintmode objects"),
        };
        counters::error();
        ctx.log(
            Tag::VclError,
            &format!("saintmode.saintmode(): backend {backend} of {name} {problem}: {name} is sick"),
        );
    }
}
