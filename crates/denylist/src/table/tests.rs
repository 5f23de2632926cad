// SPDX-License-Identifier: BSD-2-Clause
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
