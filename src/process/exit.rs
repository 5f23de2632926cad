// SPDX-License-Identifier: BSD-2-Clause
//! The end of the process: clients send what they have left. exit(3) is the only one that waits for them.
//!
//! One lock, held only to look and to add.

use std::sync::{Arc, Once, Weak};
use std::time::{Duration, Instant};

use delivery::client::{Client, Draining};
use parking_lot::Mutex;
use shim::Tag;
use shim::ctx::{at_exit, log};
use shim::guard::enter_bare;

/// exit(3) waits no longer than this whatever the settings say: the manager kills the child after cli_timeout.
const DEADLINE: Duration = Duration::from_secs(2);

static WATCHED: Mutex<Watched> = Mutex::new(Watched { clients: Vec::new(), draining: Vec::new() });
static AT_EXIT: Once = Once::new();

struct Watched {
    clients: Vec<Weak<Client>>,
    /// What is left of those that were closed: their senders.
    draining: Vec<Draining>,
}

/// Has a client drain at the end of the process, or what is left of it by then.
pub fn watch(client: &Arc<Client>) {
    AT_EXIT.call_once(|| {
        if !at_exit(drain) {
            log(Tag::Error, "sentry: no room for an exit handler, events may be lost at `varnishadm stop`");
        }
    });
    let mut watched = WATCHED.lock();
    watched.clients.retain(|known| known.strong_count() > 0);
    watched.draining.retain(|draining| !draining.is_over());
    watched.clients.push(Arc::downgrade(client));
    watched.draining.push(client.draining());
}

/// At exit(3), on the thread that called it: `varnishadm stop`. Workers still run.
extern "C" fn drain() {
    enter_bare("sentry", (), || {
        let deadline = Instant::now() + DEADLINE;
        let (clients, draining): (Vec<Weak<Client>>, Vec<Draining>) = {
            let mut watched = WATCHED.lock();
            (watched.clients.clone(), std::mem::take(&mut watched.draining))
        };
        let clients: Vec<Arc<Client>> = clients.iter().filter_map(Weak::upgrade).collect();
        // All begin to drain before the first one is waited for.
        clients.iter().for_each(|client| client.close());
        for client in &clients {
            client.shutdown(deadline);
        }
        for sender in draining {
            sender.shutdown(deadline);
        }
    });
}
