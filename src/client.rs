// SPDX-License-Identifier: BSD-2-Clause
//! A client as a VCL has it: by its arguments, with the VCL's own scope.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{RwLock, RwLockReadGuard};
use report::before_send::Edit;
use report::client::Client;
use report::dsn::Dsn;
use report::identity::{Identity, IdentityError};
use report::ignore::{Rule, RuleError, Rules};
use report::privacy::{Privacy, PrivacyArguments};
use report::scope::{Scope, ScopeFull};
use report::settings::{Arguments, DsnSource, Settings, path};
use report::spotlight;
use report::variables::Variables;
use report::watch::{Rule as WatchRule, Watch};
use report::way::{Way, WayArguments};
use shim::Ctx;

use crate::counters::unusable_variable;
use crate::registry::Lease;

/// What a VCL keeps: its default client, and those made by `new`. Written on the CLI thread.
pub struct VclState {
    pub default: Arc<VclClient>,
    /// It was warm once, so its load has come to a good end.
    is_loaded: AtomicBool,
    objects: RwLock<Vec<Arc<VclClient>>>,
}

impl VclState {
    /// The state of a VCL about to be initialised; its events tell of the server they come from.
    pub fn new() -> VclState {
        let mut scope = Scope::default();
        let (name, version) = shim::ctx::server();
        for (key, value) in [("name", name), ("version", version)] {
            // Two short values fit into an empty scope.
            let _ = scope.set_context(b"runtime", key.as_bytes(), value.as_bytes());
        }
        VclState {
            default: Arc::new(VclClient::new(scope)),
            is_loaded: AtomicBool::new(false),
            objects: RwLock::default(),
        }
    }

    /// Adds a client made by `new`; it begins with what is set for all.
    pub fn add(&self, lease: Lease) -> Arc<VclClient> {
        let client = VclClient::new(Scope::clone(&self.default.scope()));
        // As many as the other sets have fit.
        for rule in self.default.rules.iter() {
            let _ = client.rules.add(rule);
        }
        *client.watch.write() = self.default.watch().clone();
        for edit in self.default.edits.iter() {
            let _ = client.edits.add(edit);
        }
        let _ = client.lease.set(lease);
        let client = Arc::new(client);
        self.objects.write().push(Arc::clone(&client));
        client
    }

    /// Changes the scope of all clients that have room; `Err` if one has not.
    pub fn change_all(&self, set: impl Fn(&mut Scope) -> Result<(), ScopeFull>) -> Result<(), ScopeFull> {
        let objects = self.objects.read();
        let objects = objects.iter().map(|client| client.change(&set));
        objects.fold(self.default.change(&set), Result::and)
    }

    /// Adds a rule to all clients that have room; `Err` if one has not.
    pub fn add_to_all(&self, add: impl Fn(&VclClient) -> Result<(), RuleError>) -> Result<(), RuleError> {
        self.clients().iter().map(|client| add(client)).fold(Ok(()), Result::and)
    }

    /// The clients, the default one first.
    pub fn clients(&self) -> Vec<Arc<VclClient>> {
        std::iter::once(&self.default).chain(self.objects.read().iter()).cloned().collect()
    }

    /// The clients proper, the default one first.
    pub fn cores(&self, ctx: Ctx<'_>) -> Vec<Arc<Client>> {
        self.clients().iter().filter_map(|client| client.core(ctx)).cloned().collect()
    }

    /// Takes note of a warm-up; whether it is the first one.
    pub fn first_warm_up(&self) -> bool {
        !self.is_loaded.swap(true, Ordering::Relaxed)
    }
}

/// A client of a VCL.
pub struct VclClient {
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

impl VclClient {
    fn new(scope: Scope) -> VclClient {
        VclClient {
            lease: OnceLock::new(),
            scope: RwLock::new(Arc::new(scope)),
            rules: Rules::default(),
            edits: Rules::default(),
            watch: RwLock::default(),
        }
    }

    /// Gives the default client its settings; `Err` if it has some already, be it by having been used.
    pub fn set(&self, lease: Lease) -> Result<(), ()> {
        self.lease.set(lease).map_err(drop)
    }

    /// The client proper. One that is used before `sentry.init()`, or without it, has no arguments.
    pub fn core(&self, ctx: Ctx<'_>) -> Option<&Arc<Client>> {
        if let Some(lease) = self.lease.get() {
            return Some(lease.client());
        }
        // Never out of range; and if another thread was faster, its lease is of the same client.
        let settings = VclArguments::of_default_client().settings(ctx).ok()?;
        let _ = self.lease.set(Lease::of(settings));
        self.lease.get().map(Lease::client)
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

/// The arguments of init() and client() that are texts; what is unset or empty was not given.
#[derive(Default)]
pub struct VclArguments<'a> {
    pub dsn: &'a str,
    pub dsn_file: &'a str,
    pub environment: &'a str,
    pub release: &'a str,
    pub server_name: &'a str,
    pub spotlight: &'a str,
    /// `None` if it was not given.
    pub sample_rate: Option<f64>,
    pub way: WayArguments<'a>,
    pub privacy: PrivacyArguments<'a>,
    /// Whether this is the default client, which the environment variables are about: where events go and how
    /// many. What the process is called by them holds for every client.
    pub is_default: bool,
    /// The others; what is also above is made from that.
    pub others: Arguments,
}

impl VclArguments<'_> {
    fn of_default_client() -> Self {
        VclArguments { is_default: true, ..VclArguments::default() }
    }

    /// Checks the arguments; the problem reads well after the name of the call. What comes from outside the
    /// VCL (the environment, a file) is never a problem here.
    pub fn settings(self, ctx: Ctx<'_>) -> Result<Settings, String> {
        let mut variables = Variables::new(|name| std::env::var_os(name));
        let dsn_file = path("dsn_file", self.dsn_file).map_err(|error| error.to_string())?;
        let dsn = match (self.dsn, dsn_file) {
            ("", None) if self.is_default => variables.dsn(),
            ("", None) => DsnSource::None,
            (dsn, None) => DsnSource::Text(Dsn::parse(dsn).map_err(|error| error.to_string())?),
            ("", Some(file)) => DsnSource::File(file),
            _ => return Err("dsn and dsn_file are both given, expected one of them".to_owned()),
        };
        let identity = self.identity(ctx, &mut variables).map_err(|error| error.to_string())?;
        let sample_rate = match self.sample_rate {
            Some(given) => given,
            None if self.is_default => variables.sample_rate().unwrap_or(self.others.sample_rate),
            None => self.others.sample_rate,
        };
        let mut spotlight = spotlight::url(self.spotlight).map_err(|error| error.to_string())?;
        // Where nobody has said where to, the variable may, as Sentry's specification has it.
        if self.is_default && matches!(self.spotlight, "" | "true" | "1") {
            spotlight = variables.spotlight().or(spotlight);
        }
        let way = Way::new(&self.way).map_err(|error| error.to_string())?;
        let privacy = Privacy::new(&self.privacy).map_err(|error| error.to_string())?;
        for problem in &variables.problems {
            unusable_variable(&self.others.name, problem);
        }
        let arguments = Arguments { dsn, identity, sample_rate, spotlight, way, privacy, ..self.others };
        Settings::new(arguments).map_err(|error| error.to_string())
    }

    /// Who sends; what is not given comes from the environment, for every client: it is about the process.
    fn identity(&self, ctx: Ctx<'_>, variables: &mut Variables) -> Result<Identity, IdentityError> {
        let mut identity = Identity::default();
        identity = match self.environment {
            "" => variables.environment(identity),
            given => identity.with_environment(given)?,
        };
        identity = match self.release {
            "" => variables.release(identity),
            given => identity.with_release(given)?,
        };
        let server_name = if self.server_name.is_empty() { ctx.identity() } else { self.server_name };
        Ok(identity.with_server_name(server_name.as_bytes()))
    }
}
