// SPDX-License-Identifier: BSD-2-Clause
//! What a client needs of the world: time, chance, threads, the network, and places to write to.

use std::sync::Arc;

use crate::clock::Clock;
use crate::connection::transport::Connector;
use crate::counters::Ledger;
use crate::directory::Directory;
use crate::journal::Journal;
use crate::shared::Shared;
use crate::spawn::Spawn;

/// Handed in by the glue when a client is made.
pub struct Environment {
    pub clock: Arc<dyn Clock>,
    pub random: fn() -> u64,
    pub journal: Arc<dyn Journal>,
    /// The numbers of the client's name.
    pub ledger: Arc<Ledger>,
    /// What clients of this process have in common.
    pub shared: Arc<Shared>,
    /// The DSNs that entries may name, of a client whose entries do.
    pub directory: Option<Box<dyn Directory>>,
    pub connector: Arc<dyn Connector>,
    /// What copies for Spotlight are posted with, if there are to be some.
    pub spotlight: Option<Arc<dyn Connector>>,
    pub spawn: Spawn,
}
