// SPDX-License-Identifier: BSD-2-Clause
//! What is told of an object's state when it changes: once for a transition, not once for a request.

use denylist::{Digest, Reason, Time, Transition};
use shim::{Ctx, Message, Tag};

use crate::counters::SaintmodeCounter;
use crate::object::{Kind, Saintmode};
use crate::observe::outcome;

/// Room for names in a trip's record: with what stands before them it is within `vsl_reclen`.
const NAMES: usize = 130;

impl Saintmode {
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
    pub fn since(&self, sick: bool, now: Time) -> Time {
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

    /// Remembers why an entry was made, and what it is called.
    pub fn remember(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest) {
        let reason = outcome(ctx, &ctx.object(), false).map_or(Reason::VCL, Reason::of);
        self.denylist.explain(digest, reason);
        let name = match kind {
            Kind::Object => called(ctx),
            Kind::Key => format!("key, by {}", called(ctx)),
        };
        self.recent.remember(digest, &name);
    }
}

/// What an operator knows the task's object by: host and path. No query, which may hold what is nobody's business.
fn called(ctx: Ctx<'_>) -> String {
    let host = ctx.headers(Message::BackendRequest).find_map(|line| {
        let (name, value) = line.split_at_checked(5)?;
        name.eq_ignore_ascii_case(b"host:").then(|| value.trim_ascii())
    });
    let url = ctx.url(Message::BackendRequest).unwrap_or_default();
    let path = url.split(|byte| *byte == b'?').next().unwrap_or_default();
    let more: &[u8] = if path.len() < url.len() { b"?" } else { b"" };
    let host = host.unwrap_or_default().rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let (scheme, path) = without_user(path);
    let name = [host, scheme, path, more].concat();
    String::from_utf8_lossy(&name).replace(char::is_control, "?")
}

/// A request's target without the user and the password that an absolute one may have, and that of CONNECT: what stands in front of them, and
/// behind. A password may have a slash in it; an `@` at the begin of a piece of the path is part of that.
fn without_user(target: &[u8]) -> (&[u8], &[u8]) {
    if target.starts_with(b"/") {
        return (b"", target);
    }
    let authority_at = target.windows(3).position(|mark| mark == b"://").map_or(0, |at| at + 3);
    let (scheme, rest) = target.split_at_checked(authority_at).unwrap_or((b"", target));
    let is_user_end = |at: &usize| at.checked_sub(1).is_none_or(|before| rest.get(before) != Some(&b'/'));
    let at_signs = rest.iter().enumerate().filter(|(_, byte)| **byte == b'@').map(|(at, _)| at);
    match at_signs.filter(is_user_end).last() {
        Some(at) => (scheme, rest.get(at + 1..).unwrap_or_default()),
        None => (scheme, rest),
    }
}
