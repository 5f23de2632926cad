// SPDX-License-Identifier: BSD-2-Clause
//! What lies in the folder and is none of ours, or is not what was written.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, Uid, chown, mknodat};

use super::*;
use crate::counters::Counter;
use protocol::reason::Reason;

/// A folder with the entries of an earlier process in it.
fn left_behind(numbers: impl IntoIterator<Item = u64>) -> Root {
    let (root, spools) = (Root::new(), Spools::default());
    let peer = Opening::real().open(&spools, &root);
    assert!(numbers.into_iter().all(|n| peer.keep(n)));
    drop(peer.handle);
    // Until the lock is free.
    while directory::open(&root.0, "h,1").is_err() {
        std::thread::yield_now();
    }
    root
}

/// The next process.
fn next(root: &Root) -> (Spools, Peer) {
    let spools = Spools::default();
    let peer = Opening::real().open(&spools, root);
    peer.wait_until(|condition| condition.usable);
    (spools, peer)
}

#[test]
fn what_is_not_ours_is_left_alone_counted_and_said() {
    let root = left_behind(1..=3);
    let names = root.names();
    let file = |name: &str| root.folder().join(name);
    let (one, two) = (names[0].as_str(), names[1].as_str());
    let other = |from: &str, to: &str| file(&one.replace(from, to));
    fs::write(file("README"), "x").unwrap();
    fs::write(file("00000001000000-01010101010141018101010101010101.event"), "vmod-sentry spool 1 00000000 2\n{}")
        .unwrap();
    fs::write(file("00000001000000-01010101010141018101010101010101.event.new"), "").unwrap();
    fs::write(other(".entry", ".entry3"), "x").unwrap();
    fs::write(other("error=1", "sunshine=1"), "x").unwrap();
    fs::create_dir(other("000-", "001-")).unwrap();
    symlink(file(two), other("000-", "002-")).unwrap();
    symlink("/dev/zero", other("000-", "003-")).unwrap();
    mknodat(CWD, other("000-", "004-"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(file(&format!("{}.new", one)), "half").unwrap();
    let (_spools, peer) = next(&root);
    assert_eq!(peer.condition().entries, 3);
    assert_eq!(peer.ledger.get(Counter::SpoolFailures), 9);
    assert!(peer.lines().contains("9 foreign files, left alone"), "{}", peer.lines());
    assert_eq!(peer.drain(), ids(1..=3));
    let left = root.names();
    assert_eq!(left.len(), 9, "what was half written has gone, and nothing else: {left:?}");
}

#[test]
fn files_of_another_user_are_left_alone() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away.
        return;
    }
    let root = left_behind(1..=80);
    let names = root.names();
    for name in &names[..72] {
        chown(root.folder().join(name), Some(Uid::from_raw(12_345)), None).unwrap();
    }
    let (_spools, peer) = next(&root);
    assert!(peer.lines().contains("72 foreign files, left alone"), "{}", peer.lines());
    // One more is given away behind our back.
    chown(root.folder().join(&names[72]), Some(Uid::from_raw(12_345)), None).unwrap();
    assert_eq!(peer.drain(), ids(74..=80));
    assert_eq!(root.names(), names[..73]);
    assert_eq!((peer.told(Tally::Found), peer.told(Tally::Dropped(Reason::CacheOverflow))), (8, 1));
    assert_eq!(peer.told(Tally::Spooled), 0);
}

#[test]
fn a_file_of_a_wrong_length_costs_that_file() {
    for length in [65 << 20, 0, 100, 3 << 20] {
        let root = left_behind(1..=32);
        let names = root.names();
        let file = fs::OpenOptions::new().write(true).open(root.folder().join(&names[9])).unwrap();
        file.set_len(length).unwrap();
        let (_spools, peer) = next(&root);
        assert!(peer.lines().contains("1 files of a wrong length, removed"), "{}", peer.lines());
        assert!(peer.reported().contains(r#""reason":"cache_overflow","category":"error","quantity":1"#));
        assert_eq!(peer.drain(), ids((1..=32).filter(|n| *n != 10)));
        assert_eq!((peer.told(Tally::Found), peer.told(Tally::Sent)), (32, 31));
        assert_eq!(peer.told(Tally::Dropped(Reason::CacheOverflow)), 1);
        assert_eq!(root.names(), [""; 0]);
    }
}

#[test]
fn a_damaged_file_costs_that_file() {
    let root = left_behind(1..=6);
    let names = root.names();
    let path = |n: usize| root.folder().join(&names[n]);
    let mut bytes = fs::read(path(0)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path(0), bytes).unwrap();
    // Another entry's file, whole.
    fs::copy(path(3), path(2)).unwrap();
    // Another version's, in a file of ours.
    let text = fs::read_to_string(path(4)).unwrap();
    fs::write(path(4), text.replace("spool 3", "spool 7")).unwrap();
    let (_spools, peer) = next(&root);
    // One more goes behind our back.
    fs::remove_file(path(5)).unwrap();
    assert_eq!(peer.drain(), ids([2, 4]));
    assert_eq!(root.names(), [names[4].clone()]);
    assert_eq!((peer.told(Tally::Found), peer.told(Tally::Sent), peer.told(Tally::Spooled)), (6, 2, 0));
    assert_eq!(peer.told(Tally::Dropped(Reason::CacheOverflow)), 4);
    assert_eq!(peer.ledger.get(Counter::SpoolFailures), 4);
    assert!(peer.lines().contains("is damaged, removed"), "{}", peer.lines());
    assert!(peer.condition().last_error.unwrap().contains("has gone"));
}
