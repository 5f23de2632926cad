// SPDX-License-Identifier: BSD-2-Clause
//! The record of an event: all that a task knows is written into it, in one pass.

use std::mem;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use client::Client;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::removals::Removals;
use event::capture::task_log::LogForm;
use event::vsl::found;
use protocol::baggage::{self, is_sentrys};
use protocol::event_id::EventId;
use protocol::header::is_https;
use protocol::trace::Trace;
use shim::{Ctx, Facts, Side};

use super::rules::{decimal, response_of};
use super::subject::Subject;
use super::{story, task_log};
use crate::client::VclClient;
use crate::task::{ClientTask, TaskState, lines, op_of, request_of};

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
        self.core.enqueue(record, now)
    }

    fn record(&mut self, mut task: Option<&mut TaskState>) -> Record {
        let at = SystemTime::now();
        let now = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let facts = self.ctx.facts();
        let mut unkept = TaskState::default();
        let trace = task.as_deref_mut().unwrap_or(&mut unkept).trace(self.ctx, facts.side, self.client);
        let task = task.as_deref();
        let limit = self.core.settings().privacy.max_request_body;
        let body = if limit > 0 { self.ctx.request_body(limit) } else { None };
        let own: Option<&ClientTask> = task.and_then(|task| task.client(self.client));

        let form = self.core.settings().task_log;
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
                found::write_fingerprint(&mut fields, found);
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
            Subject::Log { found, .. } => found::write_found(fields, found),
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
            secure = secure || is_https(line);
            fields.put(Kind::RequestHeader, b"", line);
        }
        fields.put(Kind::Scheme, b"", if secure { b"https" } else { b"http" });
        if self.core.settings().privacy.send_default_pii
            && let Some(ip) = self.ctx.client_ip()
        {
            fields.put(Kind::ClientIp, b"", ip.to_string().as_bytes());
        }
    }

    fn trace(&self, fields: &mut Fields, facts: &Facts<'_>, trace: &Trace) {
        fields.put(Kind::Trace, op_of(facts.side), &trace.to_bytes());
        if trace.is_continued() {
            let members = baggage::members(lines(self.ctx, facts.side));
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
