// SPDX-License-Identifier: BSD-2-Clause
//! A client of a spool, for tests that need a process of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, unbounded};
use delivery::clock::Clock;
use delivery::counters::Ledger;
use delivery::epoch::Epoch;
use delivery::journal::{Journal, Notices};
use delivery::settings::SpoolSettings;
use delivery::spawn::spawn_thread;
use delivery::spool::client::SpoolClient;
use delivery::spool::handle::SpoolHandle;
use delivery::spool::operation::{Fate, Reply};
use delivery::spool::spools::Spools;
use delivery::spool::written::Written;
use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part};
use protocol::event_id::EventId;

/// The time in which it has to come, on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// A client's sender.
pub struct Peer {
    pub handle: SpoolHandle,
    replies: Receiver<Reply>,
    ledger: Arc<Ledger>,
}

struct Real;

impl Clock for Real {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

struct Silent;

impl Journal for Silent {
    fn log(&self, _: &str) {}
}

/// Makes a folder that a spool takes.
pub fn make_folder(path: &Path) -> SpoolSettings {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    SpoolSettings { folder: path.to_owned(), bytes: 1 << 26, age: Duration::from_secs(604_800) }
}

pub fn open(spools: &Spools, settings: &SpoolSettings, ledger: &Arc<Ledger>) -> Peer {
    let (said, replies) = unbounded();
    let client = SpoolClient {
        ledger: ledger.clone(),
        report: None,
        notices: Arc::new(Notices::new(Arc::new(Silent), "cli".to_owned(), Epoch::new(Instant::now()))),
        replies: Box::new(move |reply| said.send(reply).unwrap_or_default()),
    };
    let dsn = Dsn::parse("https://k@h/1").unwrap();
    let handle = spools.open(&dsn, settings, client, Arc::new(Real), spawn_thread);
    Peer { handle, replies, ledger: ledger.clone() }
}

impl Peer {
    fn reply(&self) -> Reply {
        loop {
            match self.replies.recv_timeout(LONG).expect("a reply") {
                Reply::Changed => {}
                reply => return reply,
            }
        }
    }

    /// Waits until the spool can be used, and drained.
    pub fn wait(&self) {
        while !self.handle.condition().usable || self.handle.condition().ready < self.handle.condition().entries {
            self.replies.recv_timeout(LONG).expect("the spool has changed");
        }
    }

    /// Puts the n-th entry in, with as many bytes.
    pub fn keep(&self, n: u64, bytes: usize) -> bool {
        let parts = vec![(Part::new(Category::Error, 1), vec![b'x'; bytes])];
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        let (at, id, ledger) = (SystemTime::now(), EventId::from_random(id), self.ledger.clone());
        let (author, headers) = Default::default();
        self.handle.keep(n, Written { at, id, author, headers, members: Vec::new(), parts, ledger });
        matches!(self.reply(), Reply::Kept { kept: true, .. })
    }

    /// Sends what is in it; the numbers.
    pub fn drain(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        loop {
            self.handle.take();
            let Reply::Taken(Some(entry)) = self.reply() else { return numbers };
            let digits = entry.id().to_string();
            numbers.push(u64::from_str_radix(&digits[17..], 16).unwrap());
            self.handle.settle(entry.lease(), Fate::Sent);
        }
    }
}
