// SPDX-License-Identifier: BSD-2-Clause
//! From a task to a record: what the request's thread does for an event, and all it does.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use report::baggage::{self, is_sentrys};
use report::before_send::{Edits, Removals};
use report::client::{Admission, Client};
use report::event_id::EventId;
use report::fingerprint::includes_default;
use report::ignore::Candidate;
use report::level::Level;
use report::record::{Fields, Kind, Record};
use report::task_log::LogForm;
use report::threshold::Threshold;
use report::trace::Trace;
use report::watch::Found;
use shim::{Ctx, Facts, Message, Side};

use crate::client::VclClient;
use crate::scope::{Audience, ClientTask, STATES, TaskState};
use crate::story;
use crate::task_log;
use crate::trace::{self, op_of, request_of};
use crate::watch::{self, Ending};

/// What the keys of a throttle depend on, so that nobody can find a text that has the key of another: what is
/// captured may be made of a request.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What is captured.
#[derive(Clone, Copy)]
pub enum Subject<'t> {
    /// A message and what fills its placeholders; a parameter not given is `None`.
    Message {
        text: &'t [u8],
        params: [Option<&'t [u8]>; 4],
    },
    Exception {
        kind: &'t [u8],
        value: &'t [u8],
    },
    /// What was found in the log of a task that is over.
    Log {
        found: &'t Found,
        ending: &'t Ending,
    },
}

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
            joined = watch::title(found);
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

fn response_of(side: Side) -> Option<Message> {
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

/// All there is to write into a record.
pub struct Event<'a, 't> {
    pub ctx: Ctx<'t>,
    pub client: &'a VclClient,
    pub core: &'a Arc<Client>,
    pub subject: Subject<'t>,
    pub level: Level,
    pub id: EventId,
    pub suppressed: u64,
    pub occurrences: u64,
    pub removals: Removals,
}

impl Event<'_, '_> {
    /// Writes the record and queues it; whether that was taken.
    pub fn enqueue(&mut self, task: Option<&mut TaskState>, now: Instant) -> bool {
        let record = self.record(task);
        self.core.enqueue(record, now).is_ok()
    }

    fn record(&mut self, mut task: Option<&mut TaskState>) -> Record {
        let at = SystemTime::now();
        let now = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let facts = self.ctx.facts();
        let trace = match task.as_deref_mut() {
            Some(task) => trace::of_task(self.ctx, task, facts.side),
            None => trace::found(self.ctx, facts.side),
        };
        let task = task.as_deref();
        let limit = self.core.settings().max_request_body;
        let body = if limit > 0 { self.ctx.request_body(limit) } else { None };
        let own: Option<&ClientTask> = task.and_then(|task| task.client(self.client));

        let form = self.core.settings().vsl;
        let is_worth_it = self.level >= Level::Error || matches!(self.subject, Subject::Log { .. });
        let carries_log = form != LogForm::None && is_worth_it && facts.side != Side::Cli;

        let base = self.client.scope();
        let mut fields = self.core.fields();
        self.subject(&mut fields);
        self.request(&mut fields, &facts);
        if let Some(body) = &body {
            fields.put(Kind::Body, &body.len.to_le_bytes(), &body.beginning);
        }
        if facts.has_response {
            self.response(&mut fields, &facts);
        }
        write_facts(&mut fields, &facts, now);
        self.trace(&mut fields, &facts, &trace);
        story::write(&mut fields, self.ctx, &facts, now);
        let scopes = [task.map(|task| &task.scope), own.map(|own| &own.scope)];
        if let Subject::Log { found, ending } = self.subject {
            ending.write(&mut fields);
            if scopes.iter().flatten().all(|scope| scope.fingerprint().is_none()) && base.fingerprint().is_none() {
                watch::write_fingerprint(&mut fields, found);
            }
        }
        fields.begin_scopes();
        scopes.into_iter().flatten().for_each(|scope| scope.write(&mut fields));
        if carries_log {
            self.ctx.read_log(|log| fields.put(Kind::Log, b"", task_log::raw(log)));
        }
        let mut record = Record::new(self.id, at, self.level, base, fields);
        record.suppressed = self.suppressed;
        record.occurrences = self.occurrences;
        record.removals = mem::take(&mut self.removals);
        if carries_log {
            record.log = self.ctx.read_log(|log| Some(task_log::task_log(form, &facts, log)));
        }
        record
    }

    fn subject(&self, fields: &mut Fields) {
        match self.subject {
            Subject::Message { text, params } => {
                fields.put(Kind::Message, b"", text);
                for (number, param) in (b'1'..).zip(params) {
                    if let Some(param) = param {
                        fields.put(Kind::Param, &[number], param);
                    }
                }
            }
            Subject::Exception { kind, value } => fields.put(Kind::Exception, kind, value),
            Subject::Log { found, .. } => watch::write_found(fields, found),
        }
    }

    fn request(&self, fields: &mut Fields, facts: &Facts<'_>) {
        let Some(message) = request_of(facts.side) else { return };
        if let Some(method) = self.ctx.method(message) {
            fields.put(Kind::Method, b"", method);
        }
        if let Some(url) = self.ctx.url(message) {
            fields.put(Kind::Url, b"", url);
        }
        let mut secure = facts.tls;
        for line in self.ctx.headers(message) {
            secure = secure || says_https(line);
            fields.put(Kind::RequestHeader, b"", line);
        }
        fields.put(Kind::Scheme, b"", if secure { b"https" } else { b"http" });
        let mut ip = [0; 64];
        if self.core.settings().send_default_pii
            && let Some(ip) = self.ctx.client_ip(&mut ip)
        {
            fields.put(Kind::ClientIp, b"", ip);
        }
    }

    fn trace(&self, fields: &mut Fields, facts: &Facts<'_>, trace: &Trace) {
        fields.put(Kind::Trace, op_of(facts.side), &trace.to_bytes());
        if trace.is_continued() {
            let members = baggage::members(trace::lines(self.ctx, facts.side));
            members.filter(|member| is_sentrys(member)).for_each(|member| fields.put(Kind::Baggage, b"", member));
        }
    }

    fn response(&self, fields: &mut Fields, facts: &Facts<'_>) {
        let Some(message) = response_of(facts.side) else { return };
        let mut digits = [0; 10];
        let status = decimal(&mut digits, self.ctx.status(message));
        fields.put(Kind::Status, b"", status);
        fields.put(Kind::Tag, b"status", status);
        if let Some(reason) = self.ctx.reason(message) {
            fields.put(Kind::Reason, b"", reason);
        }
        self.ctx.headers(message).for_each(|line| fields.put(Kind::ResponseHeader, b"", line));
    }
}

fn write_facts(fields: &mut Fields, facts: &Facts<'_>, now: f64) {
    let side: &[u8] = match facts.side {
        Side::Cli => b"cli",
        Side::Client => b"client",
        Side::Backend => b"backend",
    };
    let mut text = |tag: &[u8], context: &[u8], value: &[u8]| {
        if !value.is_empty() {
            fields.put(Kind::Tag, tag, value);
            fields.put(Kind::Context, context, value);
        }
    };
    text(b"side", b"varnish\0side", side);
    text(b"vcl.sub", b"varnish\0sub", facts.sub);
    text(b"vcl.name", b"varnish\0vcl", facts.vcl.as_bytes());
    text(b"backend", b"varnish\0backend", facts.backend);

    let mut number = |context: &[u8], value: i64| fields.put(Kind::ContextInt, context, &value.to_le_bytes());
    if facts.side != Side::Cli {
        number(b"varnish\0xid", i64::try_from(facts.xid).unwrap_or(i64::MAX));
        if facts.first > 0.0 {
            // `as` saturates.
            number(b"varnish\0task_ms", ((now - facts.first).max(0.0) * 1000.0) as i64);
        }
    }
    match facts.side {
        Side::Cli => {}
        Side::Client => {
            number(b"varnish\0restarts", facts.restarts.into());
            number(b"varnish\0esi_level", facts.esi_level.into());
        }
        Side::Backend => {
            number(b"varnish\0retries", facts.retries.into());
            if facts.background {
                fields.put(Kind::Context, b"varnish\0background_fetch", b"true");
            }
        }
    }
    // What the transaction is called unless a scope says otherwise.
    if !facts.sub.is_empty() {
        fields.put(Kind::Transaction, b"", facts.sub);
    }
}

/// The text of a header line that is User-Agent's.
fn user_agent(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"user-agent:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

fn says_https(line: &[u8]) -> bool {
    const NAME: &[u8] = b"x-forwarded-proto:";
    line.split_at_checked(NAME.len()).is_some_and(|(name, value)| {
        name.eq_ignore_ascii_case(NAME) && value.trim_ascii().eq_ignore_ascii_case(b"https")
    })
}

/// `number` as digits, without an allocation.
fn decimal(digits: &mut [u8; 10], mut number: u32) -> &[u8] {
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
