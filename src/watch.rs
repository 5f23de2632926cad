// SPDX-License-Identifier: BSD-2-Clause
//! Watching a task: at its end the records that it has logged are matched, and what is found becomes one event.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use report::client::Admission;
use report::event_id::EventId;
use report::ignore::RuleError;
use report::level::Level;
use report::record::{Fields, Kind};
use report::watch::{Found, Rule, Watch};
use shim::log::{Log, LogRecord, Wanted, tag_named};
use shim::{Ctx, Side};

use crate::capture::{Event, Subject, by_the_rules, level_and_key};
use crate::client::VclClient;
use crate::scope::TaskState;
use crate::tags::{TAGS, content, wanted};

/// Timestamps of a task that go into its event.
const MAX_TIMESTAMPS: usize = 32;

/// The rules that `watch(builtin = true)` adds.
struct Builtin {
    watch: Watch,
    /// The response that was delivered.
    delivered: Option<Arc<Rule>>,
    /// What vcl_backend_error made.
    guru_meditation: Option<Arc<Rule>>,
}

static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| {
    let rule = |tag: &'static str, expression: &str, name: &str, level| {
        // All of these are tags of every server, and expressions: the tests load them.
        Rule::new((tag_named(tag)?, tag), expression, name, level).ok().map(Arc::new)
    };
    const OVERFLOW: &str = "(?i)workspace.*overflow|overflow.*workspace|out of workspace|workspace full";
    let rules = [
        rule("LostHeader", "", "workspace_overflow", Level::Error),
        rule("Error", OVERFLOW, "workspace_overflow", Level::Error),
        rule("VCL_Error", OVERFLOW, "workspace_overflow", Level::Error),
        rule("FetchError", OVERFLOW, "workspace_overflow", Level::Error),
        rule("FetchError", "", "fetch_error", Level::Error),
        rule("VCL_Error", "", "vcl_error", Level::Error),
        rule("Error", "", "error", Level::Error),
    ];
    let mut watch = Watch::default();
    for rule in rules.iter().flatten() {
        // Far fewer than the set has room for.
        let _ = watch.add(rule);
    }
    Builtin {
        watch,
        delivered: rule("RespStatus", "", "5xx", Level::Error),
        guru_meditation: rule("BerespStatus", "", "guru_meditation", Level::Error),
    }
});

/// Compiles the rules that are built in: when a VCL is loaded, not in traffic.
pub fn install() {
    LazyLock::force(&BUILTIN);
    LazyLock::force(&TAGS);
}

/// The rule that the arguments of a call make; the problem reads well after its name.
pub fn rule(tag: &str, expression: &str, name: &str, level: Level) -> Result<Arc<Rule>, String> {
    let number = tag_named(tag).ok_or_else(|| format!("tag must be one that records of a task have, got \"{tag}\""))?;
    let name_of_tag = shim::log::tag_name(number).unwrap_or_default();
    let rule = Rule::new((number, name_of_tag), expression, name, level);
    rule.map(Arc::new).map_err(|error: RuleError| format!("{error}, got \"{expression}\""))
}

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

    /// The end of the task: one event if anything was found.
    pub fn end(mut self, ctx: Ctx<'_>, task: &mut TaskState) {
        let place = ctx.place();
        let ending = ctx.read_log(|log| {
            self.search(log, place.xid);
            if self.builtin {
                self.judge(place.side, log);
            }
            self.found.worst().is_some().then(|| Ending::of(place.side, log))
        });
        if let Some(ending) = ending {
            report(ctx, &self.client, task, &self.found, &ending);
        }
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

/// What a task's log says of its end, and of its begin.
pub struct Ending {
    status: Option<Box<[u8]>>,
    reason: Option<Box<[u8]>>,
    /// The transaction that this one came from.
    parent: Option<i64>,
    /// What has taken the begin of the log away.
    gap: Option<&'static str>,
    /// What was reached, and how many milliseconds after the begin.
    timestamps: Vec<(Box<[u8]>, f64)>,
}

impl Ending {
    fn of(side: Side, log: Log<'_>) -> Ending {
        let tags = &*TAGS;
        let (status_tag, reason_tag) = match side {
            Side::Backend => (tags.beresp_status, tags.beresp_reason),
            Side::Client | Side::Cli => (tags.resp_status, tags.resp_reason),
        };
        let begin = begin(log);
        let parent = begin.and_then(|text| std::str::from_utf8(text.split(|byte| *byte == b' ').nth(1)?).ok());
        let mut ending = Ending {
            status: None,
            reason: None,
            parent: parent.and_then(|xid| xid.parse().ok()),
            gap: gap(log),
            timestamps: Vec::new(),
        };
        for record in log.records(0, &wanted([tags.timestamp, status_tag, reason_tag])) {
            if Some(record.tag) == status_tag {
                ending.status = Some(record.text.into());
            } else if Some(record.tag) == reason_tag {
                ending.reason = Some(record.text.into());
            } else if ending.timestamps.len() < MAX_TIMESTAMPS {
                ending.timestamps.extend(timestamp(record.text));
            }
        }
        ending
    }

    /// The status of the response, as far as the log tells.
    pub fn status(&self) -> Option<&[u8]> {
        self.status.as_deref()
    }

    /// Writes what is not in the context of the call.
    pub fn write(&self, fields: &mut Fields) {
        if let Some(status) = &self.status {
            fields.put(Kind::Status, b"", status);
            fields.put(Kind::Tag, b"status", status);
        }
        if let Some(reason) = &self.reason {
            fields.put(Kind::Reason, b"", reason);
        }
        if let Some(parent) = self.parent {
            fields.put(Kind::ContextInt, b"varnish\0parent_xid", &parent.to_le_bytes());
        }
        if let Some(gap) = self.gap {
            fields.put(Kind::Context, b"varnish\0log_cut", gap.as_bytes());
        }
        for (name, millis) in &self.timestamps {
            fields.put(Kind::ContextReal, &[b"timestamps\0", &**name].concat(), &millis.to_le_bytes());
        }
        fields.put(Kind::Logger, b"", b"varnish.log");
        fields.put(Kind::Transaction, b"", b"watch");
    }
}

/// The record that a transaction begins with, if it is still there.
fn begin(log: Log<'_>) -> Option<&[u8]> {
    let first = log.records(0, shim::log::ALL).next()?;
    (Some(first.tag) == TAGS.begin).then_some(first.text)
}

/// What took the begin of a log away; `None` if it is all there.
pub fn gap(log: Log<'_>) -> Option<&'static str> {
    match begin(log) {
        None => Some("overflow"),
        Some(text) if text.ends_with(b" restart") => Some("restart"),
        Some(text) if text.ends_with(b" retry") => Some("retry"),
        Some(_) => None,
    }
}

/// Name and milliseconds since the begin of `Name: at since-begin since-last`.
fn timestamp(text: &[u8]) -> Option<(Box<[u8]>, f64)> {
    let (name, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b':')?)?;
    let seconds = std::str::from_utf8(rest).ok()?.split(' ').nth(2)?.parse::<f64>().ok()?;
    Some((name.into(), (seconds * 1e6).round() / 1e3))
}

/// Captures what was found.
fn report(ctx: Ctx<'_>, client: &VclClient, task: &mut TaskState, found: &Found, ending: &Ending) {
    let (Some(core), Some(worst)) = (client.core(ctx), found.worst()) else { return };
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

/// Writes what was found, and by which rule.
pub fn write_found(fields: &mut Fields, found: &Found) {
    for each in found.matches() {
        let rule = &each.rule;
        let level = rule.level.as_str().as_bytes();
        let head =
            [&[content(rule.tag_name) as u8], level, b"\0", rule.tag_name.as_bytes(), b"\0", rule.name.as_bytes()];
        fields.put(Kind::Match, &head.concat(), &each.text);
    }
    if found.left_out() > 0 {
        fields.put(Kind::Extra, b"sentry.matches_left_out", found.left_out().to_string().as_bytes());
    }
    if let Some(worst) = found.worst() {
        fields.put(Kind::Tag, b"filter", worst.rule.name.as_bytes());
    }
}

/// What groups such events, unless VCL says otherwise: the rule, not what differs from record to record.
pub fn write_fingerprint(fields: &mut Fields, found: &Found) {
    if let Some(worst) = found.worst() {
        fields.put(Kind::Fingerprint, b"", worst.rule.name.as_bytes());
        fields.put(Kind::Fingerprint, b"", worst.rule.tag_name.as_bytes());
    }
}

/// The record that the event is called by, as `[Tag] text`.
pub fn title(found: &Found) -> Vec<u8> {
    let title = found.worst().map(|worst| [b"[", worst.rule.tag_name.as_bytes(), b"] ", &worst.text].concat());
    title.unwrap_or_default()
}
