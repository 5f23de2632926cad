// SPDX-License-Identifier: BSD-2-Clause
//! The world as clients have it: real clocks, real threads, the server's log, HTTP.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use delivery::clock::Clock;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::resolver::system_look_up;
use delivery::connection::transport::Connector;
use delivery::connection::way::Way;
use delivery::counters::{Cells, Ledger};
use delivery::environment::Environment;
use delivery::journal::Journal;
use delivery::shared::Shared;
use delivery::spawn::spawn_thread;
use shim::Tag;
use shim::counters::segment_name;
use shim::ctx::log;

/// What clients have in common, old and new.
pub static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| Arc::new(Shared::new(Instant::now())));

/// What a client of that name is made in, with no copies for Spotlight, and no directory. The numbers of its name are kept in `cells`, too, if they are new.
pub fn environment(
    name: &str,
    connector: Arc<dyn Connector>,
    cells: impl FnOnce() -> Option<Arc<dyn Cells>>,
) -> Environment {
    Environment {
        random: || fastrand::u64(..),
        journal: Arc::new(Log),
        ledger: SHARED.ledger(&segment_name(name), || Ledger::new(cells())),
        shared: Arc::clone(&SHARED),
        directory: None,
        connector,
        spotlight: None,
        spawn: spawn_thread,
        clock: clock(),
    }
}

/// What posts over HTTP.
pub fn http(connect_timeout: Duration, timeout: Duration, way: Way) -> Arc<dyn Connector> {
    let (look_up, clock) = (system_look_up(), clock());
    Arc::new(HttpConnector::new(HttpOptions { connect_timeout, timeout, way, look_up, clock }))
}

/// The system's clocks.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(RealClock)
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
pub struct Log;

impl Journal for Log {
    fn log(&self, text: &str) {
        log(Tag::Error, text);
    }
}
