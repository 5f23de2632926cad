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
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    /// Without a pattern, as a SHA256 is: the hash relies on that, and puts a row of numbers into a few chains
    /// for one seed of some thousands.
    fn digest(n: u32) -> Digest {
        let mut digest = [0; 32];
        for (part, bytes) in digest.chunks_mut(8).enumerate() {
            let mut hasher = DefaultHasher::new();
            (n, part).hash(&mut hasher);
            bytes.copy_from_slice(&hasher.finish().to_le_bytes());
        }
        digest
    }

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn every_entry_is_found_while_the_table_grows() {
        let (table, mut writer) = (Table::new(3_000), Writer::new());
        for n in 0..3_000 {
            assert_eq!(table.find(&digest(n)), Ok(None));
            assert_eq!(table.insert(&mut writer, &digest(n), at(i64::from(n))), Some(n));
            if n.is_power_of_two() || n % 500 == 0 {
                for m in 0..=n {
                    assert_eq!(table.find(&digest(m)), Ok(Some(Found { slot: m, until: at(i64::from(m)) })));
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_not_found_and_its_digest_is_free() {
        let (table, mut writer) = (Table::new(10), Writer::new());
        let old = table.insert(&mut writer, &digest(1), at(5));
        table.forget(&mut writer);
        assert_eq!(table.find(&digest(1)), Ok(None));
        let new = table.insert(&mut writer, &digest(1), Time::NEVER);
        assert_eq!(table.find(&digest(1)), Ok(new.map(|slot| Found { slot, until: Time::NEVER })));
        // More buckets turn the chains around; the forgotten one stays so.
        for n in 2..10 {
            table.insert(&mut writer, &digest(n), at(7));
            assert_eq!(table.find(&digest(1)).ok().flatten().map(|found| Some(found.slot)), Some(new));
        }
        old.into_iter().for_each(|slot| table.remove(&mut writer, slot));
        assert_eq!(table.find(&digest(1)), Ok(new.map(|slot| Found { slot, until: Time::NEVER })));
        for _ in 0..GENERATIONS {
            table.forget(&mut writer);
        }
        assert_eq!(table.find(&digest(2)), Ok(Some(Found { slot: 2, until: at(7) })));
    }

    #[test]
    fn chains_stay_short() {
        let (table, mut writer) = (Table::new(20_000), Writer::new());
        for n in 0..20_000 {
            table.insert(&mut writer, &digest(n), at(0));
        }
        let mut longest = 0;
        for bucket in 0..20_000 {
            let mut next = table.head(bucket).map_or(NIL, |head| head.load(Relaxed));
            let mut length = 0;
            while let Some(slot) = table.slot(next) {
                (next, length) = (slot.next.load(Relaxed), length + 1);
            }
            longest = longest.max(length);
        }
        assert!((2..20).contains(&longest), "{longest}");
    }

    #[test]
    fn a_removed_slot_is_the_next_to_be_used_and_no_other_entry_goes_with_it() {
        let (table, mut writer) = (Table::new(100), Writer::new());
        for n in 0..100 {
            table.insert(&mut writer, &digest(n), at(1));
        }
        for n in (0..100).step_by(2) {
            table.remove(&mut writer, n);
        }
        for n in 0..100 {
            let entry = (n % 2 == 1).then_some(Found { slot: n, until: at(1) });
            assert_eq!(table.find(&digest(n)), Ok(entry));
        }
        assert_eq!(table.insert(&mut writer, &digest(200), at(2)), Some(98));
        assert_eq!(table.find(&digest(200)), Ok(Some(Found { slot: 98, until: at(2) })));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let (table, mut writer) = (Table::new(1), Writer::new());
        for n in 0..CHUNK as u32 {
            assert_eq!(table.insert(&mut writer, &digest(n), at(1)), Some(n));
        }
        assert_eq!(table.insert(&mut writer, &digest(9_999), at(1)), None);
        assert_eq!(table.find(&digest(9_999)), Ok(None));
        assert_eq!(Table::new(0).insert(&mut Writer::new(), &digest(0), at(1)), None);
    }

    #[test]
    fn a_large_table_takes_memory_as_entries_come_and_ends_where_it_is_to() {
        let (table, mut writer) = (Table::new(MAX_ENTRIES as u32), Writer::new());
        assert_eq!((table.first.len(), table.later.sections.len()), (SECTION, 127));
        let section = (SECTION * CHUNK) as u32;
        for n in 0..section {
            table.insert(&mut writer, &digest(n), at(1));
        }
        assert!(table.later.sections.iter().all(|later| later.get().is_none()));
        for n in section..2 * section + 1 {
            assert_eq!(table.insert(&mut writer, &digest(n), at(1)), Some(n));
        }
        assert_eq!(table.later.sections.iter().filter(|later| later.get().is_some()).count(), 2);
        for n in 0..2 * section + 1 {
            assert_eq!(table.find(&digest(n)), Ok(Some(Found { slot: n, until: at(1) })));
        }
        assert_eq!(table.find(&digest(2 * section + 1)), Ok(None));

        let (small, mut writer) = (Table::new(section + 1), Writer::new());
        for n in 0..section + CHUNK as u32 {
            assert_eq!(small.insert(&mut writer, &digest(n), at(1)), Some(n));
        }
        assert_eq!(small.insert(&mut writer, &digest(u32::MAX), at(1)), None);
    }

    #[test]
    fn a_reader_that_meets_a_writer_says_so() {
        let table = Table::new(10);
        table.change(|| assert_eq!(table.find(&digest(0)), Err(Disturbed)));
        assert_eq!(table.find(&digest(0)), Ok(None));
    }
}

/// Every order in which a reader may see what a writer does, and not only those that this processor shows:
/// `tests/check loom` runs these.
#[cfg(all(test, loom))]
mod orders {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn digest(n: u8) -> Digest {
        [n; 32]
    }

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    /// Entries 1 to `entries`, each until so many milliseconds.
    fn table(entries: u8) -> (Arc<Table>, Writer) {
        let (table, mut writer) = (Table::new(2 * CHUNK as u32), Writer::new());
        for n in 1..=entries {
            table.insert(&mut writer, &digest(n), at(n.into()));
        }
        (Arc::new(table), writer)
    }

    /// Has one thread `write` and this one look for entry `n`; gives what this one found.
    fn seen(entries: u8, n: u8, write: fn(&Table, &mut Writer), check: fn(Result<Option<i64>, Disturbed>)) {
        loom::model(move || {
            let (table, mut writer) = table(entries);
            let writing = {
                let table = Arc::clone(&table);
                thread::spawn(move || write(&table, &mut writer))
            };
            let found = table.find(&digest(n));
            check(found.map(|found| found.map(|found| found.until.millis())));
            writing.join().unwrap();
        });
    }

    /// Each new entry opens a bucket, and what belongs there is moved from another one.
    #[test]
    fn an_entry_is_found_while_others_come() {
        let write = |table: &Table, writer: &mut Writer| {
            table.insert(writer, &digest(9), at(9));
        };
        // The standard's, which outlives the model.
        let moved = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        for entries in 1..=3 {
            for n in 1..=entries {
                let moves = moved.clone();
                loom::model(move || {
                    let (table, mut writer) = table(entries);
                    let before = table.bucket(words(&digest(n)));
                    write(&table, &mut writer);
                    moves.fetch_add(u32::from(table.bucket(words(&digest(n))) != before), Relaxed);
                });
                seen(entries, n, write, |found| assert!(matches!(found, Ok(Some(_)) | Err(Disturbed)), "{found:?}"));
            }
        }
        let moved = moved.load(Relaxed);
        assert!((1..6).contains(&moved), "{moved} of 6");
    }

    #[test]
    fn a_new_entry_is_whole_or_not_there() {
        let write = |table: &Table, writer: &mut Writer| {
            table.insert(writer, &digest(9), at(9));
        };
        seen(1, 9, write, |found| assert!(matches!(found, Ok(None | Some(9)) | Err(Disturbed)), "{found:?}"));
    }

    #[test]
    fn a_slot_that_is_used_again_is_never_taken_for_what_it_was() {
        let write = |table: &Table, writer: &mut Writer| {
            table.remove(writer, 0);
            table.insert(writer, &digest(9), at(9));
        };
        seen(2, 1, write, |found| assert!(matches!(found, Ok(None | Some(1)) | Err(Disturbed)), "{found:?}"));
        seen(2, 9, write, |found| assert!(matches!(found, Ok(None | Some(9)) | Err(Disturbed)), "{found:?}"));
    }

    #[test]
    fn who_has_seen_that_all_were_forgotten_finds_none() {
        let write = |table: &Table, writer: &mut Writer| {
            table.forget(writer);
            table.insert(writer, &digest(1), at(7));
        };
        seen(1, 1, write, |found| assert!(matches!(found, Ok(None | Some(1 | 7)) | Err(Disturbed)), "{found:?}"));
    }

    #[test]
    fn an_entry_given_longer_has_one_time_or_the_other() {
        let write = |table: &Table, writer: &mut Writer| table.extend(writer, 0, at(7));
        seen(1, 1, write, |found| assert!(matches!(found, Ok(Some(1 | 7))), "{found:?}"));
    }
}
