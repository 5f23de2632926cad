// SPDX-License-Identifier: BSD-2-Clause
//! Events on disk: those that a server which does not answer has to wait for.
//!
//! Only the couriers' threads are in here, one at a time. The spool never fails anything: while its folder
//! cannot be used the client goes on without, says so, and tries again.

pub(crate) mod folder;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use event::lifecycle::owner::owner;
use folder::{Folder, Key, Unusable};

use crate::client_report::Reason;
use crate::dsn::Dsn;
use crate::event_id::EventId;
use crate::journal::Topic;
use crate::outbox::Outbox;
use crate::stats::Counter;

/// Between two tries to use a folder that could not be used, or to write to one.
const PAUSE: Duration = Duration::from_secs(10);
/// Between two events from the spool, while none is in the queue and while some are.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);
const BUSY_INTERVAL: Duration = Duration::from_secs(1);
/// How often a server that takes other events may fail on this one.
const MAX_TRIES: u32 = 10;

/// What [`crate::client::Client::status`] says of the spool.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// The folder is ours, and the last event went into it.
    pub is_usable: bool,
    pub last_error: Option<String>,
}

/// An event out of the spool, on its way.
pub struct Letter {
    pub id: EventId,
    pub json: Vec<u8>,
    key: Key,
}

/// What became of a [`Letter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent,
    Dropped(Reason),
    /// Not taken. `counts` if the server took others right before: then the event may be the cause; having
    /// failed too often, it is dropped for `reason`.
    Kept {
        counts: bool,
        reason: Reason,
    },
}

/// The spool of one client.
pub struct Spool {
    outbox: Arc<Outbox>,
    folder: Option<Folder>,
    open_at: Instant,
    write_at: Instant,
    sent_at: Option<Instant>,
    /// The event that is on its way. Others may come in meanwhile, and none of them takes its place.
    taken: Option<Key>,
    /// What the gauges say.
    shown: (u64, u64),
}

impl Spool {
    /// `None` if the settings name no folder. Nothing is opened yet.
    pub fn new(outbox: &Arc<Outbox>) -> Option<Spool> {
        outbox.settings.spool.folder.as_ref()?;
        let now = outbox.clock.now();
        Some(Spool {
            outbox: outbox.clone(),
            folder: None,
            open_at: now,
            write_at: now,
            sent_at: None,
            taken: None,
            shown: (0, 0),
        })
    }

    /// Whether an event may be put in at `now`; takes hold of the folder if it is time to try.
    pub fn is_usable(&mut self, dsn: &Dsn, now: Instant) -> bool {
        if self.folder.is_none() && now >= self.open_at {
            self.open(dsn, now);
        }
        self.folder.is_some() && now >= self.write_at
    }

    fn open(&mut self, dsn: &Dsn, now: Instant) {
        let outbox = self.outbox.clone();
        let Some(root) = &outbox.settings.spool.folder else { return };
        let name = dsn.folder_name();
        match Folder::open(root, &name) {
            Ok(folder) => {
                let (events, foreign) = (folder.load().0, folder.foreign());
                outbox.note(Topic::SpoolReady, now, format_args!("spool {}/{name}: {events} events", root.display()));
                self.folder = Some(folder);
                outbox.pace().spool.is_usable = true;
                if foreign > 0 {
                    self.complain(Topic::SpoolDamaged, now, &format!("{foreign} foreign files, left alone"));
                }
                self.trim(now, outbox.clock.wall());
            }
            Err(refused) => {
                self.open_at = now + PAUSE;
                let problem = match refused {
                    Unusable::Taken => {
                        format!("{name} is in use by another client or varnishd, going on without; give each its own")
                    }
                    Unusable::Io(error) => {
                        let owner = owner();
                        format!("{error}, going on without; expected a folder owned by {owner}, mode 0700")
                    }
                };
                outbox.pace().spool.is_usable = false;
                self.complain(Topic::SpoolUnusable, now, &problem);
            }
        }
    }

    /// Puts an event in; `false` if the disk did not take it.
    pub fn keep(&mut self, at: SystemTime, id: EventId, json: &[u8], now: Instant) -> bool {
        let Some(folder) = &mut self.folder else { return false };
        let written = folder.write(Key::new(at, id), json);
        match &written {
            Ok(()) => {
                self.outbox.stats.add(Counter::Spooled, 1);
                self.outbox.pace().spool.is_usable = true;
                self.trim(now, self.outbox.clock.wall());
            }
            Err(error) => {
                self.write_at = now + PAUSE;
                if error.kind() == io::ErrorKind::NotFound {
                    // The folder has gone. What was in it has, too.
                    let lost = self.folder.take().map_or(0, |folder| folder.load().0);
                    self.open_at = self.write_at;
                    self.lose(lost as u64);
                }
                self.outbox.pace().spool.is_usable = false;
                self.complain(Topic::SpoolUnusable, now, &format!("{error}, going on without"));
                self.show();
            }
        }
        written.is_ok()
    }

    /// When the next event may be taken; `None` if there is none. `is_quiet`: none waits in the queue.
    pub fn due(&self, is_quiet: bool) -> Option<Instant> {
        self.folder.as_ref()?.next()?;
        let pause = if is_quiet { IDLE_INTERVAL } else { BUSY_INTERVAL };
        Some(self.sent_at.map_or(self.open_at, |sent_at| sent_at + pause))
    }

    /// When to look at a folder again that cannot be used now.
    pub fn alarm(&self, now: Instant) -> Option<Instant> {
        let at = if self.folder.is_none() { self.open_at } else { self.write_at };
        (at > now).then_some(at)
    }

    /// The oldest event, to be settled. Files that are not what was written are dropped on the way.
    pub fn take(&mut self, now: Instant) -> Option<Letter> {
        self.sent_at = Some(now);
        self.trim(now, self.outbox.clock.wall());
        loop {
            let folder = self.folder.as_mut()?;
            let key = folder.next()?;
            let problem = match folder.read(key) {
                Ok(Some(json)) => {
                    self.taken = Some(key);
                    return Some(Letter { id: key.id(), json, key });
                }
                Ok(None) => "is damaged, removed".to_owned(),
                Err(error) => error.to_string(),
            };
            let _ = folder.remove(key);
            self.lose(1);
            self.complain(Topic::SpoolDamaged, now, &format!("the file of event {} {problem}", key.id()));
            self.show();
        }
    }

    pub fn settle(&mut self, letter: &Letter, fate: Fate, now: Instant) {
        self.taken = None;
        let Some(folder) = &mut self.folder else { return };
        let dropped = match fate {
            Fate::Sent => None,
            Fate::Dropped(reason) => Some(reason),
            Fate::Kept { counts, reason } => {
                if !counts || folder.fail(letter.key) < MAX_TRIES {
                    return;
                }
                Some(reason)
            }
        };
        let removed = folder.remove(letter.key);
        match dropped {
            None => {
                self.outbox.stats.add(Counter::Sent, 1);
                self.outbox.stats.add(Counter::SpoolSent, 1);
            }
            Some(reason) => {
                self.outbox.stats.add(Counter::SpoolDropped, 1);
                self.outbox.lose(reason, 1);
            }
        }
        if let Err(error) = removed {
            self.complain(Topic::SpoolDamaged, now, &format!("a file that was sent cannot be removed: {error}"));
        }
        self.show();
    }

    fn trim(&mut self, now: Instant, wall: SystemTime) {
        let settings = &self.outbox.settings;
        let Some(folder) = &mut self.folder else { return };
        let lost = folder.trim(settings.spool.bytes, settings.spool.age, wall, self.taken);
        if lost > 0 {
            self.lose(lost);
            self.outbox.note(Topic::SpoolFull, now, format_args!("spool full or too old, dropped the oldest event"));
        }
        self.show();
    }

    fn lose(&self, quantity: u64) {
        self.outbox.stats.add(Counter::SpoolDropped, quantity);
        self.outbox.lose(Reason::CacheOverflow, quantity);
    }

    /// Counts and logs a problem, and keeps it for the status.
    fn complain(&self, topic: Topic, now: Instant, problem: &str) {
        let outbox = &self.outbox;
        let Some(root) = &outbox.settings.spool.folder else { return };
        let text = format!("spool {}: {problem}", root.display());
        outbox.stats.add(Counter::SpoolFailures, 1);
        outbox.note(topic, now, format_args!("{text}"));
        outbox.pace().spool.last_error = Some(text);
    }

    /// Brings the gauges up to date.
    fn show(&mut self) {
        let (events, bytes) = self.folder.as_ref().map_or((0, 0), Folder::load);
        let stats = &self.outbox.stats;
        let load = (events as u64, bytes);
        for (gauge, before, after) in
            [(Counter::SpoolEvents, self.shown.0, load.0), (Counter::SpoolBytes, self.shown.1, load.1)]
        {
            if after >= before { stats.add(gauge, after - before) } else { stats.sub(gauge, before - after) }
        }
        self.shown = load;
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.folder = None;
        self.show();
        self.outbox.pace().spool.is_usable = false;
    }
}
