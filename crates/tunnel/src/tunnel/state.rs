// SPDX-License-Identifier: BSD-2-Clause
//! What a tunnel knows. Any thread calls; locks are held for a look-up.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use delivery::admission::throttle::Throttle;
use delivery::epoch::Epoch;
use delivery::shared::destination::Destination;
use event::rules::ignore::{Rule, RuleError, Rules};
use parking_lot::{Mutex, RwLock};
use protocol::dsn::Dsn;
use serde::Serialize;

use crate::admission::{Gate, Readers};
use crate::answer::{Answer, Outcome, Refusal};
use crate::count::{Counts, Figures, json};
use crate::destinations::{BadLine, Found, List, Listed, Source, read_file, sdk_path};
use crate::grouping::Keys;
use crate::noise::Filter;
use crate::request::Named;
use crate::settings::Settings;

/// Keys of events that are remembered. Of more than that, more may pass.
const KEYS: usize = 16_384;

/// One tunnel.
pub struct Tunnel {
    pub(super) settings: Settings,
    pub(super) random: fn() -> u64,
    pub(super) keys: Keys,
    pub(super) throttle: Throttle,
    pub(super) rules: Rules<Rule>,
    pub(super) noise: OnceLock<&'static Filter>,
    pub(super) gate: Gate,
    pub(super) readers: Readers,
    list: RwLock<Arc<List>>,
    counts: Counts,
    /// By project, of those on the list.
    projects: Mutex<HashMap<String, Arc<Counts>>>,
}

impl Tunnel {
    /// Makes one with the DSNs of its settings. `random` is asked for seeds, shares and ids; `destination` for what is known of a DSN that it sends to.
    pub fn new(
        settings: Settings,
        random: fn() -> u64,
        destination: &dyn Fn(&Arc<Dsn>) -> Arc<Destination>,
        now: Instant,
    ) -> Tunnel {
        let epoch = Epoch::new(now);
        let tunnel = Tunnel {
            keys: Keys::new(random()),
            throttle: Throttle::with_slots(KEYS, settings.throttle, settings.window, random(), epoch),
            rules: Rules::default(),
            noise: OnceLock::new(),
            gate: Gate::new(&settings, random(), epoch),
            readers: Readers::new(settings.max_readers),
            list: RwLock::default(),
            counts: Counts::default(),
            projects: Mutex::default(),
            settings,
            random,
        };
        tunnel.replace(&[], destination);
        tunnel
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes the DSNs in a `dsn_file`'s text in place of those it had from it; those of its settings stay. What is wrong with lines, the first 20; they are skipped. Requests go on meanwhile.
    pub fn set_file(&self, text: &[u8], destination: &dyn Fn(&Arc<Dsn>) -> Arc<Destination>) -> Vec<BadLine> {
        let (sources, bad) = read_file(text);
        self.replace(&sources, destination);
        bad
    }

    /// Makes the list anew. Nothing is done under its lock.
    fn replace(&self, more: &[Source], destination: &dyn Fn(&Arc<Dsn>) -> Arc<Destination>) {
        let mut list = List::default();
        let mut projects = self.projects.lock().clone();
        let mut listed_projects = HashMap::new();
        for source in self.settings.sources.iter().chain(more) {
            let there = self.settings.upstream.as_ref().and_then(|upstream| upstream.of(&source.dsn).ok());
            let dsn = Arc::new(there.unwrap_or_else(|| source.dsn.clone()));
            let project = dsn.project().to_owned();
            let counts = projects.entry(project.clone()).or_default().clone();
            listed_projects.insert(project, counts.clone());
            let share = self.settings.shares.of(dsn.project());
            let destination = destination(&dsn);
            list.add(Listed { sdk_dsn: source.sdk_dsn.clone(), share, destination, counts, dsn });
        }
        *self.projects.lock() = listed_projects;
        let list = Arc::new(list);
        let _before = std::mem::replace(&mut *self.list.write(), list);
    }

    fn list(&self) -> Arc<List> {
        self.list.read().clone()
    }

    /// The DSNs it sends to, `upstream` taken into account: those of its settings, then those of the file.
    pub fn dsns(&self) -> Vec<Arc<Dsn>> {
        self.list().iter().map(|listed| listed.dsn.clone()).collect()
    }

    /// The path that the JavaScript SDK posts to by `tunnel: true`, of the `number`th DSN from 1 on; `None` if there are not so many.
    pub fn path(&self, number: i64) -> Option<String> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.list().get(place).map(|listed| sdk_path(&listed.sdk_dsn))
    }

    /// Adds a rule: what matches is ignored, whole. An expression about what an envelope does not say sees an empty text or, of URL and user agent, matches nothing.
    pub fn ignore(&self, rule: &Arc<Rule>) -> Result<(), RuleError> {
        self.rules.add(rule)
    }

    /// Ignores noise that has no cause in the site from now on. It compiles expressions: for threads with a stack as large as that of a VCL that loads.
    pub fn ignore_builtin(&self) {
        if let Some(filter) = Filter::shared() {
            let _ = self.noise.set(filter);
        }
    }

    /// How many bodies are being read.
    pub fn reading(&self) -> usize {
        self.readers.reading()
    }

    /// The one on the list that is named; `None` if that is not known yet: the envelope may say a project.
    pub(super) fn find(&self, named: &Named<'_>) -> Result<Option<Arc<Listed>>, Refusal> {
        let key = named.key.as_deref().ok_or(Refusal::NoKey)?;
        match self.list.read().find(key, named.project.as_deref()) {
            Found::One(listed) => Ok(Some(listed.clone())),
            Found::None => Err(Refusal::UnknownKey),
            Found::Several => Ok(None),
        }
    }

    /// The one that an envelope names by this `dsn`, and its request by nothing.
    pub(super) fn find_by_dsn(&self, dsn: &[u8]) -> Option<Arc<Listed>> {
        self.list.read().by_sdk_dsn(dsn).cloned()
    }

    /// Counts what became of a request, in all and for its project.
    pub(super) fn counted(&self, answer: Answer) -> Answer {
        let outcome: Outcome = answer.outcome();
        self.counts.add(outcome);
        if let Some(counts) = answer.counts() {
            counts.add(outcome);
        }
        answer
    }

    /// What became of all requests, as one line of JSON.
    pub fn count<D: Serialize>(&self, figures: &Figures<D>) -> String {
        let projects = self.projects.lock().clone();
        json(&self.counts, projects.iter().map(|(project, counts)| (project.as_str(), &**counts)), figures)
    }
}
