// SPDX-License-Identifier: BSD-2-Clause
//! Spools on real folders, with clients whose replies are read, clocks that are set, and disks that fail when they are told to.

mod accounting;
mod bounds;
mod disk_errors;
mod draining;
mod foreign;
mod safety;
mod sharing;
mod threads;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, unbounded};
use parking_lot::{Condvar, Mutex};
use protocol::category::{Categories, Category};
use protocol::client_report::ClientReport;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part, Scratch};
use protocol::envelope::{Author, Envelope};
use protocol::event_id::EventId;
use protocol::request_headers::RequestHeaders;

use super::client::SpoolClient;
use super::condition::Condition;
use super::directory;
use super::disk::{Disk, Listed};
use super::entry::SpooledEntry;
use super::handle::SpoolHandle;
use super::operation::{Fate, Reply};
use super::spools::Spools;
use super::written::Written;
use crate::clock::Clock;
use crate::counters::{Ledger, Tally};
use crate::epoch::Epoch;
use crate::journal::Notices;
use crate::journal::tests::Lines;
use crate::settings::SpoolSettings;
use crate::spawn::{Spawn, spawn_thread};

/// For what has to come on a busy machine.
const LONG: Duration = Duration::from_secs(60);
const PROJECT: &str = "https://k@h/1";

/// A folder for one test, gone after it.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("spool-unit-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o700);
        Root(path)
    }

    /// The project's folder.
    fn folder(&self) -> PathBuf {
        self.0.join("h,1")
    }

    /// Names of what is in it, but for the lock, in their order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A clock that stands still until it is set.
struct StillClock(Mutex<(Instant, SystemTime)>);

impl StillClock {
    fn new() -> Arc<StillClock> {
        Arc::new(StillClock(Mutex::new((Instant::now(), at(1_000_000)))))
    }

    fn pass(&self, time: Duration) {
        let mut hands = self.0.lock();
        hands.0 += time;
        hands.1 += time;
    }

    fn jump(&self, time: Duration) {
        self.0.lock().1 += time;
    }
}

impl Clock for StillClock {
    fn now(&self) -> Instant {
        self.0.lock().0
    }
    fn wall(&self) -> SystemTime {
        self.0.lock().1
    }
}

/// The real one.
struct Real;

impl Clock for Real {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// What a disk does instead of its work.
#[derive(Default)]
struct Faults {
    list: Option<i32>,
    read: Option<i32>,
    /// Only files whose name has this in it.
    read_only_of: String,
    write: Option<i32>,
    remove: Option<i32>,
    /// Panics, once.
    panic: bool,
    /// A write waits while this is set.
    stalled: bool,
    /// A write is waiting.
    is_waiting: bool,
}

/// Tells a disk to fail.
#[derive(Default)]
struct Control {
    faults: Mutex<Faults>,
    changed: Condvar,
}

impl Control {
    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock());
        self.changed.notify_all();
    }

    fn fail(&self, fault: impl Fn(&Faults) -> Option<i32>) -> io::Result<()> {
        let mut faults = self.faults.lock();
        if std::mem::take(&mut faults.panic) {
            drop(faults);
            panic!("the disk panics, as it was told");
        }
        fault(&faults).map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    fn wait_for_writer(&self) {
        let mut faults = self.faults.lock();
        let waited = self.changed.wait_while_for(&mut faults, |faults| !faults.is_waiting, LONG);
        assert!(!waited.timed_out());
    }
}

struct Failing(Box<dyn Disk>, Arc<Control>);

impl Disk for Failing {
    fn list(&self, each: &mut dyn FnMut(Listed<'_>)) -> io::Result<()> {
        self.1.fail(|faults| faults.list)?;
        self.0.list(each)
    }
    fn read(&self, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        self.1.fail(|faults| faults.read.filter(|_| name.contains(&faults.read_only_of)))?;
        self.0.read(name, most)
    }
    fn write(&self, name: &str, unfinished: &str, bytes: &[u8]) -> io::Result<()> {
        {
            let mut faults = self.1.faults.lock();
            faults.is_waiting = true;
            self.1.changed.notify_all();
            let waited = self.1.changed.wait_while_for(&mut faults, |faults| faults.stalled, LONG);
            faults.is_waiting = false;
            assert!(!waited.timed_out());
        }
        self.1.fail(|faults| faults.write)?;
        self.0.write(name, unfinished, bytes)
    }
    fn try_write(&self, unfinished: &str, length: u64) -> io::Result<()> {
        self.1.fail(|faults| faults.write)?;
        self.0.try_write(unfinished, length)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.1.fail(|faults| faults.remove)?;
        self.0.remove(name)
    }
}

/// The spools of one process, or of one copy of the module.
fn failing_spools() -> (Spools, Arc<Control>) {
    let control = Arc::new(Control::default());
    let of = control.clone();
    let open = move |root: &Path, name: &str| {
        let disk = directory::open(root, name)?;
        Ok(Box::new(Failing(disk, of.clone())) as Box<dyn Disk>)
    };
    (Spools::on(Arc::new(open)), control)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The n-th entry's id.
fn id(n: u64) -> EventId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    EventId::from_random(bytes)
}

/// How a client opens a spool in these tests.
struct Opening {
    dsn: &'static str,
    bytes: u64,
    age: Duration,
    clock: Arc<dyn Clock>,
    spawn: Spawn,
    ledger: Arc<Ledger>,
}

impl Opening {
    fn new(clock: &Arc<StillClock>) -> Opening {
        Opening {
            dsn: PROJECT,
            bytes: 64 << 20,
            age: Duration::from_secs(604_800),
            clock: clock.clone(),
            spawn: spawn_thread,
            ledger: Arc::new(Ledger::new(None)),
        }
    }

    fn real() -> Opening {
        // Entries of these tests are made in 1970.
        Opening { clock: Arc::new(Real), age: Duration::MAX, ..Opening::new(&StillClock::new()) }
    }

    fn open(self, spools: &Spools, root: &Root) -> Peer {
        let (said, replies) = unbounded();
        let lines = Arc::new(Lines::default());
        let report = Arc::new(ClientReport::default());
        let notices = Notices::new(lines.clone(), "cli".to_owned(), Epoch::new(self.clock.now()));
        let client = SpoolClient {
            ledger: self.ledger.clone(),
            report: Some(report.clone()),
            notices: Arc::new(notices),
            replies: Box::new(move |reply| said.send(reply).unwrap_or_default()),
        };
        let settings = SpoolSettings { folder: root.0.clone(), bytes: self.bytes, age: self.age };
        let dsn = Dsn::parse(self.dsn).unwrap();
        let handle = spools.open(&dsn, &settings, client, self.clock, self.spawn);
        Peer { handle, replies, ledger: self.ledger, report, lines }
    }
}

/// A client's sender.
struct Peer {
    handle: SpoolHandle,
    replies: Receiver<Reply>,
    ledger: Arc<Ledger>,
    report: Arc<ClientReport>,
    lines: Arc<Lines>,
}

impl Peer {
    /// The next reply that is no [`Reply::Changed`].
    fn reply(&self) -> Reply {
        loop {
            let reply = self.replies.recv_timeout(LONG).expect("a reply");
            if !matches!(reply, Reply::Changed) {
                return reply;
            }
        }
    }

    /// The n-th entry, made at that second.
    fn written(&self, n: u64, second: u64) -> Written {
        let mut envelope = Envelope::default();
        envelope.set_event_id(id(n));
        envelope.add_item(0, "event", "application/json", "", format!("{{\"n\":{n}}}").as_bytes());
        let items = envelope.parts().map(|(_, items)| items.to_vec()).next().unwrap_or_default();
        Written {
            at: at(second),
            id: id(n),
            author: Author::Own,
            headers: RequestHeaders::default(),
            members: envelope.members().to_vec(),
            parts: vec![(Part::new(Category::Error, 1), items)],
            ledger: self.ledger.clone(),
        }
    }

    fn keep(&self, n: u64) -> bool {
        self.keep_written(self.written(n, 1_000_000 - 10_000 + n))
    }

    fn keep_written(&self, written: Written) -> bool {
        self.handle.keep(77, written);
        match self.reply() {
            Reply::Kept { ticket: 77, kept } => kept,
            other => panic!("{other:?}"),
        }
    }

    fn take(&self) -> Option<SpooledEntry> {
        self.handle.take();
        match self.reply() {
            Reply::Taken(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    /// Sends entries until there are no more; their ids.
    fn drain(&self) -> Vec<EventId> {
        let mut ids = Vec::new();
        while let Some(entry) = self.take() {
            ids.push(entry.id());
            self.handle.settle(entry.lease(), Fate::Sent);
        }
        ids
    }

    /// Waits until the worker has done all that was asked.
    fn condition(&self) -> Condition {
        // The next operation is done after all before, and changes nothing.
        self.handle.keep(78, Written { parts: Vec::new(), ..self.written(0, 0) });
        assert!(matches!(self.reply(), Reply::Kept { ticket: 78, kept: false }));
        self.handle.condition()
    }

    fn wait_until(&self, is_so: impl Fn(&Condition) -> bool) {
        let deadline = Instant::now() + LONG;
        while !is_so(&self.handle.condition()) {
            let left = deadline.saturating_duration_since(Instant::now());
            self.replies.recv_timeout(left).expect("the spool has changed");
        }
    }

    fn told(&self, tally: Tally) -> u64 {
        self.ledger.told(Category::Error, tally)
    }

    fn lines(&self) -> String {
        self.lines.0.lock().join("\n")
    }

    fn reported(&self) -> String {
        let taken = self.report.take(UNIX_EPOCH);
        taken.map(|taken| String::from_utf8_lossy(taken.payload()).into_owned()).unwrap_or_default()
    }
}

/// What an entry would send.
fn items(entry: &SpooledEntry) -> String {
    let (mut scratch, mut envelope) = (Scratch::default(), Envelope::default());
    let mut context = Context { dsn: None, wall: UNIX_EPOCH, may: Categories::ALL, scratch: &mut scratch };
    entry.write(&mut context, &mut envelope);
    String::from_utf8_lossy(envelope.items()).into_owned()
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<EventId> {
    numbers.into_iter().map(id).collect()
}
