// SPDX-License-Identifier: BSD-2-Clause
//! The entries of an object's list, and what of them is told.

use denylist::{Denied, Digest, Reason, Terms, Time, Verdict};
use privacy::scrub::Scrub;
use protocol::header::parse;
use shim::{Ctx, Message, Tag};

use super::saintmode::Saintmode;
use crate::counters::SaintmodeCounter;

/// What an entry is made for.
#[derive(Clone, Copy)]
pub enum Kind {
    Object,
    Key,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Key => "key",
        }
    }
}

impl Saintmode {
    /// Whether an entry speaks against `digest`, the backend's health aside.
    pub fn denied(&self, digest: &Digest, now: Time) -> bool {
        self.denylist.verdict(Some(digest), now) == Verdict::ObjectDenied
    }

    /// Ends the entry of `digest`, and says so in the task's log if there was one.
    pub fn allow(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest, now: Time) {
        if self.denylist.allow(digest, now) {
            let text = format!("saintmode: {} taken off denylist for backend {}", kind.name(), self.backend_name());
            ctx.log(Tag::Log, &text);
        }
        self.settle(ctx, now);
    }

    /// Ends all entries, and says so in the task's log.
    pub fn clear(&self, ctx: Ctx<'_>, now: Time) {
        let live = self.denylist.clear(now);
        ctx.log(Tag::Log, &format!("saintmode: denylist cleared for backend {}, entries: {live}", self.backend_name()));
        self.settle(ctx, now);
    }

    /// Denies the object or key `seconds` long, and says so in the task's log. A task may be ending.
    pub fn deny(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest, now: Time, seconds: f64, reason: Reason) {
        let text = kind.name();
        let backend = self.backend_name();
        let terms = match kind {
            Kind::Object => self.policy.terms,
            // Which keys a fetch is about, nobody knows who could see how it ends.
            Kind::Key => Terms { half_open: false, ..self.policy.terms },
        };
        let seconds = match terms.matter() {
            true => self.denylist.offenders().offend(digest, seconds, now, &terms, fastrand::f64()),
            false => seconds,
        };
        match self.denylist.deny(digest, now.plus(seconds), now) {
            Denied::New { evicted } => {
                self.count(SaintmodeCounter::Denied);
                if evicted {
                    self.count(SaintmodeCounter::Evicted);
                }
                self.remember(ctx, kind, digest, reason);
            }
            Denied::Extended => {
                self.count(SaintmodeCounter::Denied);
                self.remember(ctx, kind, digest, reason);
            }
            // Denied for longer already: said, as the C module says it, but nothing was made.
            Denied::Kept => {}
            Denied::Refused | Denied::Over => {
                self.count(SaintmodeCounter::Evicted);
                let text = format!("saintmode: denylist full, {text} not put on denylist for backend {backend}");
                return ctx.log(Tag::Log, &text);
            }
        }
        let text = format!("saintmode: {text} put on denylist for backend {backend} for {seconds:.2} seconds");
        ctx.log(Tag::Log, &text);
        self.settle(ctx, now);
    }

    /// Remembers why an entry was made, and what it is called.
    fn remember(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest, reason: Reason) {
        self.denylist.explain(digest, reason);
        let name = match kind {
            Kind::Object => called(ctx),
            Kind::Key => format!("key, by {}", called(ctx)),
        };
        self.recent.remember(digest, &name);
    }
}

/// What an operator knows the task's object by: host and path, without secrets. No query, which may hold what is nobody's business.
fn called(ctx: Ctx<'_>) -> String {
    let scrub = Scrub::new(false);
    let mut lines = ctx.headers(Message::BackendRequest).filter_map(parse);
    let host = lines.find(|(name, _)| name.eq_ignore_ascii_case(b"host")).map_or(&b""[..], |(_, host)| host);
    let url = scrub.url(ctx.url(Message::BackendRequest).unwrap_or_default());
    let path = url.split(|byte| *byte == b'?').next().unwrap_or_default();
    let more: &[u8] = if path.len() < url.len() { b"?" } else { b"" };
    let name = [&scrub.header(b"host", host), path, more].concat();
    String::from_utf8_lossy(&name).replace(char::is_control, "?")
}
