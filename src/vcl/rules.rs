// SPDX-License-Identifier: BSD-2-Clause
//! `ignore()`, `before_send()`, `rule()`, `watch()`.

use std::sync::Arc;

use event::capture::level::Level;
use event::rules::before_send::Edit;
use event::rules::ignore::{Expressions, Rule, RuleError};
use shim::state::VmodPriv;
use shim::{Side, VclString, VrtCtx};

use super::call::{Call, Object, entries, function, level_of, method, text};
use crate::client::VclClient;
use crate::task::{Audience, STATES, TaskState};
use crate::watch;

entries!("sentry.ignore()": vmod_ignore, vmod_client_ignore(
    message: VclString<'_>, url: VclString<'_>, status: VclString<'_>, user_agent: VclString<'_>, level: VclString<'_>
) -> () = (), |call: Call<'_>, message, url, status, user_agent, level| {
    let rule = || {
        let when = expressions(message, url, status, user_agent, level)?;
        Rule::new(&when).map(Arc::new).map_err(|error| error.to_string())
    };
    add(call, rule, |client, rule| client.rules.add(rule));
});

entries!("sentry.before_send()": vmod_before_send, vmod_client_before_send(
    message: VclString<'_>, url: VclString<'_>, status: VclString<'_>, user_agent: VclString<'_>, level: VclString<'_>,
    set_level: VclString<'_>, remove: VclString<'_>
) -> () = (), |call: Call<'_>, message, url, status, user_agent, level, set_level: VclString<'_>, remove| {
    let edit = || {
        let when = expressions(message, url, status, user_agent, level)?;
        let level = set_level.bytes().and_then(Level::from_name);
        Edit::new(&when, level, text("remove", remove)?).map(Arc::new).map_err(|error| error.to_string())
    };
    add(call, edit, |client, edit| client.edits.add(edit));
});

entries!("sentry.rule()": vmod_rule, vmod_client_rule(
    tag: VclString<'_>, expression: VclString<'_>, name: VclString<'_>, level: VclString<'_>
) -> () = (), |call: Call<'_>, tag, expression, name, level: VclString<'_>| {
    let rule = || watch::rule(text("tag", tag)?, text("match", expression)?, text("name", name)?, level_of(level));
    add(call, rule, |client, rule| client.add_watch(rule));
});

entries!("sentry.watch()": vmod_watch, vmod_client_watch(builtin: u32) -> () = (), |call: Call<'_>, builtin: u32| {
    if call.ctx.place().side == Side::Cli {
        return call.misused("may not be called from vcl_init and vcl_fini");
    }
    let (client, builtin) = (call.client(), builtin != 0);
    if !builtin && client.watch().is_empty() {
        return;
    }
    let watched = STATES.task(call.ctx, TaskState::default, |task| task.watch(call.ctx, client, builtin));
    if watched.is_none() {
        call.misused("out of workspace");
    }
});

/// The expressions of a rule, checked to be UTF-8.
fn expressions<'t>(
    message: VclString<'t>,
    url: VclString<'t>,
    status: VclString<'t>,
    user_agent: VclString<'t>,
    level: VclString<'t>,
) -> Result<Expressions<'t>, String> {
    Ok(Expressions {
        message: text("message", message)?,
        url: text("url", url)?,
        status: text("status", status)?,
        user_agent: text("user_agent", user_agent)?,
        level: text("level", level)?,
    })
}

/// Adds a rule for the clients that the call is for, or fails the load.
fn add<R>(
    call: Call<'_>,
    rule: impl Fn() -> Result<Arc<R>, String>,
    add: impl Fn(&VclClient, &Arc<R>) -> Result<(), RuleError>,
) {
    if !call.is_in_vcl_init() {
        return;
    }
    let added = rule().and_then(|rule| {
        let added = match call.audience {
            Audience::All(vcl) => vcl.add_to_all(|client| add(client, &rule)),
            Audience::One(client) => add(client, &rule),
        };
        added.map_err(|error| error.to_string())
    });
    if let Err(problem) = added {
        call.fail(&problem);
    }
}
