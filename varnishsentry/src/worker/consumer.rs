// SPDX-License-Identifier: BSD-2-Clause
//! From what is read to what is sent, on the reader's thread: nothing here waits.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::Client;
use delivery::client::Admission;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record as EventRecord;
use event::capture::removals::Removals;
use event::capture::scope::Scope;
use event::capture::task_log::{LogForm, TaskLog};
use event::rules::ignore::Candidate;
use event::rules::watch::Found;
use event::vsl::found::{title, write_fingerprint, write_found};
use protocol::baggage::{self, is_sentrys};
use protocol::event_id::EventId;
use protocol::trace::Trace;
use transaction::consumer::Consumer;
use transaction::counters::Counters;
use transaction::group::{Group, Grouping, Record};
use transaction::source::{Child, SourceEvent};
use transaction::tags::{Tags, Wanted};

use super::child::ChildLife;
use super::journal::say;
use super::view::View;
use crate::config::worker::{Filters, Worker as Settings};
use crate::filter::alarms::{Alarms, COUNTERS};
use crate::filter::health::Turn;
use crate::filter::matcher::Matcher;
use crate::log::parts::Parts;
use crate::log::reading::Reading;
use crate::report::group_event::GroupEvent;
use crate::report::group_log::{packed, task_log};
use crate::report::news::{News, told};
use crate::report::panic::Panic;

/// What an event's log leaves of a record, for tags and the like.
const RESERVED: usize = 1024;
/// Older or newer than this, and Sentry would not take the time of an event.
const OLDEST: Duration = Duration::from_secs(29 * 86_400);
const NEWEST: Duration = Duration::from_secs(50);

/// What the keys of a throttle depend on: what is in a log may be a client's.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What workers of a process have in common.
#[derive(Clone)]
pub struct Server {
    pub tags: &'static Tags,
    /// What the server is called, and its version.
    pub name: String,
    pub version: String,
}

/// Takes what one reader reads.
pub struct Worker {
    server: Server,
    parts: Parts,
    matcher: Matcher,
    filters: Arc<Settings>,
    client: Arc<Client>,
    view: Arc<View>,
    alarms: Alarms,
    child: ChildLife,
    /// What all events have.
    base: Arc<Scope>,
    backend_health: Option<u8>,
}

/// An event on its way.
struct Draft<'d> {
    message: Candidate<'d>,
    level: Level,
    filter: &'d str,
    fingerprint: Vec<&'d [u8]>,
}

impl Worker {
    pub fn new(server: Server, settings: Arc<Settings>, client: Arc<Client>, view: Arc<View>) -> Worker {
        let tags = server.tags;
        let Filters { builtin, thresholds, watch, .. } = &settings.filters;
        let matcher = Matcher::new(watch.clone(), builtin, tags);
        let mut worker = Worker {
            parts: Parts::new(tags),
            matcher,
            client,
            view,
            alarms: Alarms::new(thresholds),
            child: ChildLife::default(),
            base: Arc::default(),
            backend_health: tags.named("Backend_health").map(|(number, _)| number),
            server,
            filters: settings,
        };
        worker.base = Arc::new(worker.scope());
        worker
    }

    /// What all events have: the operator's tags, the server, and what it calls itself.
    fn scope(&self) -> Scope {
        let identity = self.view.identity();
        let mut scope = Scope::default();
        let Settings { filters, settings, .. } = &*self.filters;
        // Short values, but for tags of the operator's: one that has no room is left out.
        let _ = scope.set_tag(b"worker", settings.name.as_bytes());
        for (name, value) in &filters.tags {
            let _ = scope.set_tag(name.as_bytes(), value.as_bytes());
        }
        if let Some(identity) =
            identity.filter(|identity| settings.client.identity.server_name() != Some(identity.as_str()))
        {
            let _ = scope.set_tag(b"identity", identity.as_bytes());
        }
        for (key, value) in [("name", &self.server.name), ("version", &self.server.version)] {
            let _ = scope.set_context(b"runtime", key.as_bytes(), value.as_bytes());
        }
        scope
    }

    /// Whether it may go: level, how many were held back, and what is left out of it. What may not has been counted.
    fn admitted(&self, draft: &Draft<'_>, now: Instant) -> Option<(Level, u64, Removals)> {
        self.view.count(draft.filter);
        let filters = &self.filters.filters;
        if filters.ignore.rules.ignore(&draft.message) {
            self.client.ignore(now);
            return None;
        }
        let edits = filters.before_send.rules.edits(&draft.message);
        let level = edits.level.unwrap_or(draft.level);
        let mut key = SECRET.build_hasher();
        key.write_u8(level as u8);
        for part in &draft.fingerprint {
            key.write(part);
            key.write_u8(0);
        }
        match self.client.admit(key.finish(), now) {
            Admission::Admitted { suppressed } => Some((level, suppressed, edits.removals)),
            Admission::Refused(_) => None,
        }
    }

    /// Hands it over. What becomes of it is in the client's counters.
    fn send(&self, fields: Fields, log: Option<TaskLog>, at: SystemTime, of: (Level, u64, Removals), now: Instant) {
        let id = EventId::from_random(fastrand::u128(..).to_le_bytes());
        let (level, suppressed, removals) = of;
        let mut record = EventRecord::new(id, at, level, Arc::clone(&self.base), fields);
        (record.suppressed, record.removals, record.log) = (suppressed, removals, log);
        self.client.enqueue(record, now);
    }

    fn report_group(&self, group: &Group, event: &GroupEvent<'_, '_>, now: Instant, wall: SystemTime) {
        let Some(worst) = event.found.found.worst() else { return };
        let rule = &worst.rule;
        let draft = Draft {
            message: event.candidate(rule.level.as_str()),
            level: rule.level,
            filter: &rule.name,
            fingerprint: vec![rule.name.as_bytes(), rule.tag_name.as_bytes()],
        };
        let Some(admitted) = self.admitted(&draft, now) else { return };
        let settings = self.client.settings();
        let mut fields = self.client.fields();
        event.write(&mut fields, settings.privacy.send_default_pii);
        self.trace(&mut fields, event);
        fields.begin_scopes();
        let log = (settings.task_log != LogForm::None).then(|| {
            let room = fields.left().saturating_sub(RESERVED);
            let log = packed(group, self.server.tags, event.first(), room);
            fields.put(Kind::Log, b"", &log);
            task_log(settings.task_log, group, event.first(), &log)
        });
        self.send(fields, log, time_of(event.at(), wall), admitted, now);
    }

    /// The trace that the request is part of, if it says so. None is begun: nobody would take it on.
    fn trace(&self, fields: &mut Fields, event: &GroupEvent<'_, '_>) {
        let trace = Trace::of(event.lines(), || fastrand::u64(..));
        if !trace.is_continued() || !self.client.continues(baggage::organization(event.lines())) {
            return;
        }
        fields.put(Kind::Trace, event.op(), &trace.to_bytes());
        let members = baggage::members(event.lines());
        members.filter(|member| is_sentrys(member)).for_each(|member| fields.put(Kind::Baggage, b"", member));
    }

    /// Reports a record of no group.
    fn report_record(&self, found: &Found, at: SystemTime) {
        let Some(worst) = found.worst() else { return };
        let (rule, message, now) = (&worst.rule, title(found), Instant::now());
        let draft = Draft {
            message: Candidate { message: &message, level: rule.level.as_str().as_bytes(), ..Candidate::default() },
            level: rule.level,
            filter: &rule.name,
            fingerprint: vec![rule.name.as_bytes(), rule.tag_name.as_bytes()],
        };
        let Some(admitted) = self.admitted(&draft, now) else { return };
        let mut fields = self.client.fields();
        write_found(&mut fields, found);
        write_fingerprint(&mut fields, found);
        fields.put(Kind::Logger, b"", b"varnishsentry");
        self.send(fields, None, at, admitted, now);
    }

    fn report(&self, news: &News<'_>, level: Level, at: SystemTime) {
        let (message, fingerprint, now) = (news.message(), news.fingerprint(), Instant::now());
        let mut parts: Vec<&[u8]> = fingerprint.iter().map(|part| &**part).collect();
        if parts.is_empty() {
            parts.push(&message);
        }
        let draft = Draft {
            message: Candidate { message: &message, level: level.as_str().as_bytes(), ..Candidate::default() },
            level,
            filter: news.filter(),
            fingerprint: parts,
        };
        let Some(admitted) = self.admitted(&draft, now) else { return };
        let mut fields = self.client.fields();
        news.write(&mut fields, admitted.0);
        let is_panic = matches!(news, News::Died { panic: Some(_), .. });
        let log = if is_panic { Panic::task_log(self.client.settings().task_log) } else { None };
        self.send(fields, log, at, admitted, now);
    }

    /// What of the child's life is to be told.
    fn report_child(&self, news: Option<News<'_>>, at: SystemTime) {
        let wanted = self.client.settings().lifecycle.events;
        match news {
            Some(News::Started { .. }) if !wanted.start => {}
            Some(news @ News::Started { .. }) => self.report(&news, Level::Info, at),
            Some(news) if wanted.death => self.report(&news, Level::Fatal, at),
            _ => {}
        }
    }
}

impl Consumer for Worker {
    fn wanted(&self) -> &Wanted {
        self.matcher.wanted()
    }

    fn wants(&mut self, glimpse: &Group) -> bool {
        self.matcher.may_match(glimpse)
    }

    fn group(&mut self, group: &Group) {
        let readings: Vec<_> = group.transactions().map(|one| Reading::of(one, &self.parts)).collect();
        let Some(found) = self.matcher.find(group, &readings) else { return };
        if let Some(event) = GroupEvent::new(&found, &readings, group.incomplete()) {
            self.report_group(group, &event, Instant::now(), SystemTime::now());
        }
    }

    fn record(&mut self, record: Record<'_>, at: SystemTime) {
        let builtin = self.filters.filters.builtin;
        if Some(record.tag) == self.backend_health
            && let Some(turn) = Turn::parse(record.text)
        {
            let level = if turn.is_sick { builtin.backend_sick } else { builtin.backend_healthy };
            if let Some(level) = level {
                self.report(&News::Backend { turn, text: record.text }, level, at);
            }
        }
        // With this grouping they are groups, too.
        if self.filters.source.grouping != Grouping::Raw
            && let Some(found) = self.matcher.find_record(record)
        {
            self.report_record(&found, at);
        }
    }

    fn happened(&mut self, event: &SourceEvent, at: SystemTime) {
        say(&format!("{}: {}", self.filters.settings.name, line(event)));
        match event {
            SourceEvent::ChildSeen { identity, .. } => {
                self.view.identify(identity.as_deref());
                self.base = Arc::new(self.scope());
            }
            SourceEvent::Lost(lost) => {
                if let Some(level) = self.filters.filters.builtin.log_lost {
                    self.report(&News::Lost(*lost), level, at);
                }
            }
            SourceEvent::ChildGone { .. } | SourceEvent::ManagerGone | SourceEvent::Trouble(_) => {}
        }
        let news = self.child.happened(event, at);
        self.report_child(news, at);
    }

    fn tick(&mut self, counters: &Counters, at: SystemTime) {
        let news = self.child.look(counters, at);
        self.report_child(news, at);
        if let Some(level) = self.filters.filters.builtin.threads {
            for alarm in self.alarms.look(counters, at) {
                self.report(&News::Counter(alarm), level, at);
            }
        }
    }

    fn counters(&self) -> Vec<String> {
        COUNTERS.map(str::to_owned).to_vec()
    }
}

/// What an operator is told of it.
fn line(event: &SourceEvent) -> String {
    let name =
        |child: &Option<Child>| child.map_or_else(|| "a child".to_owned(), |child| format!("child {}", child.pid));
    match event {
        SourceEvent::ChildSeen { child, .. } => format!("reading the log of {}", name(child)),
        SourceEvent::ChildGone { child, panic: Some(_) } => format!("{} has panicked", name(child)),
        SourceEvent::ChildGone { child, panic: None } => format!("{} is gone", name(child)),
        SourceEvent::ManagerGone => "the manager is gone".to_owned(),
        SourceEvent::Lost(lost) => format!("parts of the log could not be read: {}", told(lost)),
        SourceEvent::Trouble(text) => text.clone(),
    }
}

/// The time of an event, by the log if that can be: of an old log it cannot.
fn time_of(logged: Option<f64>, wall: SystemTime) -> SystemTime {
    let logged = logged.and_then(|at| Duration::try_from_secs_f64(at).ok()).and_then(|at| UNIX_EPOCH.checked_add(at));
    let is_sane = |at: &SystemTime| match wall.duration_since(*at) {
        Ok(age) => age < OLDEST,
        Err(early) => early.duration() < NEWEST,
    };
    logged.filter(is_sane).unwrap_or(wall)
}
