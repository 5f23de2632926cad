// SPDX-License-Identifier: BSD-2-Clause
//! A client as a VCL has it: what the VCL has said of it, and its own scope and rules.
//!
//! vcl_init says the settings, a section at a time. The client proper is made by the first capture or flush there, else
//! when the VCL becomes warm for the first time: a load that fails makes none.

use std::fmt;
use std::sync::{Arc, OnceLock};

use client::Client;
use event::capture::scope::{Scope, ScopeFull};
use event::rules::before_send::Edit;
use event::rules::ignore::{Rule, RuleError, Rules};
use event::rules::watch::{Rule as WatchRule, Watch};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use settings::privacy::PrivacySettings;
use settings::sections::{Sections, Settings};
use settings::variables::Variables;
use shim::Ctx;

use super::registry::{Lease, lease};
use crate::counters::unusable_variable;

/// What `sentry.privacy()` says for all clients of a VCL.
pub type SharedPrivacy = Arc<OnceLock<PrivacySettings>>;

/// A client of a VCL.
pub struct VclClient {
    /// The default one, which the environment variables are about.
    is_default: bool,
    said: Mutex<Said>,
    /// What holds for a client that says nothing of privacy.
    privacy: SharedPrivacy,
    lease: OnceLock<Lease>,
    /// What all its events of this VCL carry. Replaced in vcl_init, shared by every record.
    scope: RwLock<Arc<Scope>>,
    /// What of this VCL's is no event. Added to in vcl_init.
    pub rules: Rules<Rule>,
    /// What of a watched task's log is one. Added to in vcl_init.
    watch: RwLock<Watch>,
    /// What of this VCL's is changed before it is sent. Added to in vcl_init.
    pub edits: Rules<Edit>,
}

/// What vcl_init has said of a client so far.
struct Said {
    name: String,
    sections: Sections,
}

/// Why a section is not taken. Reads well after `sentry.server(): `.
#[derive(Debug)]
pub enum Refusal {
    /// Of the client of that name; `None` for all.
    Twice(Option<String>),
    /// The client of that name is made already.
    Late(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Twice(None) => f.write_str("called twice"),
            Refusal::Twice(Some(name)) => write!(f, "called twice for the client {name:?}"),
            Refusal::Late(name) => write!(f, "called after the first capture or flush of the client {name:?}"),
        }
    }
}

impl VclClient {
    /// One that nothing is said of yet; the default one of its VCL says no name either, maybe.
    pub(super) fn new(name: &str, is_default: bool, privacy: SharedPrivacy, scope: Scope) -> VclClient {
        VclClient {
            is_default,
            said: Mutex::new(Said { name: name.to_owned(), sections: Sections::default() }),
            privacy,
            lease: OnceLock::new(),
            scope: RwLock::new(Arc::new(scope)),
            rules: Rules::default(),
            watch: RwLock::default(),
            edits: Rules::default(),
        }
    }

    /// What it calls itself in counters, log and status.
    pub fn name(&self) -> String {
        self.said.lock().name.clone()
    }

    /// Takes a section in the place that `slot` finds for it: once, and only before the client is made.
    pub fn say<T>(&self, section: T, slot: impl FnOnce(&mut Sections) -> &mut Option<T>) -> Result<(), Refusal> {
        let mut said = self.said.lock();
        if self.lease.get().is_some() {
            return Err(Refusal::Late(said.name.clone()));
        }
        match slot(&mut said.sections) {
            Some(_) => Err(Refusal::Twice(Some(said.name.clone()))),
            empty => {
                *empty = Some(section);
                Ok(())
            }
        }
    }

    /// Takes the name that goes with a section that was taken.
    pub fn rename(&self, name: String) {
        self.said.lock().name = name;
    }

    /// Whether it has been made with what all clients of the VCL have of privacy.
    pub(super) fn has_used_shared_privacy(&self) -> bool {
        self.lease.get().is_some() && self.said.lock().sections.privacy.is_none()
    }

    /// The client proper. In vcl_init it is made by this; `None` if it is not made, and not to be any more.
    #[inline]
    pub fn core(&self, ctx: Ctx<'_>) -> Option<&Arc<Client>> {
        match self.lease.get() {
            Some(lease) => Some(lease.member()),
            None if ctx.facts().sub == b"vcl_init" => Some(self.make(ctx)),
            None => None,
        }
    }

    /// The client proper, if it is made.
    pub fn made(&self) -> Option<&Arc<Client>> {
        self.lease.get().map(Lease::member)
    }

    /// The client proper, made if it is not. Nothing in it can fail: each section was checked when it was said.
    pub fn make(&self, ctx: Ctx<'_>) -> &Arc<Client> {
        self.lease.get_or_init(|| lease(self.settings(ctx))).member()
    }

    fn settings(&self, ctx: Ctx<'_>) -> Settings {
        let said = self.said.lock();
        let mut sections = said.sections.clone();
        sections.privacy = sections.privacy.or_else(|| self.privacy.get().cloned());
        let mut variables = Variables::new(|name| std::env::var_os(name));
        let settings = Settings::new(&said.name, sections, self.is_default, &mut variables, ctx.identity());
        for problem in &variables.problems {
            unusable_variable(&said.name, problem);
        }
        settings
    }

    /// Gives it what `other` has: scope, rules and all.
    pub(super) fn copy_from(&self, other: &VclClient) {
        // As many as the other sets have fit.
        for rule in other.rules.iter() {
            let _ = self.rules.add(rule);
        }
        *self.watch.write() = other.watch().clone();
        for edit in other.edits.iter() {
            let _ = self.edits.add(edit);
        }
    }

    /// What all its events carry, for a record to share.
    pub fn scope(&self) -> Arc<Scope> {
        Arc::clone(&self.read_scope())
    }

    /// The same to look at.
    pub fn read_scope(&self) -> RwLockReadGuard<'_, Arc<Scope>> {
        self.scope.read()
    }

    pub fn change(&self, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) -> Result<(), ScopeFull> {
        set(Arc::make_mut(&mut self.scope.write()))
    }

    /// What it watches for.
    pub fn watch(&self) -> RwLockReadGuard<'_, Watch> {
        self.watch.read()
    }

    pub fn add_watch(&self, rule: &Arc<WatchRule>) -> Result<(), RuleError> {
        self.watch.write().add(rule)
    }

    /// What tells it from other clients for as long as it lives.
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
