// SPDX-License-Identifier: BSD-2-Clause
//! Watching a task: the records that it has logged are matched, at its end and whenever it is asked for.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use event::rules::watch::Found;
use shim::log::{Log, LogRecord, Wanted};
use shim::{Ctx, Side};

use super::builtin::BUILTIN;
use super::tags::{TAGS, wanted};
use crate::client::VclClient;

/// A client that watches the task.
pub struct Watching {
    client: Arc<VclClient>,
    builtin: bool,
    /// What earlier looks have found.
    found: Found,
    seen: Option<Seen>,
}

/// Up to where the log was looked at.
struct Seen {
    xid: u64,
    words: usize,
    /// The first words, by which a buffer is known that was flushed and filled anew.
    begin: u64,
}

impl Watching {
    pub fn new(client: &Arc<VclClient>, builtin: bool) -> Watching {
        Watching { client: Arc::clone(client), builtin, found: Found::default(), seen: None }
    }

    pub fn is_of(&self, client: &VclClient) -> bool {
        self.client.address() == client.address()
    }

    pub fn with_builtin(&mut self, builtin: bool) {
        self.builtin |= builtin;
    }

    /// Matches what was logged since the last look: before it goes.
    pub fn look(&mut self, ctx: Ctx<'_>) {
        let xid = ctx.place().xid;
        ctx.read_log(|log| {
            self.search(log, xid);
            self.seen = Some(Seen { xid, words: log.words().len(), begin: begin_of(log) });
        });
    }

    /// Matches the records that no earlier look has seen.
    fn search(&mut self, log: Log<'_>, xid: u64) {
        let seen = self
            .seen
            .as_ref()
            .filter(|seen| seen.xid == xid && seen.words <= log.words().len() && seen.begin == begin_of(log));
        let from = seen.map_or(0, |seen| seen.words);
        let own = self.client.watch();
        let mut wanted: Wanted = *own.wanted();
        if self.builtin {
            for (wanted, builtin) in wanted.iter_mut().zip(BUILTIN.watch.wanted()) {
                *wanted |= builtin;
            }
        }
        for LogRecord { tag, text, .. } in log.records(from, &wanted) {
            own.see(tag, text, &mut self.found);
            if self.builtin {
                BUILTIN.watch.see(tag, text, &mut self.found);
            }
        }
    }

    /// What was found when the task is over, with a last look; `None` if nothing was. `of_log` is asked only if something was.
    pub fn end<R>(
        mut self,
        ctx: Ctx<'_>,
        of_log: impl FnOnce(Side, Log<'_>) -> R,
    ) -> Option<(Arc<VclClient>, Found, R)> {
        let place = ctx.place();
        let told = ctx.read_log(|log| {
            self.search(log, place.xid);
            if self.builtin {
                self.judge(place.side, log);
            }
            self.found.worst().is_some().then(|| of_log(place.side, log))
        });
        told.map(|told| (self.client, self.found, told))
    }

    /// The rules that are about the outcome, which only the last status tells.
    fn judge(&mut self, side: Side, log: Log<'_>) {
        if side == Side::Client {
            let status = log.records(0, &wanted([TAGS.resp_status])).last();
            if let (Some(rule), Some(record)) =
                (&BUILTIN.delivered, status.filter(|status| status.text.first() == Some(&b'5')))
            {
                self.found.add(rule, record.text);
            }
            return;
        }
        let mut failed = false;
        let mut status = None;
        for record in log.records(0, &wanted([TAGS.vcl_call, TAGS.beresp_status])) {
            if Some(record.tag) == TAGS.vcl_call {
                failed |= record.text == b"BACKEND_ERROR";
            } else {
                status = Some(record.text);
            }
        }
        if let (Some(rule), Some(b"503"), true) = (&BUILTIN.guru_meditation, status, failed) {
            self.found.add(rule, b"503");
        }
    }
}

/// A hash of the first words of a log.
fn begin_of(log: Log<'_>) -> u64 {
    let mut hash = DefaultHasher::new();
    log.words().iter().take(16).for_each(|word| hash.write_u32(*word));
    hash.finish()
}
