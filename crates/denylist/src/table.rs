// SPDX-License-Identifier: BSD-2-Clause
//! Where the entries are kept, and the way from a digest to its entry.
//!
//! Readers take no lock and write nothing, so they do not slow each other down on any number of
//! cores: all is in atomics, and a count of changes (a sequence lock) tells a reader that it read while
//! somebody wrote. Writers need the one [`Writer`], which lives behind the denylist's mutex.
//!
//! The table grows by linear hashing, one bucket per slot that is used for the first time, so no call
//! rehashes more than one chain. Slots are used again, never given back before the list ends.

#[cfg(not(loom))]
use std::hash::{BuildHasher, RandomState};
use std::mem::offset_of;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, fence};

use crate::reason::Reason;
use crate::time::Time;

/// What vcl_hash made of a request: a SHA256.
pub type Digest = [u8; 32];

/// More entries than this are not kept, whatever the caller asks for (1.3 GB of them).
pub(crate) const MAX_ENTRIES: usize = 1 << 24;
/// Slots per allocation: 18 KB with table and order, a few microseconds for whoever meets its end. Each of its parts is of a
/// size that jemalloc has without waste; from 16 KB on it would add a page to each.
pub(crate) const CHUNK: usize = if cfg!(loom) { 4 } else { 256 };
/// Chunks per section, for the larger tables: their places come by the section, too. One section is more than the default of `max_entries` takes.
const SECTION: usize = if cfg!(loom) { 1 } else { 512 };
/// No slot; beyond every chunk, so that looking it up finds nothing.
pub(crate) const NIL: u32 = u32::MAX;

/// Chunk and offset of a slot or bucket.
pub(crate) fn place(at: u32) -> (usize, usize) {
    (at as usize / CHUNK, at as usize % CHUNK)
}

/// One entry: 48 bytes. With its bucket's head and its node in the order, 72 bytes are what an entry takes.
struct Slot {
    digest: [AtomicU64; 4],
    stamp: AtomicU64,
    /// Next slot of the bucket's chain, or of the free ones.
    next: AtomicU32,
    /// How often it refused; readers add to it.
    hits: AtomicU16,
    /// The code of a [`Reason`].
    reason: AtomicU16,
}

// Those of loom know more than their value.
const _: () = assert!(cfg!(loom) || size_of::<Slot>() <= 48);

impl Slot {
    fn new() -> Slot {
        Slot {
            digest: Default::default(),
            stamp: AtomicU64::new(0),
            next: AtomicU32::new(NIL),
            hits: AtomicU16::new(0),
            reason: AtomicU16::new(0),
        }
    }

    fn words(&self) -> [u64; 4] {
        self.digest.each_ref().map(|word| word.load(Relaxed))
    }

    fn read(&self) -> ([u64; 4], Stamp, u32) {
        (self.words(), Stamp(self.stamp.load(Relaxed)), self.next.load(Relaxed))
    }
}

/// When an entry expires, and of which generation it is, in one word: the memory of an entry is spent.
///
/// Times of later than the year 2500 are [`Time::NEVER`] here. Generations come again after a million; see
/// [`GENERATIONS`].
#[derive(Clone, Copy)]
struct Stamp(u64);

impl Stamp {
    const NEVER: u64 = (1 << (64 - GENERATION_BITS)) - 1;

    fn new(until: Time, generation: u32) -> Stamp {
        let millis = u64::try_from(until.millis()).unwrap_or(0).min(Self::NEVER);
        Stamp(millis << GENERATION_BITS | u64::from(generation))
    }

    fn until(self) -> Time {
        match self.0 >> GENERATION_BITS {
            Self::NEVER => Time::NEVER,
            millis => Time::from_millis(millis as i64),
        }
    }

    fn generation(self) -> u32 {
        self.0 as u32 % GENERATIONS
    }
}

const GENERATION_BITS: u32 = 20;

/// A generation is used again after so many: each had an entry at least, and for each entry made the sweep frees 32
/// of those that were forgotten. So by then nobody is left of the first, even of [`MAX_ENTRIES`].
const GENERATIONS: u32 = 1 << GENERATION_BITS;
const _: () = assert!(GENERATIONS as usize * 32 > MAX_ENTRIES);

/// As many bucket heads as slots. They have nothing to do with each other, but are needed in equal numbers.
struct Chunk {
    slots: Box<[Slot]>,
    heads: Box<[AtomicU32]>,
}

impl Chunk {
    /// Collected, not copied from an array: that would stand on a worker's stack first.
    fn new() -> Chunk {
        Chunk {
            slots: (0..CHUNK).map(|_| Slot::new()).collect(),
            heads: (0..CHUNK).map(|_| AtomicU32::new(NIL)).collect(),
        }
    }
}

/// Places for chunks, each of which is made when its first slot is used.
type Section = Box<[OnceLock<Chunk>]>;

fn section(chunks: usize) -> Section {
    (0..chunks).map(|_| OnceLock::new()).collect()
}

/// The sections after the first one, each of which is made with its first chunk.
struct Later {
    sections: Box<[OnceLock<Section>]>,
    /// In all of them.
    chunks: usize,
}

impl Later {
    fn new(chunks: usize) -> Later {
        Later { sections: (0..chunks).step_by(SECTION).map(|_| OnceLock::new()).collect(), chunks }
    }

    // Out of line, for the sake of the tables that have but the first section.
    #[inline(never)]
    fn get(&self, at: usize) -> Option<&Chunk> {
        self.sections.get(at / SECTION)?.get()?.get(at % SECTION)?.get()
    }

    fn place(&self, at: usize) -> Option<&OnceLock<Chunk>> {
        let (number, offset) = (at / SECTION, at % SECTION);
        let length = || self.chunks.saturating_sub(number * SECTION).min(SECTION);
        self.sections.get(number)?.get_or_init(|| section(length())).get(offset)
    }
}

/// What [`Table::find`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub slot: u32,
    pub until: Time,
}

/// A reader met a writer; what it read means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Disturbed;

/// The right to change the table. There is one per table; it also knows the slots that are free.
pub(crate) struct Writer {
    used: u32,
    free: u32,
}

impl Writer {
    pub fn new() -> Writer {
        Writer { used: 0, free: NIL }
    }
}

/// The table. One cache line, but for what only large ones have: every verdict reads it, so nothing that moves more often may share it.
#[repr(C, align(64))]
pub(crate) struct Table {
    first: Section,
    /// Keys the hash: whoever chooses URLs must not be able to choose chains. No answer depends on it.
    seed: [u64; 4],
    /// As many buckets as slots have been used.
    buckets: AtomicU32,
    /// Entries of any other were forgotten.
    generation: AtomicU32,
    /// Odd while a writer is at work.
    changes: AtomicU64,
    later: Later,
}

const _: () = assert!(cfg!(loom) || offset_of!(Table, later) == 64);

impl Table {
    pub fn new(max_entries: u32) -> Table {
        let chunks = (max_entries as usize).div_ceil(CHUNK);
        Table {
            first: section(chunks.min(SECTION)),
            seed: seed(),
            buckets: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            changes: AtomicU64::new(0),
            later: Later::new(chunks.saturating_sub(SECTION)),
        }
    }

    /// Finds the entry of a digest. Never disturbed for who holds the [`Writer`].
    pub fn find(&self, digest: &Digest) -> Result<Option<Found>, Disturbed> {
        let words = words(digest);
        let before = self.changes.load(Acquire);
        if before % 2 == 1 {
            return Err(Disturbed);
        }
        let generation = self.generation.load(Relaxed);
        let mut at = self.head(self.bucket(words)).map_or(NIL, |head| head.load(Relaxed));
        loop {
            let read = self.slot(at).map(Slot::read);
            // The fence keeps the reads above from being done after this second look at the count. It is
            // taken at every step, not once in the end: a chain that is being changed may lead in a circle.
            fence(Acquire);
            if self.changes.load(Relaxed) != before {
                return Err(Disturbed);
            }
            let Some((found, stamp, next)) = read else { return Ok(None) };
            if found == words && stamp.generation() == generation {
                return Ok(Some(Found { slot: at, until: stamp.until() }));
            }
            at = next;
        }
    }

    /// Adds an entry for a digest that has none and returns its slot; None if every slot is taken.
    pub fn insert(&self, writer: &mut Writer, digest: &Digest, until: Time) -> Option<u32> {
        let fresh = writer.free == NIL;
        let at = if fresh { writer.used } else { writer.free };
        if fresh {
            let at = place(at).0;
            let place = self.first.get(at).or_else(|| self.later.place(at.checked_sub(SECTION)?));
            place?.get_or_init(Chunk::new);
        }
        let slot = self.slot(at)?;
        self.change(|| {
            if fresh {
                writer.used += 1;
                self.add_bucket(at);
            } else {
                writer.free = slot.next.load(Relaxed);
            }
            for (kept, word) in slot.digest.iter().zip(words(digest)) {
                kept.store(word, Relaxed);
            }
            slot.stamp.store(self.stamp(until), Relaxed);
            slot.hits.store(0, Relaxed);
            slot.reason.store(Reason::VCL.code(), Relaxed);
            self.push(at, slot);
        });
        Some(at)
    }

    /// Gives an entry another expiry.
    pub fn extend(&self, _writer: &mut Writer, at: u32, until: Time) {
        if let Some(slot) = self.slot(at) {
            slot.stamp.store(self.stamp(until), Relaxed);
        }
    }

    /// Forgets every entry: none is found any more. Their slots stay taken until they are removed.
    pub fn forget(&self, _writer: &mut Writer) {
        self.change(|| {
            let next = (self.generation.load(Relaxed) + 1) % GENERATIONS;
            self.generation.store(next, Relaxed);
        });
    }

    fn stamp(&self, until: Time) -> u64 {
        Stamp::new(until, self.generation.load(Relaxed)).0
    }

    /// Says why an entry was made.
    pub fn explain(&self, _writer: &mut Writer, at: u32, reason: Reason) {
        if let Some(slot) = self.slot(at) {
            slot.reason.store(reason.code(), Relaxed);
        }
    }

    /// Counts that an entry refused. For readers: if the slot has just got another one, that one has it.
    pub fn hit(&self, at: u32) {
        if let Some(slot) = self.slot(at) {
            // Not add: of two who find one short of the last, the second would begin anew.
            let _ = slot.hits.fetch_update(Relaxed, Relaxed, |hits| hits.checked_add(1));
        }
    }

    /// What else is known of an entry, for who holds the [`Writer`]: digest, reason and hits.
    pub fn details(&self, _writer: &Writer, at: u32) -> Option<(Digest, Reason, u16)> {
        let slot = self.slot(at)?;
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(slot.words()) {
            *bytes = word.to_ne_bytes();
        }
        Some((digest, Reason::from_code(slot.reason.load(Relaxed)), slot.hits.load(Relaxed)))
    }

    /// Removes an entry; its slot is free.
    pub fn remove(&self, writer: &mut Writer, at: u32) {
        let Some(slot) = self.slot(at) else { return };
        let Some(mut link) = self.head(self.bucket(slot.words())) else { return };
        while link.load(Relaxed) != at {
            let Some(before) = self.slot(link.load(Relaxed)) else { return };
            link = &before.next;
        }
        self.change(|| {
            link.store(slot.next.load(Relaxed), Relaxed);
            slot.next.store(writer.free, Relaxed);
            writer.free = at;
        });
    }

    /// Does `work`, for the holder of the [`Writer`], so that readers notice.
    pub fn change(&self, work: impl FnOnce()) {
        let before = self.changes.load(Relaxed);
        self.changes.store(before.wrapping_add(1), Relaxed);
        // Whoever sees one of the stores of `work` sees the odd count, too.
        fence(Release);
        work();
        self.changes.store(before.wrapping_add(2), Release);
    }

    /// Opens bucket number `new` and moves there what belongs there: the bucket whose number is the
    /// same but for the topmost bit held it so far.
    fn add_bucket(&self, new: u32) {
        self.buckets.store(new + 1, Relaxed);
        let Some(top) = new.checked_ilog2() else { return };
        let Some(head) = self.head(new ^ (1 << top)) else { return };
        let mut at = head.swap(NIL, Relaxed);
        while let Some(slot) = self.slot(at) {
            let next = slot.next.load(Relaxed);
            self.push(at, slot);
            at = next;
        }
    }

    fn push(&self, at: u32, slot: &Slot) {
        if let Some(head) = self.head(self.bucket(slot.words())) {
            slot.next.store(head.swap(at, Relaxed), Relaxed);
        }
    }

    #[inline]
    fn chunk(&self, at: usize) -> Option<&Chunk> {
        match self.first.get(at) {
            Some(chunk) => chunk.get(),
            None => self.later.get(at.checked_sub(SECTION)?),
        }
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        // The end of nearly every way: in no chunk, but that takes longer to see.
        if at == NIL {
            return None;
        }
        let (chunk, offset) = place(at);
        self.chunk(chunk)?.slots.get(offset)
    }

    fn head(&self, bucket: u32) -> Option<&AtomicU32> {
        let (chunk, offset) = place(bucket);
        self.chunk(chunk)?.heads.get(offset)
    }

    fn bucket(&self, words: [u64; 4]) -> u32 {
        let buckets = self.buckets.load(Relaxed);
        let mask = buckets.next_power_of_two() - 1;
        let at = self.hash(words) as u32 & mask;
        if at < buckets { at } else { at & (mask >> 1) }
    }

    fn hash(&self, [a, b, c, d]: [u64; 4]) -> u64 {
        let [w, x, y, z] = self.seed;
        fold(a ^ w, b ^ x) ^ fold(c ^ y, d ^ z)
    }
}

#[cfg(not(loom))]
fn seed() -> [u64; 4] {
    let random = RandomState::new();
    [0, 1, 2, 3].map(|n| random.hash_one(n))
}

/// The same in each run, which is what loom asks for.
#[cfg(loom)]
fn seed() -> [u64; 4] {
    [1, 20, 300, 4000]
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn words(digest: &Digest) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

#[cfg(all(test, not(loom)))]
mod tests;

/// Every order in which a reader may see what a writer does, and not only those that this processor shows:
/// `tests/check orders` runs these.
#[cfg(all(test, loom))]
mod orders;
