// SPDX-License-Identifier: BSD-2-Clause
//! A capture: whether it is an event, and who gets to know its id.

use std::time::Instant;

use delivery::admission::threshold::Threshold;
use delivery::client::Admission;
use event::capture::level::Level;
use protocol::event_id::EventId;
use shim::Ctx;

use super::record::Event;
use super::rules::{by_the_rules, level_and_key};
use super::subject::Subject;
use crate::client::VclClient;
use crate::task::{Audience, STATES, TaskState};

/// Captures; `None` if nothing was queued.
///
/// The task's scope counts for all clients, so a capture by one sees it too.
pub fn capture(
    ctx: Ctx<'_>,
    client: &VclClient,
    audience: Audience<'_>,
    subject: Subject<'_>,
    level: Level,
    threshold: Option<Threshold>,
) -> Option<EventId> {
    let core = client.core(ctx)?;
    let now = Instant::now();
    let level_and_key = |changed| {
        let of = |task: Option<&TaskState>| level_and_key(client, task, subject, level, changed);
        STATES.existing_task(ctx, |task| of(Some(task))).unwrap_or_else(|| of(None))
    };
    let Some((level, key, removals)) = by_the_rules(ctx, client, core, subject, level_and_key) else {
        core.ignore(now);
        return None;
    };
    let occurrences = match threshold {
        Some(threshold) => core.count(key, threshold, now)?,
        None => 0,
    };
    let Admission::Admitted { suppressed } = core.admit(key, now) else { return None };

    let id = EventId::from_random(fastrand::u128(..).to_le_bytes());
    let mut event = Event { ctx, client, core, subject, level, id, suppressed, occurrences, removals };
    // Without room the task forgets its trace and the id, and the caller still has the id.
    let is_queued = STATES.task(ctx, TaskState::default, |task| {
        let is_queued = event.enqueue(Some(task), now);
        if is_queued {
            task.last_id = Some(id);
            if let Audience::One(client) = audience {
                task.with_client(client, |task| task.last_id = Some(id));
            }
        }
        is_queued
    });
    is_queued.unwrap_or_else(|| event.enqueue(None, now)).then_some(id)
}
