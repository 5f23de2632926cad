// SPDX-License-Identifier: BSD-2-Clause
//! The clients of the workers, by their settings: a reload with the same settings finds the same client, with its queue and connections.
//!
//! One that no worker has any more is closed, and drains in the background; at the end all are waited for.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use client::{Client, Connectors};
use delivery::client::Draining;
use delivery::clock::Clock;
use delivery::connection::dry_run::DryRun;
use delivery::counters::Ledger;
use delivery::environment::Environment;
use delivery::journal::Journal;
use delivery::shared::Shared;
use delivery::spawn::spawn_thread;
use settings::sections::Settings;

use super::journal::Notices;

/// By how much a client's time at the end may be exceeded by what it takes to end threads.
const MARGIN: Duration = Duration::from_secs(1);

/// Makes clients, and keeps those that are in use.
pub struct Clients {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    /// Where a dry run writes its events.
    output: Arc<dyn Journal>,
    current: Vec<(Settings, Arc<Client>)>,
    draining: Vec<Draining>,
}

impl Clients {
    pub fn new(output: Arc<dyn Journal>) -> Clients {
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let shared = Arc::new(Shared::new(clock.now()));
        Clients { shared, clock, output, current: Vec::new(), draining: Vec::new() }
    }

    /// The clients with these settings, in their order; those with others are closed.
    pub fn take_over<'s>(&mut self, wanted: impl Iterator<Item = &'s Settings>) -> Vec<Arc<Client>> {
        let mut kept = Vec::new();
        for settings in wanted {
            let known = self.current.iter().position(|(known, _)| known == settings);
            let client = match known {
                Some(at) => self.current.swap_remove(at).1,
                None => Arc::new(Client::new(settings.clone(), self.environment(settings))),
            };
            kept.push((settings.clone(), client));
        }
        self.draining.retain(|draining| !draining.is_over());
        for (_, gone) in std::mem::replace(&mut self.current, kept) {
            self.draining.push(gone.delivery().draining());
            gone.delivery().close();
        }
        self.current.iter().map(|(_, client)| Arc::clone(client)).collect()
    }

    /// Sends what waits, within the clients' own time, and ends them; `true` if nothing was lost.
    pub fn shutdown(self) -> bool {
        let patience =
            self.current.iter().map(|(settings, _)| settings.server.shutdown_timeout).max().unwrap_or_default();
        let deadline = self.clock.now() + patience + MARGIN;
        // All begin to drain before the first one is waited for.
        self.current.iter().for_each(|(_, client)| client.delivery().close());
        let mut is_whole = true;
        for draining in self.draining {
            is_whole &= draining.shutdown(deadline);
        }
        for (_, client) in self.current {
            is_whole &= client.delivery().shutdown(deadline);
        }
        is_whole
    }

    fn environment(&self, settings: &Settings) -> Environment {
        let dry_run = || Arc::new(DryRun::lines(Arc::clone(&self.output), &settings.name)) as _;
        let Connectors { connector, spotlight } = Connectors::new(settings, &self.clock, dry_run);
        Environment {
            random: || fastrand::u64(..),
            journal: Arc::new(Notices),
            ledger: self.shared.ledger(&settings.name, || Ledger::new(None)),
            shared: Arc::clone(&self.shared),
            connector,
            spotlight,
            directory: None,
            spawn: spawn_thread,
            clock: Arc::clone(&self.clock),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::journal::Output;

    #[test]
    fn a_reload_keeps_the_clients_whose_settings_stay_and_closes_the_others() {
        let of = |name: &str, throttle| {
            let client = settings::client::ClientSettings { throttle, debug: true, ..Default::default() };
            Settings { name: name.to_owned(), client, ..Settings::default() }
        };
        let mut clients = Clients::new(Arc::new(Output::default()));
        let first = clients.take_over([of("a", 1), of("b", 1)].iter());
        let second = clients.take_over([of("b", 1), of("a", 2)].iter());
        assert!(Arc::ptr_eq(&first[1], &second[0]));
        assert!(!Arc::ptr_eq(&first[0], &second[1]));
        assert!(!first[0].is_enabled() && second.iter().all(|client| client.is_enabled()));
        assert!(clients.shutdown());
        assert!(!second[0].is_enabled());
    }
}
