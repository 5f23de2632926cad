// SPDX-License-Identifier: BSD-2-Clause
//! The end of a watched task: what was found in its log becomes one event.

use std::time::Instant;

use delivery::client::Admission;
use event::rules::watch::Found;
use protocol::event_id::EventId;
use shim::Ctx;

use super::ending::Ending;
use super::record::Event;
use super::rules::{by_the_rules, level_and_key};
use super::subject::Subject;
use crate::client::VclClient;
use crate::task::TaskState;

impl shim::state::TaskState for TaskState {
    fn end(&mut self, ctx: Ctx<'_>) {
        let watching = self.take_watching();
        // In a sub only a rollback ends it: the task goes on, and may ask to be watched again.
        if watching.is_empty() || ctx.place().in_sub {
            return;
        }
        for watching in watching {
            if let Some((client, found, ending)) = watching.end(ctx, Ending::of) {
                report(ctx, &client, self, &found, &ending);
            }
        }
    }
}

/// Captures what was found.
fn report(ctx: Ctx<'_>, client: &VclClient, task: &mut TaskState, found: &Found, ending: &Ending) {
    let (Some(core), Some(worst)) = (client.made(), found.worst()) else { return };
    let now = Instant::now();
    let subject = Subject::Log { found, ending };
    let level_and_key = |changed| level_and_key(client, Some(task), subject, worst.rule.level, changed);
    let Some((level, key, removals)) = by_the_rules(ctx, client, core, subject, level_and_key) else {
        return core.ignore(now);
    };
    let Admission::Admitted { suppressed } = core.admit(key, now) else { return };
    let id = EventId::from_random(fastrand::u128(..).to_le_bytes());
    let mut event = Event { ctx, client, core, subject, level, id, suppressed, occurrences: 0, removals };
    // A refusal is counted; nobody is left to be told.
    event.enqueue(Some(task), now);
}
