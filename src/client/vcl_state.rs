// SPDX-License-Identifier: BSD-2-Clause
//! What a VCL keeps: its default client, and clients and tunnels made by `new`. Written on the CLI thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::Client;
use event::capture::scope::{Scope, ScopeFull};
use event::rules::ignore::RuleError;
use parking_lot::RwLock;
use settings::client::ClientSection;
use settings::privacy::PrivacySettings;
use settings::tunnel::TunnelSection;
use shim::Ctx;

use super::vcl_client::{Refusal, SharedPrivacy, VclClient};
use crate::tunnel::{Tunnel, VclTunnel};

pub struct VclState {
    pub default: Arc<VclClient>,
    /// It was warm once, so its load has come to a good end.
    is_loaded: AtomicBool,
    /// What holds for each client that says nothing of privacy itself.
    privacy: SharedPrivacy,
    objects: RwLock<Vec<Arc<VclClient>>>,
    tunnels: RwLock<Vec<Arc<VclTunnel>>>,
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
        let privacy = SharedPrivacy::default();
        VclState {
            default: Arc::new(VclClient::new("default", true, Arc::clone(&privacy), scope)),
            is_loaded: AtomicBool::new(false),
            privacy,
            objects: RwLock::default(),
            tunnels: RwLock::default(),
        }
    }

    /// Adds a client made by `new`; it begins with what is set for all.
    pub fn add(&self, name: &str, section: ClientSection) -> Arc<VclClient> {
        let client = VclClient::new(name, false, Arc::clone(&self.privacy), Scope::clone(&self.default.scope()));
        client.copy_from(&self.default);
        // It is new, so there is neither a section nor a client yet.
        let _ = client.say(section, |sections| &mut sections.client);
        let client = Arc::new(client);
        self.objects.write().push(Arc::clone(&client));
        client
    }

    /// Adds a tunnel made by `new`.
    pub fn add_tunnel(&self, name: &str, section: TunnelSection) -> Arc<VclTunnel> {
        let tunnel = Arc::new(VclTunnel::new(name, section));
        self.tunnels.write().push(Arc::clone(&tunnel));
        tunnel
    }

    /// The tunnels proper, as far as they are made.
    pub fn tunnels(&self) -> Vec<Arc<Tunnel>> {
        self.tunnels.read().iter().filter_map(|tunnel| tunnel.made()).cloned().collect()
    }

    /// Takes what is said of privacy for all clients, made or not: once, and before one is made that would have it.
    pub fn say_privacy(&self, privacy: PrivacySettings) -> Result<(), Refusal> {
        if let Some(client) = self.clients().iter().find(|client| client.has_used_shared_privacy()) {
            return Err(Refusal::Late(client.name()));
        }
        self.privacy.set(privacy).map_err(|_| Refusal::Twice(None))
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

    /// The clients proper, as far as they are made, the default one first.
    pub fn cores(&self) -> Vec<Arc<Client>> {
        self.clients().iter().filter_map(|client| client.made()).cloned().collect()
    }

    /// Makes the clients and tunnels that are not yet: the VCL is warm.
    pub fn make_all(&self, ctx: Ctx<'_>) {
        for client in self.clients() {
            client.make(ctx);
        }
        for tunnel in self.tunnels.read().iter() {
            tunnel.make();
        }
    }

    /// Takes note of a warm-up; whether it is the first one.
    pub fn first_warm_up(&self) -> bool {
        !self.is_loaded.swap(true, Ordering::Relaxed)
    }

    /// Whether it was warm once.
    pub fn was_warm(&self) -> bool {
        self.is_loaded.load(Ordering::Relaxed)
    }
}
