// SPDX-License-Identifier: BSD-2-Clause
//! What is in a spool, in memory, so that nobody lists the folder twice. The gauges of an entry's ledger follow it.
//!
//! It outlives the folder being open: what is on the disk still counts, and is not found a second time.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::entry::Part;

use super::entry::Lease;
use super::file_name::FileName;
use super::key::Key;
use crate::counters::{Counter, Ledger, Tally};

/// What a file takes on the disk at least, whatever is in it.
const BLOCK: u64 = 4096;

/// What is known of an entry without opening its file.
#[derive(Debug)]
pub struct Stored {
    pub key: Key,
    pub length: u64,
    pub parts: Box<[Part]>,
    /// How often a server that took others has failed on it.
    pub tries: u32,
    /// Where it counts.
    pub ledger: Arc<Ledger>,
}

impl Stored {
    pub fn new(key: Key, length: u64, parts: Vec<Part>, ledger: Arc<Ledger>) -> Stored {
        Stored { key, length, parts: parts.into(), tries: 0, ledger }
    }

    pub fn file_name(&self) -> FileName<'_> {
        FileName { key: self.key, length: self.length, parts: &self.parts }
    }
}

/// What a file of that length takes on the disk.
pub fn blocks(length: u64) -> u64 {
    length.max(1).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Leased {
    stored: Stored,
    number: u64,
    client: u64,
}

/// Entries that are in the folder.
#[derive(Debug, Default)]
pub struct Index {
    fresh: BTreeMap<Key, Stored>,
    /// Those that wait behind the others: a server which took others has failed on them more than once, or the disk has.
    failed: BTreeMap<Key, Stored>,
    leased: BTreeMap<Key, Leased>,
    bytes: u64,
    leases: u64,
}

impl Index {
    /// All entries, and the bytes they take on the disk.
    pub fn load(&self) -> (usize, u64) {
        (self.ready() + self.leased.len(), self.bytes)
    }

    /// How many are nobody's to send.
    pub fn ready(&self) -> usize {
        self.fresh.len() + self.failed.len()
    }

    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some() || self.is_leased(key)
    }

    pub fn is_leased(&self, key: Key) -> bool {
        self.leased.contains_key(&key)
    }

    /// One that is not leased.
    pub fn get(&self, key: Key) -> Option<&Stored> {
        self.fresh.get(&key).or_else(|| self.failed.get(&key))
    }

    /// Those that are not leased, in no order that means anything.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.fresh.keys().chain(self.failed.keys()).copied()
    }

    /// Adds one whose key is not in it.
    pub fn insert(&mut self, stored: Stored) {
        stored.ledger.add_parts(&stored.parts, Tally::Spooled);
        stored.ledger.add(Counter::SpoolEntries, 1);
        stored.ledger.add(Counter::SpoolBytes, blocks(stored.length));
        self.bytes = self.bytes.saturating_add(blocks(stored.length));
        self.fresh.insert(stored.key, stored);
    }

    fn uncount(&mut self, stored: &Stored) {
        stored.ledger.sub_parts(&stored.parts, Tally::Spooled);
        stored.ledger.sub(Counter::SpoolEntries, 1);
        stored.ledger.sub(Counter::SpoolBytes, blocks(stored.length));
        self.bytes = self.bytes.saturating_sub(blocks(stored.length));
    }

    /// Takes one out that is not leased.
    pub fn remove(&mut self, key: Key) -> Option<Stored> {
        let stored = self.fresh.remove(&key).or_else(|| self.failed.remove(&key))?;
        self.uncount(&stored);
        Some(stored)
    }

    /// The one to be sent next: the oldest.
    pub fn next(&self) -> Option<&Stored> {
        self.fresh.first_key_value().or_else(|| self.failed.first_key_value()).map(|(_, stored)| stored)
    }

    /// The one to be dropped next: the oldest, whether it has failed or not.
    pub fn oldest(&self) -> Option<&Stored> {
        let firsts = [&self.fresh, &self.failed].map(BTreeMap::first_key_value);
        firsts.into_iter().flatten().min_by_key(|(key, _)| **key).map(|(_, stored)| stored)
    }

    /// Puts one behind the others.
    pub fn put_behind(&mut self, key: Key) {
        if let Some(stored) = self.fresh.remove(&key) {
            self.failed.insert(key, stored);
        }
    }

    /// Leaves it to that client to send.
    pub fn lease(&mut self, key: Key, client: u64) -> Option<(Lease, &Stored)> {
        let stored = self.fresh.remove(&key).or_else(|| self.failed.remove(&key))?;
        self.leases += 1;
        let number = self.leases;
        let leased = self.leased.entry(key).or_insert(Leased { stored, number, client });
        Some((Lease { key, number }, &leased.stored))
    }

    /// Ends a lease, whose entry waits again; `None` if it had ended before.
    pub fn release(&mut self, lease: Lease) -> Option<&mut Stored> {
        let leased = self.leased.get(&lease.key).filter(|leased| leased.number == lease.number)?;
        let waits_behind = leased.stored.tries > 1;
        let Leased { stored, .. } = self.leased.remove(&lease.key)?;
        let place = if waits_behind { &mut self.failed } else { &mut self.fresh };
        Some(place.entry(lease.key).or_insert(stored))
    }

    /// Ends all leases of a client.
    pub fn release_all(&mut self, client: u64) {
        let held = self.leased.iter().filter(|(_, leased)| leased.client == client);
        let held: Vec<_> = held.map(|(key, leased)| Lease { key: *key, number: leased.number }).collect();
        for lease in held {
            self.release(lease);
        }
    }

    /// Counts a failure of a server that takes others against an entry; returns how many those are.
    pub fn fail(&mut self, key: Key) -> u32 {
        let stored = self.fresh.get_mut(&key).or_else(|| self.failed.get_mut(&key));
        let Some(stored) = stored else { return 0 };
        stored.tries += 1;
        let tries = stored.tries;
        if tries > 1 {
            self.put_behind(key);
        }
        tries
    }
}
