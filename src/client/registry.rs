// SPDX-License-Identifier: BSD-2-Clause
//! The clients of the process, by their settings.

use std::sync::Arc;

use delivery::client::Client as Delivery;
use delivery::connection::dry_run::DryRun;
use delivery::connection::transport::Connector;
use delivery::connection::way::Way;
use delivery::environment::Environment;
use delivery::spotlight;
use event::summary::summary;
use settings::sections::Settings;

use super::core::Client;
use crate::counters::of_client;
use crate::process::{Lease as LeaseOf, Log, Member, Registry, environment, http};

static CLIENTS: Registry<Settings, Client> = Registry::new();

/// A VCL's hold on a client.
pub type Lease = LeaseOf<Settings, Client>;

impl Member for Client {
    fn delivery(&self) -> &Arc<Delivery> {
        Client::delivery(self)
    }
}

/// The client with these settings, made if there is none.
pub fn lease(settings: Settings) -> Lease {
    CLIENTS.lease(settings, |settings| Client::new(settings.clone(), world(settings)))
}

fn world(settings: &Settings) -> Environment {
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
    Environment { spotlight, ..environment(&settings.name, connector, || of_client(&settings.name)) }
}
