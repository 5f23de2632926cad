// SPDX-License-Identifier: BSD-2-Clause
//! The clients of the process, by their settings: a reload with the same settings finds the same client.
//!
//! A VCL holds a [`Lease`]. The last one to end closes the client, which then drains in the background;
//! nobody waits for it but exit(3). One lock, held only to look and to count.

use std::sync::{Arc, LazyLock, Once};
use std::time::{Duration, Instant, SystemTime};

use delivery::client::Draining;
use delivery::clock::Clock;
use delivery::connection::dry_run::DryRun;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::resolver::system_look_up;
use delivery::connection::transport::Connector;
use delivery::connection::way::Way;
use delivery::counters::Ledger;
use delivery::environment::Environment;
use delivery::journal::Journal;
use delivery::shared::Shared;
use delivery::spawn::spawn_thread;
use delivery::spotlight;
use event::summary::summary;
use parking_lot::Mutex;
use settings::sections::Settings;
use shim::Tag;
use shim::counters::segment_name;
use shim::ctx::{at_exit, log};
use shim::guard::enter_bare;

use super::core::Client;
use crate::counters::of_client;

/// exit(3) waits no longer than this whatever the settings say: the manager kills the child after cli_timeout.
const EXIT_DEADLINE: Duration = Duration::from_secs(2);

static CLIENTS: Mutex<Clients> = Mutex::new(Clients { leased: Vec::new(), draining: Vec::new() });
static AT_EXIT: Once = Once::new();
/// What clients have in common, old and new.
static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| Arc::new(Shared::new(Instant::now())));

struct Clients {
    leased: Vec<Leased>,
    /// What is left of closed clients: their senders.
    draining: Vec<Draining>,
}

struct Leased {
    settings: Settings,
    client: Arc<Client>,
    leases: usize,
}

/// A VCL's hold on a client.
pub struct Lease(Arc<Client>);

impl Lease {
    /// The client with these settings, made if there is none.
    pub fn of(settings: Settings) -> Lease {
        AT_EXIT.call_once(|| {
            if !at_exit(drain) {
                log(Tag::Error, "sentry: no room for an exit handler, events may be lost at `varnishadm stop`");
            }
        });
        let mut clients = CLIENTS.lock();
        if let Some(found) = clients.leased.iter_mut().find(|leased| leased.settings == settings) {
            found.leases += 1;
            return Lease(Arc::clone(&found.client));
        }
        let environment = environment(&settings);
        let client = Arc::new(Client::new(settings.clone(), environment));
        clients.leased.push(Leased { settings, client: Arc::clone(&client), leases: 1 });
        Lease(client)
    }

    pub fn client(&self) -> &Arc<Client> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut clients = CLIENTS.lock();
        let Some(at) = clients.leased.iter().position(|leased| Arc::ptr_eq(&leased.client, &self.0)) else { return };
        if let Some(leased) = clients.leased.get_mut(at) {
            leased.leases -= 1;
            if leased.leases > 0 {
                return;
            }
        }
        let last = clients.leased.swap_remove(at);
        clients.draining.retain(|draining| !draining.is_over());
        clients.draining.push(last.client.draining());
        drop(clients);
        last.client.close();
    }
}

/// At exit(3), on the thread that called it: `varnishadm stop`. Workers still run.
extern "C" fn drain() {
    enter_bare("sentry", (), || {
        let deadline = Instant::now() + EXIT_DEADLINE;
        let (leased, draining): (Vec<Arc<Client>>, Vec<Draining>) = {
            let mut clients = CLIENTS.lock();
            let leased = clients.leased.iter().map(|leased| Arc::clone(&leased.client)).collect();
            (leased, std::mem::take(&mut clients.draining))
        };
        // All begin to drain before the first one is waited for.
        leased.iter().for_each(|client| client.close());
        for sender in draining {
            sender.shutdown(deadline);
        }
        for client in leased {
            client.shutdown(deadline);
        }
    });
}

fn environment(settings: &Settings) -> Environment {
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    let http = |connect_timeout, timeout, way| -> Arc<dyn Connector> {
        let (look_up, clock) = (system_look_up(), Arc::clone(&clock));
        Arc::new(HttpConnector::new(HttpOptions { connect_timeout, timeout, way, look_up, clock }))
    };
    let server = &settings.server;
    let connector: Arc<dyn Connector> = if settings.client.debug {
        Arc::new(DryRun::new(Arc::new(Log), &settings.name, summary))
    } else if settings.delivery().works_without_dsn() {
        Arc::new(DryRun::silent())
    } else {
        http(server.connect_timeout, server.timeout, server.way.clone())
    };
    let copies = settings.spotlight.is_some();
    let spotlight = copies.then(|| http(spotlight::TIMEOUT, spotlight::TIMEOUT, Way::default()));
    Environment {
        random: || fastrand::u64(..),
        journal: Arc::new(Log),
        ledger: SHARED.ledger(&segment_name(&settings.name), || Ledger::new(of_client(&settings.name))),
        shared: Arc::clone(&SHARED),
        connector,
        spotlight,
        spawn: spawn_thread,
        clock,
    }
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The log outside of all tasks.
struct Log;

impl Journal for Log {
    fn log(&self, text: &str) {
        log(Tag::Error, text);
    }
}
