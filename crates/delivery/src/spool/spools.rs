// SPDX-License-Identifier: BSD-2-Clause
//! The spools of this process, by folder, host and project: clients that send to one project from one folder share one, old
//! and new ones, so that a reload keeps it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::dsn::Dsn;

use super::age::Start;
use super::client::{SpoolClient, User};
use super::directory;
use super::disk::Open;
use super::handle::{Spool, SpoolHandle};
use super::worker::Place;
use crate::clock::Clock;
use crate::settings::SpoolSettings;
use crate::spawn::Spawn;

/// The names of what is in a root, which tell whose spools there may be. None if it cannot be read: whoever opens a spool there says why.
pub fn folders(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// All of them.
pub struct Spools {
    open: Open,
    /// From the first opening on, clocks are watched.
    start: Mutex<Option<Start>>,
    spools: Mutex<HashMap<(PathBuf, String), Arc<Spool>>>,
    users: AtomicU64,
}

impl Default for Spools {
    fn default() -> Spools {
        Spools::on(Arc::new(directory::open))
    }
}

impl Spools {
    /// Spools on such disks.
    pub fn on(open: Open) -> Spools {
        Spools { open, start: Mutex::default(), spools: Mutex::default(), users: AtomicU64::default() }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn number(&self) -> usize {
        self.spools.lock().len()
    }

    /// Notes what both clocks say: the sooner, the earlier a jump of the wall clock is known.
    pub fn watch(&self, clock: &dyn Clock) -> Start {
        *self.start.lock().get_or_insert_with(|| Start { now: clock.now(), wall: clock.wall() })
    }

    /// Opens the spool of a project for a client, whose settings count from now on. The folder is taken in the background.
    pub fn open(
        &self,
        dsn: &Dsn,
        settings: &SpoolSettings,
        client: SpoolClient,
        clock: Arc<dyn Clock>,
        spawn: Spawn,
    ) -> SpoolHandle {
        let start = self.watch(&*clock);
        let number = self.users.fetch_add(1, Ordering::Relaxed);
        let (root, name): (PathBuf, _) = (settings.folder.components().collect(), dsn.folder_name());
        let mut spools = self.spools.lock();
        spools.retain(|_, spool| Arc::strong_count(spool) > 1 || !spool.is_forgettable());
        let spool = spools.entry((root, name)).or_insert_with_key(|(root, name)| {
            let (root, name, open) = (root.clone(), name.clone(), self.open.clone());
            Arc::new(Spool::new(Place { root, name, open, start }))
        });
        let spool = spool.clone();
        drop(spools);
        SpoolHandle::new(spool, User { number, client, settings: settings.clone(), clock }, spawn)
    }
}

impl fmt::Debug for Spools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spools").finish_non_exhaustive()
    }
}
