// SPDX-License-Identifier: BSD-2-Clause
//! What a client needs of the world: time, chance, threads, the network, and places to write to.

use std::io;
use std::sync::Arc;
use std::thread;

use crate::clock::Clock;
use crate::journal::Journal;
use crate::stats::Cells;
use crate::transport::Transport;

/// Starts a thread of that name (at most 15 bytes) that does the work; returns once it runs.
pub type Spawn = fn(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// Handed in by the glue when a client is made.
pub struct Environment {
    pub clock: Arc<dyn Clock>,
    pub random: fn() -> u64,
    pub journal: Arc<dyn Journal>,
    /// Where the numbers go; `None` keeps them in the client.
    pub cells: Option<Arc<dyn Cells>>,
    pub transport: Arc<dyn Transport>,
    /// What copies for Spotlight are posted with, if there are to be some.
    pub spotlight: Option<Arc<dyn Transport>>,
    pub spawn: Spawn,
}

/// The [`Spawn`] of real threads.
pub fn spawn_thread(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
