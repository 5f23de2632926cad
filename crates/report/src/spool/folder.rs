// SPDX-License-Identifier: BSD-2-Clause
//! A client's own folder in the spool: one file per event, named by its time and id, and an index of them.
//!
//! A lock file says whose it is: what is in here is in one process's hands, and in one client's of it. A file
//! is written under another name first, so a process that dies leaves whole files behind and at most one that
//! is thrown away. Nothing is synced to the disk: that is for the loss of power, after which a file may be cut,
//! and its checksum tells.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;

use crate::event_id::EventId;

const LOCK: &str = "lock";
const SUFFIX: &str = ".event";
/// Of a file that is being written.
const UNFINISHED: &str = ".event.new";
/// The first line of a file, before checksum and length of what follows it.
const MAGIC: &str = "vmod-sentry spool 1 ";
/// No event's file is longer.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// What a file takes at least, whatever is in it.
const BLOCK: u64 = 4096;
/// Events in a folder: the index is in memory.
pub const MAX_EVENTS: usize = 100_000;

/// An event by its place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    millis: u64,
    id: u128,
}

impl Key {
    pub fn new(at: SystemTime, id: EventId) -> Key {
        let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let id = std::str::from_utf8(&id.to_hex()).ok().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        Key { millis: u64::try_from(millis).unwrap_or(u64::MAX), id: id.unwrap_or_default() }
    }

    pub fn id(self) -> EventId {
        // It has been an id before, so version and variant are in it.
        EventId::from_random(self.id.to_be_bytes())
    }

    /// How long ago the event was captured.
    fn age(self, wall: SystemTime) -> Duration {
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(self.millis));
        at.and_then(|at| wall.duration_since(at).ok()).unwrap_or_default()
    }

    fn file_name(self) -> String {
        format!("{:014}-{:032x}{SUFFIX}", self.millis, self.id)
    }

    fn parse(name: &str) -> Option<Key> {
        let (millis, id) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let key = Key { millis: millis.parse().ok()?, id: u128::from_str_radix(id, 16).ok()? };
        (key.file_name() == name).then_some(key)
    }
}

/// Why a folder cannot be had.
#[derive(Debug)]
pub enum Unusable {
    /// Another client has it, of this process or of another one.
    Taken,
    Io(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Unusable {
        Unusable::Io(error)
    }
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug)]
struct Stored {
    bytes: u64,
    tries: u32,
}

/// A folder that is ours.
pub struct Folder {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    fresh: BTreeMap<Key, Stored>,
    /// Events that a server which took others has failed on more than once: they wait behind the others.
    failed: BTreeMap<Key, Stored>,
    bytes: u64,
    foreign: usize,
}

impl Folder {
    /// Takes the folder `name` below `root`, which must be there. What an earlier process has left half
    /// written is removed; what is none of ours is left alone and counted.
    pub fn open(root: &Path, name: &str) -> Result<Folder, Unusable> {
        if !fs::metadata(root)?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory).into());
        }
        let path = root.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK))?;
        lock.try_lock().map_err(|refused| match refused {
            TryLockError::WouldBlock => Unusable::Taken,
            TryLockError::Error(error) => Unusable::Io(error),
        })?;
        let (fresh, failed) = Default::default();
        let mut folder = Folder { path, _lock: lock, fresh, failed, bytes: 0, foreign: 0 };
        folder.list()?;
        Ok(folder)
    }

    fn list(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            // Not what a link leads to: what we write are regular files.
            let file = entry.metadata().ok().filter(fs::Metadata::is_file);
            match (Key::parse(name), file) {
                (Some(key), Some(file)) => self.insert(key, file.len()),
                _ if name == LOCK => {}
                (None, Some(_)) if name.ends_with(UNFINISHED) => fs::remove_file(entry.path())?,
                _ => self.foreign += 1,
            }
        }
        Ok(())
    }

    fn insert(&mut self, key: Key, length: u64) {
        let bytes = length.max(1).next_multiple_of(BLOCK);
        let before = self.fresh.insert(key, Stored { bytes, tries: 0 });
        self.bytes += bytes - before.map_or(0, |before| before.bytes);
    }

    /// Files that are none of ours.
    pub fn foreign(&self) -> usize {
        self.foreign
    }

    /// Events, and the blocks they take on the disk in bytes.
    pub fn load(&self) -> (usize, u64) {
        (self.fresh.len() + self.failed.len(), self.bytes)
    }

    /// Writes an event. The file is whole or not there.
    pub fn write(&mut self, key: Key, json: &[u8]) -> io::Result<()> {
        let name = key.file_name();
        let file = encode(&name, json);
        let (path, unfinished) = (self.path.join(&name), self.path.join(name.replace(SUFFIX, UNFINISHED)));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut out| out.write_all(&file))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(unfinished);
            return written;
        }
        self.insert(key, file.len() as u64);
        Ok(())
    }

    /// The event to be sent next: the oldest.
    pub fn next(&self) -> Option<Key> {
        self.fresh.first_key_value().or_else(|| self.failed.first_key_value()).map(|(key, _)| *key)
    }

    /// The JSON of an event; `None` if the file is not what was written. An error is the disk's.
    pub fn read(&self, key: Key) -> io::Result<Option<Vec<u8>>> {
        let name = key.file_name();
        let mut file = Vec::new();
        File::open(self.path.join(&name))?.take(MAX_FILE).read_to_end(&mut file)?;
        Ok(decode(&name, file))
    }

    /// Removes an event. It is out of the index even if its file stays, so that it is not sent twice.
    pub fn remove(&mut self, key: Key) -> io::Result<()> {
        if let Some(stored) = self.fresh.remove(&key).or_else(|| self.failed.remove(&key)) {
            self.bytes -= stored.bytes;
        }
        fs::remove_file(self.path.join(key.file_name()))
    }

    /// Notes that a server which takes others has failed on this event; returns how often it has.
    pub fn fail(&mut self, key: Key) -> u32 {
        let Some(mut stored) = self.fresh.remove(&key).or_else(|| self.failed.remove(&key)) else { return 0 };
        stored.tries += 1;
        let place = if stored.tries > 1 { &mut self.failed } else { &mut self.fresh };
        place.insert(key, stored);
        stored.tries
    }

    /// Removes the oldest while there is more than `max_bytes`, or older than `max_age`; returns how many. The one
    /// that is `on_its_way` stays.
    pub fn trim(&mut self, max_bytes: u64, max_age: Duration, wall: SystemTime, on_its_way: Option<Key>) -> u64 {
        let mut removed = 0;
        loop {
            let first = |events: &BTreeMap<Key, Stored>| events.keys().copied().find(|key| Some(*key) != on_its_way);
            let firsts = [first(&self.fresh), first(&self.failed)];
            let Some(oldest) = firsts.into_iter().flatten().min() else { return removed };
            let (events, bytes) = self.load();
            if bytes <= max_bytes && events <= MAX_EVENTS && oldest.age(wall) <= max_age {
                return removed;
            }
            // If the file stays, the next process finds it.
            let _ = self.remove(oldest);
            removed += 1;
        }
    }
}

/// The checksum is over the name too, which says time and id.
fn checksum(name: &str, json: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(name.as_bytes());
    crc.update(json);
    crc.finalize()
}

fn encode(name: &str, json: &[u8]) -> Vec<u8> {
    let mut file = format!("{MAGIC}{:08x} {}\n", checksum(name, json), json.len()).into_bytes();
    file.extend_from_slice(json);
    file
}

fn decode(name: &str, mut file: Vec<u8>) -> Option<Vec<u8>> {
    let end = file.iter().take(100).position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(file.get(..end)?).ok()?;
    let (sum, length) = head.strip_prefix(MAGIC)?.split_once(' ')?;
    let (sum, length) = (u32::from_str_radix(sum, 16).ok()?, length.parse::<usize>().ok()?);
    file.drain(..=end);
    (file.len() == length && checksum(name, &file) == sum).then_some(file)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A folder for one test, gone after it.
    pub(crate) struct Scratch(pub PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Scratch {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("spool-unit-{}-{number}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }

        fn open(&self) -> Folder {
            Folder::open(&self.0, "h,1").unwrap()
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join("h,1").join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const AGES: Duration = Duration::from_secs(1 << 40);

    fn key(seconds: u64) -> Key {
        let id = EventId::from_random([u8::try_from(seconds).unwrap(); 16]);
        Key::new(UNIX_EPOCH + Duration::from_secs(seconds), id)
    }

    /// Keys in the order they would be sent.
    fn order(folder: &mut Folder) -> Vec<Key> {
        std::iter::from_fn(|| {
            let key = folder.next()?;
            folder.remove(key).unwrap();
            Some(key)
        })
        .collect()
    }

    #[test]
    fn events_outlive_their_folder_and_come_oldest_first() {
        let scratch = Scratch::new();
        let mut folder = scratch.open();
        for seconds in [3, 1, 2] {
            folder.write(key(seconds), format!("{{\"n\":{seconds}}}").as_bytes()).unwrap();
        }
        drop(folder);
        let mut folder = scratch.open();
        assert_eq!(folder.load(), (3, 3 * BLOCK));
        assert_eq!(folder.read(key(1)).unwrap().as_deref(), Some(&br#"{"n":1}"#[..]));
        assert_eq!(order(&mut folder), [1, 2, 3].map(key));
        assert_eq!(folder.load(), (0, 0));
        drop(folder);
        assert_eq!(scratch.open().load(), (0, 0));
    }

    #[test]
    fn a_file_is_what_the_format_says_and_only_the_owner_reads_it() {
        let scratch = Scratch::new();
        scratch.open().write(key(1), b"{}").unwrap();
        let name = "00000000001000-01010101010141018101010101010101.event";
        // By hand: the CRC-32 of the name and "{}".
        let mut crc = !0_u32;
        for byte in name.bytes().chain(*b"{}") {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        let expected = format!("vmod-sentry spool 1 {:08x} 2\n{{}}", !crc);
        assert_eq!(fs::read_to_string(scratch.file(name)).unwrap(), expected);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(scratch.file("")), mode(scratch.file(name))), (0o700, 0o600));
    }

    #[test]
    fn a_file_that_is_not_what_was_written_is_told() {
        let scratch = Scratch::new();
        let mut folder = scratch.open();
        folder.write(key(1), br#"{"n":1}"#).unwrap();
        let path = scratch.file(&key(1).file_name());
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(folder.read(key(1)).unwrap(), None, "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(&path, other).unwrap();
            assert_eq!(folder.read(key(1)).unwrap(), None, "another byte at {at}");
        }
        fs::write(scratch.file(&key(2).file_name()), &whole).unwrap();
        assert_eq!(folder.read(key(2)).unwrap(), None, "another event's file");
        fs::write(&path, &whole).unwrap();
        assert!(folder.read(key(1)).unwrap().is_some());
        fs::remove_file(path).unwrap();
        assert!(folder.read(key(1)).is_err());
    }

    #[test]
    fn what_is_half_written_goes_and_what_is_not_ours_stays() {
        let scratch = Scratch::new();
        drop(scratch.open());
        let half = key(1).file_name().replace(SUFFIX, UNFINISHED);
        for name in [half.as_str(), "README", "1-2.event", "00000000001000-x.event"] {
            fs::write(scratch.file(name), "x").unwrap();
        }
        fs::create_dir(scratch.file(&key(9).file_name())).unwrap();
        std::os::unix::fs::symlink("/dev/zero", scratch.file(&key(8).file_name())).unwrap();
        let folder = scratch.open();
        assert_eq!((folder.load(), folder.foreign()), ((0, 0), 5));
        assert!(!scratch.file(&half).exists());
        assert!(scratch.file("README").exists());
    }

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let scratch = Scratch::new();
        let first = scratch.open();
        assert!(matches!(Folder::open(&scratch.0, "h,1"), Err(Unusable::Taken)));
        assert!(Folder::open(&scratch.0, "h,2").is_ok());
        drop(first);
        scratch.open();
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much_or_it_is_too_old() {
        let scratch = Scratch::new();
        let mut folder = scratch.open();
        for seconds in 1..=5 {
            folder.write(key(seconds), &[b'x'; 5000]).unwrap();
        }
        let wall = UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(folder.trim(5 * 2 * BLOCK, AGES, wall, None), 0);
        assert_eq!(folder.trim(3 * 2 * BLOCK, AGES, wall, None), 2);
        assert_eq!(folder.trim(u64::MAX, Duration::from_secs(6), wall, None), 1);
        assert_eq!(order(&mut folder), [4, 5].map(key));
    }

    #[test]
    fn an_event_the_server_fails_on_twice_waits_behind_the_others() {
        let scratch = Scratch::new();
        let mut folder = scratch.open();
        for seconds in 1..=3 {
            folder.write(key(seconds), b"{}").unwrap();
        }
        assert_eq!((folder.fail(key(1)), folder.next()), (1, Some(key(1))));
        assert_eq!((folder.fail(key(1)), folder.next()), (2, Some(key(2))));
        assert_eq!(folder.trim(2 * BLOCK, AGES, UNIX_EPOCH, None), 1, "it is the oldest all the same");
        assert_eq!(order(&mut folder), [2, 3].map(key));
    }

    #[test]
    fn no_folder_no_spool() {
        let scratch = Scratch::new();
        let file = scratch.0.join("file");
        fs::write(&file, "").unwrap();
        for root in [scratch.0.join("missing"), file, PathBuf::from("/proc")] {
            assert!(matches!(Folder::open(&root, "h,1"), Err(Unusable::Io(_))), "{root:?}");
        }
    }
}
