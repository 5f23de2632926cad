// SPDX-License-Identifier: BSD-2-Clause
//! An object's threshold, which VCL may change, and which counts only from the end of the VCL's load on.

use std::sync::Arc;

use denylist::Time;
use shim::{Ctx, Tag};

use super::saintmode::Saintmode;
use crate::clock::time;

impl Saintmode {
    /// Sets another threshold, and says so in the task's log if it is another. In vcl_init the VCL only asks for it.
    pub fn set_threshold(&self, ctx: Ctx<'_>, threshold: u64, now: Time) {
        if let Some(wanted) = &mut *self.wanted.lock() {
            *wanted = threshold;
            return;
        }
        let before = self.threshold();
        if before != threshold {
            self.denylist.set_threshold(threshold, now);
            let backend = self.backend_name();
            ctx.log(Tag::Log, &format!("saintmode: threshold {threshold} for backend {backend}, before {before}"));
            self.settle(ctx, now);
        }
    }
}

/// From now on the thresholds that all objects of a VCL ask for count. Not before it is loaded, as a load may fail.
pub fn set_wanted(ctx: Ctx<'_>, all: &[&Saintmode]) {
    for (at, one) in all.iter().enumerate() {
        let wanted = one.wanted.lock().take();
        // Of those that share a list the last one's counts, and no other for a moment: that could make it sick.
        let is_last = !all.iter().skip(at + 1).any(|later| Arc::ptr_eq(&later.kept, &one.kept));
        if let Some(threshold) = wanted.filter(|threshold| is_last && one.kept.asks_anew(*threshold)) {
            one.set_threshold(ctx, threshold, time(ctx));
        }
    }
}
