// SPDX-License-Identifier: BSD-2-Clause
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
