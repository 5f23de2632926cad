// SPDX-License-Identifier: BSD-2-Clause
//! Where a courier packs what it posts next: as a rule when it posts it, but while many events wait, already
//! in the time in which it would only wait for the answer to the one before.
//!
//! The desk's lock is never held during a request; those of the queue, the spool and `pace` may be taken under it.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::dsn::Dsn;
use crate::limits::Category;
use crate::outbox::Outbox;
use crate::packer::{Packer, Parcel};
use crate::queue::Entry;
use crate::spool::Letter;

/// A body that was packed longer ago is packed again: it says when it was sent, by which Sentry tells how wrong
/// this machine's clock is.
const FRESH: Duration = Duration::from_secs(1);

/// An event's body that was packed ahead.
pub struct Prepared {
    parcel: Parcel,
    at: SystemTime,
    /// Attachments are in it.
    files: bool,
}

/// An event that was taken ahead; without its body if that could not be packed.
struct Held {
    entry: Entry,
    prepared: Option<Prepared>,
}

/// What is to be packed now.
#[derive(Clone, Copy)]
pub enum Load<'a> {
    Event(&'a Entry),
    Letter(&'a Letter),
    /// Nothing but the report.
    Report,
}

struct Tools {
    packer: Packer,
    dsn: Option<Arc<Dsn>>,
    held: Option<Held>,
    /// Room for the next body.
    spare: Parcel,
}

/// The desk of one courier.
pub struct Desk {
    outbox: Arc<Outbox>,
    tools: Mutex<Tools>,
}

impl Desk {
    pub fn new(outbox: Arc<Outbox>) -> Desk {
        let tools = Tools { packer: Packer::new(&outbox.settings), dsn: None, held: None, spare: Parcel::default() };
        Desk { tools: Mutex::new(tools), outbox }
    }

    /// Packs for that server from now on.
    pub fn aim(&self, dsn: Option<Arc<Dsn>>) {
        self.tools.lock().dsn = dsn;
    }

    /// Packs `load` with `report`, as what is sent at `wall`. What was `prepared` of it is taken if it still holds.
    pub fn pack(&self, load: Load<'_>, report: Option<&[u8]>, prepared: Option<Prepared>, wall: SystemTime) -> Parcel {
        let files = self.takes_files();
        if let Some(prepared) = prepared {
            let age = wall.duration_since(prepared.at);
            if report.is_none() && prepared.files == files && age.is_ok_and(|age| age < FRESH) {
                return prepared.parcel;
            }
            self.give_back(prepared.parcel);
        }
        let tools = &mut *self.tools.lock();
        let mut parcel = mem::take(&mut tools.spare);
        let dsn = tools.dsn.as_deref();
        match load {
            Load::Event(entry) => tools.packer.pack(Some(&entry.record), report, dsn, wall, files, &mut parcel),
            Load::Letter(letter) => tools.packer.pack_json(letter.id, &letter.json, report, wall, &mut parcel),
            Load::Report => tools.packer.pack(None, report, dsn, wall, files, &mut parcel),
        }
        parcel
    }

    /// Keeps the room that a body had, for another one.
    pub fn give_back(&self, parcel: Parcel) {
        self.tools.lock().spare = parcel;
    }

    /// Hands the JSON of the event to `keep`; `None` if it cannot be put into words.
    pub fn event<T>(&self, entry: &Entry, keep: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.tools.lock().packer.event(&entry.record).map(keep)
    }

    /// Takes the next event of a long queue and packs it, unless the server fails: then there is nothing to hurry for.
    pub fn prepare(&self) {
        let outbox = &self.outbox;
        if outbox.pace().backoff.is_failing() {
            return;
        }
        let tools = &mut *self.tools.lock();
        if tools.held.is_some() {
            return;
        }
        let Some(entry) = outbox.queue.take_ahead() else { return };
        let packed = panic::catch_unwind(AssertUnwindSafe(|| {
            let (files, at) = (self.takes_files(), outbox.clock.wall());
            let mut parcel = mem::take(&mut tools.spare);
            tools.packer.pack(Some(&entry.record), None, tools.dsn.as_deref(), at, files, &mut parcel);
            Prepared { parcel, at, files }
        }));
        if packed.is_err() {
            // It will panic again when its turn comes, and is counted then.
            tools.packer = Packer::new(&outbox.settings);
        }
        let prepared = packed.ok();
        tools.held = Some(Held { entry, prepared });
    }

    /// The event that was taken ahead, to be handed to [`Queue::resume`](crate::queue::Queue::resume).
    pub fn take_held(&self) -> Option<(Entry, Option<Prepared>)> {
        self.tools.lock().held.take().map(|held| (held.entry, held.prepared))
    }

    /// Whether an event was taken ahead.
    pub fn holds(&self) -> bool {
        self.tools.lock().held.is_some()
    }

    /// Begins anew after a panic.
    pub fn tidy(&self) {
        self.tools.lock().packer = Packer::new(&self.outbox.settings);
    }

    /// Whether the server takes attachments.
    fn takes_files(&self) -> bool {
        let now = self.outbox.clock.now();
        self.outbox.pace().limits.until(Category::Attachment, now).is_none()
    }
}
