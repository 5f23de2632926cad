// SPDX-License-Identifier: BSD-2-Clause
//! Index and disk together: what is in the one is on the other, and whatever leaves is counted. Only damage, age, bounds and an entry's fate
//! remove one: no error does.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use protocol::category::Categories;
use protocol::entry::Part;
use protocol::reason::Reason;

use super::disk::{Disk, Listed, Open, Unusable};
use super::file::{self, Contents, Problem};
use super::file_name::{self, FileName};
use super::index::{Index, Stored, blocks};
use super::key::Key;
use super::written::Written;
use crate::counters::{Ledger, Tally};

/// No entry's file is longer.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Entries in a folder: the index is in memory.
pub const MAX_ENTRIES: usize = 100_000;
/// Entries of one millisecond and id.
const TWINS: u64 = 1000;

/// What was there when a folder was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Neither of ours nor known: another user's, another version's, no regular files.
    pub foreign: u64,
    /// Those whose length was wrong, now removed: their parts.
    pub damaged: Vec<Lost>,
    /// Entries that were in it when it was closed, and are no more.
    pub gone: u64,
}

/// Parts that have left the spool without being sent.
pub type Lost = Box<[Part]>;

/// Why there is no entry to be had.
#[derive(Debug)]
pub enum Unread {
    /// Its file was damaged and is removed, or is for another version and left alone, or has gone.
    Lost(Lost, String),
    /// The disk's fault: it stays.
    Kept(io::Error),
}

/// A spool's folder. It may be closed: then the index says what is expected in it.
#[derive(Default)]
pub struct Folder {
    disk: Option<Box<dyn Disk>>,
    pub index: Index,
    /// Files that have left the index and could not be removed: they are not sent again.
    unremoved: BTreeSet<String>,
    /// The last one that could not be written: its name while it was not finished, and its length.
    unwritten: Option<(String, u64)>,
}

/// Counts an entry that left the spool unsent where it counted.
fn lose(stored: Stored) -> Lost {
    stored.ledger.add_parts(&stored.parts, Tally::Dropped(Reason::CacheOverflow));
    stored.ledger.add_parts(&stored.parts, Tally::SpoolDropped);
    stored.parts
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl Folder {
    pub fn is_open(&self) -> bool {
        self.disk.is_some()
    }

    /// Gives it up to whoever wants it next.
    pub fn close(&mut self) {
        self.disk = None;
    }

    /// Takes the folder. What is found in it counts for `ledger`, but for what was known before.
    pub fn open(&mut self, open: &Open, root: &Path, name: &str, ledger: &Arc<Ledger>) -> Result<Opened, Unusable> {
        let disk = open(root, name)?;
        let mut opened = Opened::default();
        let mut expected: BTreeSet<Key> = self.index.keys().collect();
        let (mut found, mut unfinished, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        disk.list(&mut |Listed { name, length }| {
            let known = file_name::parse(name).filter(|_| length.is_some());
            match known {
                _ if self.unremoved.contains(name) => {}
                Some((key, said, _)) if length != Some(said) || said > MAX_FILE => wrong.push((name.to_owned(), key)),
                Some((key, length, parts)) => found.push((key, length, parts)),
                None if length.is_some() && file_name::is_unfinished(name) => unfinished.push(name.to_owned()),
                None => opened.foreign += 1,
            }
        })?;
        // Up to here nothing has changed: an error above leaves all as it was.
        for (key, length, parts) in found {
            if let Some(stored) = self.index.get(key) {
                // Time and id of an entry, and yet another file: which of the two is ours was settled before.
                let is_known = stored.length == length && *stored.parts == *parts;
                if is_known {
                    expected.remove(&key);
                }
                opened.foreign += u64::from(!is_known);
                continue;
            }
            if self.index.contains(key) {
                continue;
            }
            ledger.add_parts(&parts, Tally::Found);
            self.index.insert(Stored::new(key, length, parts, ledger.clone()));
        }
        // One that is leased will be settled, whatever its file has become.
        wrong.retain(|(_, key)| !self.index.is_leased(*key));
        for (name, key) in wrong {
            opened.damaged.extend(self.discard(&*disk, &name, key, &mut expected, ledger));
        }
        for name in unfinished {
            opened.foreign += u64::from(disk.remove(&name).is_err());
        }
        for key in expected {
            if let Some(stored) = self.index.remove(key) {
                lose(stored);
                opened.gone += 1;
            }
        }
        self.disk = Some(disk);
        Ok(opened)
    }

    /// Removes a file whose length is not what its name says.
    fn discard(
        &mut self,
        disk: &dyn Disk,
        name: &str,
        key: Key,
        expected: &mut BTreeSet<Key>,
        ledger: &Arc<Ledger>,
    ) -> Option<Lost> {
        if disk.remove(name).is_err() {
            self.unremoved.insert(name.to_owned());
        }
        let known = self.index.get(key).is_some_and(|stored| stored.file_name().to_string() == name);
        if known {
            expected.remove(&key);
            return self.index.remove(key).map(lose);
        }
        let (key, length, parts) = file_name::parse(name)?;
        ledger.add_parts(&parts, Tally::Found);
        Some(lose(Stored::new(key, length, parts, ledger.clone())))
    }

    /// A key that no entry has: time and id, or right after it.
    pub fn vacant(&self, key: Key) -> Option<Key> {
        let later = (0..TWINS).filter_map(|later| Some(Key { millis: key.millis.checked_add(later)?, ..key }));
        later.into_iter().find(|key| !self.index.contains(*key))
    }

    /// Writes the file of an entry for a folder that may take `most` bytes; the index does not have it yet. `Ok` gives what to insert.
    pub fn write(&mut self, key: Key, written: &Written, most: u64) -> io::Result<Stored> {
        let Written { parts, ledger, .. } = written;
        let disk = self.disk.as_ref().ok_or_else(closed)?;
        let bytes = file::encode(key, written);
        let length = bytes.len() as u64;
        if length > MAX_FILE || blocks(length) > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let parts: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
        let (name, unfinished) =
            FileName { key, length, parts: &parts }.names().ok_or(io::ErrorKind::InvalidFilename)?;
        if let Err(error) = disk.write(&name, &unfinished, &bytes) {
            self.unwritten = Some((unfinished, length));
            return Err(error);
        }
        // It has taken the place of a file that should have gone.
        self.unremoved.remove(&name);
        Ok(Stored::new(key, length, parts, ledger.clone()))
    }

    /// Tries whether the last file that could not be written now could be.
    pub fn try_write(&self) -> io::Result<()> {
        let disk = self.disk.as_ref().ok_or_else(closed)?;
        self.unwritten.as_ref().map_or(Ok(()), |(unfinished, length)| disk.try_write(unfinished, *length))
    }

    /// Reads an entry that is not leased.
    pub fn read(&mut self, key: Key) -> Result<Contents, Unread> {
        let disk = self.disk.as_ref().ok_or_else(|| Unread::Kept(closed()))?;
        let stored = self.index.get(key).ok_or_else(|| Unread::Kept(io::ErrorKind::NotFound.into()))?;
        let name = stored.file_name().to_string();
        let (problem, is_ours) = match disk.read(&name, stored.length.saturating_add(1)) {
            Ok(Some(bytes)) => match file::decode(&bytes) {
                Ok(contents) if contents.key == key && *contents.parts == *stored.parts => return Ok(contents),
                Err(Problem::Unknown) => ("is another version's, left alone", false),
                _ => ("is damaged, removed", true),
            },
            Ok(None) => ("is no regular file of ours, left alone", false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => ("has gone", false),
            Err(error) => return Err(Unread::Kept(error)),
        };
        let lost = self.index.remove(key).map(lose).unwrap_or_default();
        if is_ours {
            self.remove_file(name);
        }
        Err(Unread::Lost(lost, format!("the file of entry {} {problem}", key.id())))
    }

    fn remove_file(&mut self, name: String) {
        if self.disk.as_ref().is_none_or(|disk| disk.remove(&name).is_err()) {
            self.unremoved.insert(name);
        }
    }

    /// Removes an entry that is not leased, whatever becomes of its file.
    pub fn remove(&mut self, key: Key) -> Option<Stored> {
        let stored = self.index.remove(key)?;
        self.remove_file(stored.file_name().to_string());
        Some(stored)
    }

    /// Removes an entry of which those parts were sent that go by [`Part::goes`]; gives the others, which were dropped.
    pub fn settle(&mut self, key: Key, may: Categories, reason: Reason) -> Lost {
        let Some(stored) = self.remove(key) else { return Lost::default() };
        let (sent, lost): (Vec<_>, Vec<_>) =
            stored.parts.iter().copied().partition(|part| part.goes(&stored.parts, may));
        for (parts, tallies) in
            [(&sent, [Tally::Sent, Tally::SpoolSent]), (&lost, [Tally::Dropped(reason), Tally::SpoolDropped])]
        {
            tallies.into_iter().for_each(|tally| stored.ledger.add_parts(parts, tally));
        }
        lost.into()
    }

    /// Removes files that could not be removed before; an error is that of one which still cannot.
    pub fn remove_rest(&mut self) -> io::Result<()> {
        while let Some(name) = self.unremoved.first() {
            self.disk.as_ref().ok_or_else(closed)?.remove(name)?;
            self.unremoved.pop_first();
        }
        Ok(())
    }

    /// Whether all files that are in no index have been removed.
    pub fn is_clean(&self) -> bool {
        self.unremoved.is_empty()
    }

    /// Whether there is more than may be.
    pub fn is_over(&self, most: u64) -> bool {
        let (entries, bytes) = self.index.load();
        bytes > most || entries > MAX_ENTRIES
    }

    /// Removes the oldest while there is more than may be, or it is older than `age`; the time is known only sometimes. One
    /// that is leased stays, and so does one that cannot be removed.
    pub fn trim(&mut self, most: u64, age: Duration, wall: Option<SystemTime>, lost: &mut Vec<Lost>) -> io::Result<()> {
        while let Some(oldest) = self.index.oldest() {
            let is_old = wall.is_some_and(|wall| oldest.key.age(wall) > age);
            if !is_old && !self.is_over(most) {
                break;
            }
            let key = oldest.key;
            self.disk.as_ref().ok_or_else(closed)?.remove(&oldest.file_name().to_string())?;
            lost.extend(self.index.remove(key).map(lose));
        }
        Ok(())
    }
}
