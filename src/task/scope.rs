// SPDX-License-Identifier: BSD-2-Clause
//! What tasks and VCLs add to events: who asks to add it decides to which scope it goes.

use event::capture::scope::{Scope, ScopeFull};
use shim::Ctx;

use super::state::{Audience, STATES, TaskState};
use crate::counters::misused;

/// Changes the scope that a call is about: in vcl_init the VCL's, elsewhere the task's.
pub fn change(ctx: Ctx<'_>, audience: Audience<'_>, call: &str, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) {
    let done = match (ctx.facts().sub == b"vcl_init", audience) {
        (true, Audience::All(vcl)) => vcl.change_all(set),
        (true, Audience::One(client)) => client.change(set),
        (false, audience) => {
            let done = STATES.task(ctx, TaskState::default, |task| match audience {
                Audience::All(_) => set(&mut task.scope),
                Audience::One(client) => task.with_client(client, |task| set(&mut task.scope)),
            });
            match done {
                Some(done) => done,
                None => return misused(ctx, &format!("{call}: out of workspace")),
            }
        }
    };
    if let Err(ScopeFull) = done {
        misused(ctx, &format!("{call}: the scope is full, nothing added"));
    }
}
