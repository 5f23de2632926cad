// SPDX-License-Identifier: BSD-2-Clause
//! How a client's envelopes are posted, and copies of them, by its settings.

use std::sync::Arc;

use delivery::clock::Clock;
use delivery::connection::dry_run::DryRun;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::resolver::system_look_up;
use delivery::connection::transport::Connector;
use delivery::connection::way::Way;
use delivery::spotlight;
use settings::sections::Settings;

/// Both connectors of a client, for its [`Environment`](delivery::environment::Environment).
pub struct Connectors {
    pub connector: Arc<dyn Connector>,
    /// For copies, if there are to be some.
    pub spotlight: Option<Arc<dyn Connector>>,
}

impl Connectors {
    /// Those of a client with these settings; in a dry run it is `dry_run` that takes what would be sent.
    pub fn new(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        dry_run: impl FnOnce() -> Arc<dyn Connector>,
    ) -> Connectors {
        let http = |connect_timeout, timeout, way| -> Arc<dyn Connector> {
            let (look_up, clock) = (system_look_up(), Arc::clone(clock));
            Arc::new(HttpConnector::new(HttpOptions { connect_timeout, timeout, way, look_up, clock }))
        };
        let server = &settings.server;
        let connector = if settings.client.debug {
            dry_run()
        } else if settings.delivery().works_without_dsn() {
            Arc::new(DryRun::silent())
        } else {
            http(server.connect_timeout, server.timeout, server.way.clone())
        };
        let copies = settings.spotlight.is_some();
        let spotlight = copies.then(|| http(spotlight::TIMEOUT, spotlight::TIMEOUT, Way::default()));
        Connectors { connector, spotlight }
    }
}
