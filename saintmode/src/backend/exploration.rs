// SPDX-License-Identifier: BSD-2-Clause
//! Where the director that an object stands for leads to: neither back to the object nor over too many others.
//!
//! A director that is choosing holds a lock that asking for its health takes, too, and the server ends the child that waits for itself.
//! So this is found out before there is any traffic, and what cannot be used is not asked any more: it is sick.

use std::cell::Cell;

use shim::{Ctx, Side};

use super::asked::{How, ask};
use super::health::Waiting;
use crate::object::{LONGEST, Saintmode, Way};

/// So deep an exploration goes before it begins anew with the next object. It is on the CLI's thread, whose stack is large.
const DEEPEST: u32 = 500;

thread_local! {
    /// The longest way that was met in an exploration, in objects.
    static FARTHEST: Cell<u8> = const { Cell::new(0) };
}

/// Finds out where the objects of a VCL lead to, and tells of those that are cut. On the CLI's thread, before there is traffic.
///
/// Of a cycle one object is cut: the first of those that `all` has.
pub fn explore_all(ctx: Ctx<'_>, all: &[&Saintmode]) {
    let leading = || all.iter().filter(|one| one.leads_on());
    leading().for_each(|one| one.way.set(Way::UNKNOWN));
    leading().for_each(|one| ask(How::Exploring, || one.explore(ctx)));
    leading().filter(|one| one.way.is_cut()).for_each(|one| one.tell_cut(ctx));
}

impl Saintmode {
    /// Finds out where its director leads to, unless that is known.
    pub fn explore(&self, ctx: Ctx<'_>) {
        let length = match self.way.get() {
            _ if !self.leads_on() => 1,
            // Long enough for those in front of it; its own turn comes.
            Way::UNKNOWN if Waiting::count() >= DEEPEST => LONGEST,
            Way::UNKNOWN => self.explore_director(ctx),
            Way::EXPLORING => {
                self.way.set(Way::LOOP);
                0
            }
            Way::LOOP | Way::TOO_FAR => 0,
            length => length,
        };
        FARTHEST.set(FARTHEST.get().max(length));
    }

    fn explore_director(&self, ctx: Ctx<'_>) -> u8 {
        let before = FARTHEST.replace(0);
        self.way.set(Way::EXPLORING);
        {
            let _waiting = Waiting::begin();
            // SAFETY: a director (leads_on), and referenced for as long as self lives.
            unsafe { ctx.explore_director(self.backend) }
        }
        let length = FARTHEST.replace(before) + 1;
        if self.way.get() == Way::EXPLORING {
            self.way.set(if length > LONGEST { Way::TOO_FAR } else { length });
        }
        if self.way.is_cut() { 0 } else { length }
    }

    /// Whether nobody may ask its director yet: in vcl_init, one that is choosing may be who asks.
    pub fn is_unexplored(&self, ctx: Ctx<'_>) -> bool {
        self.leads_on() && self.way.get() == Way::UNKNOWN && {
            let place = ctx.place();
            place.side == Side::Cli && place.in_sub
        }
    }
}
