// SPDX-License-Identifier: BSD-2-Clause
//! The clients of the process, by their settings.

use std::sync::Arc;

use client::{Client, Connectors};
use delivery::client::Client as Delivery;
use delivery::connection::dry_run::DryRun;
use delivery::environment::Environment;
use event::summary::summary;
use settings::sections::Settings;

use crate::counters::of_client;
use crate::process::{Lease as LeaseOf, Log, Member, Registry, clock, environment};

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
    let dry_run = || Arc::new(DryRun::new(Arc::new(Log), &settings.name, summary)) as _;
    let Connectors { connector, spotlight } = Connectors::new(settings, &clock(), dry_run);
    Environment { spotlight, ..environment(&settings.name, connector, || of_client(&settings.name)) }
}
