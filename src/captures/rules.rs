// SPDX-License-Identifier: BSD-2-Clause
//! What the VCL's rules say of an event before anything of it is copied, and what groups it for the throttle.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use client::Client;
use event::capture::fingerprint::includes_default;
use event::capture::level::Level;
use event::capture::removals::Removals;
use event::rules::before_send::Edits;
use event::rules::ignore::Candidate;
use event::vsl::found::title;
use shim::{Ctx, Message, Side};

use super::subject::Subject;
use crate::client::VclClient;
use crate::task::{TaskState, request_of};

/// What the keys of a throttle depend on, so that nobody can find a text that has the key of another: what is
/// captured may be made of a request.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Level and key of the event, and what the VCL's rules leave out of it; `None` if one of them ignores it. Without
/// rules nothing is looked at. `level_and_key` is asked again, with the level, if a rule changes that.
pub fn by_the_rules(
    ctx: Ctx<'_>,
    client: &VclClient,
    core: &Client,
    subject: Subject<'_>,
    level_and_key: impl Fn(Option<Level>) -> (Level, u64),
) -> Option<(Level, u64, Removals)> {
    let (level, key) = level_and_key(None);
    if !core.is_enabled() || client.rules.is_empty() && client.edits.is_empty() {
        return Some((level, key, Removals::default()));
    }
    let edits = judge(ctx, client, subject, level)?;
    let (level, key) = if edits.level.is_some() { level_and_key(edits.level) } else { (level, key) };
    Some((level, key, edits.removals))
}

/// What the VCL's rules change in the event; `None` if one of them ignores it.
fn judge(ctx: Ctx<'_>, client: &VclClient, subject: Subject<'_>, level: Level) -> Option<Edits> {
    let facts = ctx.facts();
    let request = request_of(facts.side);
    let mut digits = [0; 10];
    let response = response_of(facts.side).filter(|_| facts.has_response);
    let mut status = response.map(|message| decimal(&mut digits, ctx.status(message)));
    let joined;
    let message = match subject {
        Subject::Message { text, .. } => text,
        Subject::Exception { kind, value } => {
            joined = [kind, b": ", value].concat();
            &joined
        }
        Subject::Log { found, ending } => {
            status = ending.status();
            joined = title(found);
            &joined
        }
    };
    let candidate = Candidate {
        message,
        url: request.and_then(|message| ctx.url(message)),
        status,
        user_agent: request.and_then(|message| ctx.headers(message).find_map(user_agent)),
        level: level.as_str().as_bytes(),
    };
    (!client.rules.ignore(&candidate)).then(|| client.edits.edits(&candidate))
}

pub fn response_of(side: Side) -> Option<Message> {
    match side {
        Side::Cli => None,
        Side::Client => Some(Message::Response),
        Side::Backend => Some(Message::BackendResponse),
    }
}

/// The level the event gets, and the key that the throttle goes by; `changed` is a rule's level, which wins.
pub fn level_and_key(
    client: &VclClient,
    task: Option<&TaskState>,
    subject: Subject<'_>,
    asked: Level,
    changed: Option<Level>,
) -> (Level, u64) {
    let own = task.and_then(|task| task.client(client)).map(|task| &task.scope);
    let all = task.map(|task| &task.scope);
    let base = client.read_scope();
    // From the narrowest scope to the widest.
    let scopes = [own, all, Some(&*base)];
    let set = || scopes.iter().flatten().find_map(|scope| scope.level());
    let level = changed.or_else(set).unwrap_or(asked);

    let mut key = SECRET.build_hasher();
    let fingerprint = scopes.iter().flatten().find_map(|scope| scope.fingerprint());
    if let Some(fingerprint) = fingerprint {
        key.write(fingerprint);
        key.write_u8(0);
    }
    if fingerprint.is_none_or(includes_default) {
        key.write_u8(level as u8);
        match subject {
            Subject::Message { text, .. } => key.write(text),
            Subject::Exception { kind, value } => {
                key.write(kind);
                key.write_u8(0);
                key.write(value);
            }
            Subject::Log { found, .. } => {
                if let Some(worst) = found.worst() {
                    key.write(worst.rule.tag_name.as_bytes());
                    key.write_u8(0);
                    key.write(worst.rule.name.as_bytes());
                }
            }
        }
    }
    (level, key.finish())
}

/// The text of a header line that is User-Agent's.
fn user_agent(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"user-agent:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

/// `number` as digits, without an allocation.
pub fn decimal(digits: &mut [u8; 10], mut number: u32) -> &[u8] {
    let mut begin = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        begin = at;
        if number == 0 {
            break;
        }
    }
    digits.get(begin..).unwrap_or_default()
}
