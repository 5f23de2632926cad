// SPDX-License-Identifier: BSD-2-Clause
//! What is told of an object's state when it changes: once for a transition, not once for a request.

use denylist::{Time, Transition};
use shim::{Ctx, Tag};

use super::saintmode::Saintmode;
use crate::counters::SaintmodeCounter;

/// Room for names in a trip's record: with what stands before them it is within `vsl_reclen`.
const NAMES: usize = 130;

impl Saintmode {
    /// Takes over what others have put on its list: being sick already is no trip.
    pub fn find(&self, now: Time) {
        self.live(now);
        if self.is_sick(now) {
            let _ = self.health.see(true, self.since(true, now), now);
        }
    }

    /// Sees whether the backend is sick as a whole, and tells if that is new. Once a second it moves the gauge.
    #[inline]
    pub fn look(&self, ctx: Ctx<'_>, now: Time) {
        let sick = self.is_sick(now);
        if sick != self.health.sick() {
            self.see(ctx, sick, now);
        }
        if self.health.gauge_due(now) {
            self.live(now);
        }
    }

    /// After a change of the list: moves the gauge and "Last change", and tells of a transition.
    pub fn settle(&self, ctx: Ctx<'_>, now: Time) {
        self.live(now);
        self.changed(now);
        self.look(ctx, now);
    }

    #[cold]
    fn see(&self, ctx: Ctx<'_>, sick: bool, now: Time) {
        if let Some(transition) = self.health.see(sick, self.since(sick, now), now) {
            self.tell(ctx, transition, now);
        }
    }

    /// Since when it is sick, or is not, as far as anybody knows: nobody notes when the failure rate became too high.
    fn since(&self, sick: bool, now: Time) -> Time {
        let by_threshold = !sick || self.denylist.threshold_reached(now);
        self.denylist.changed(now).filter(|_| by_threshold).unwrap_or(now)
    }

    fn tell(&self, ctx: Ctx<'_>, transition: Transition, now: Time) {
        let (live, threshold) = (self.live(now), self.threshold());
        let (name, backend) = (self.name(), self.backend_name());
        self.changed(now);
        let text = if transition.sick {
            self.count(SaintmodeCounter::Trips);
            let newest = self.recent.newest(NAMES);
            let rate = if self.denylist.threshold_reached(now) { "" } else { ", failure rate too high" };
            format!(
                "saintmode: {name} is sick: backend {backend}, {live} objects denied, threshold {threshold}{rate}: {newest}"
            )
        } else {
            self.count(SaintmodeCounter::Heals);
            format!("saintmode: {name} has healed: backend {backend}, {live} objects denied, threshold {threshold}")
        };
        ctx.log(Tag::Log, &text);
    }
}
