// SPDX-License-Identifier: BSD-2-Clause
//! A disk that fails: no error removes an entry, and each is said, counted, and tried again after a pause.

use super::*;
use crate::counters::Counter;
use protocol::reason::Reason;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_error_of_reading_costs_no_entry() {
    for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EACCES, libc::EPERM, libc::EIO, libc::ESTALE] {
        let (root, clock) = (Root::new(), StillClock::new());
        let (spools, disk) = failing_spools();
        let peer = Opening::new(&clock).open(&spools, &root);
        assert!((1..=20).all(|n| peer.keep(n)));
        disk.set(|faults| faults.read = Some(errno));
        for _ in 0..7 {
            assert!(peer.take().is_none());
            clock.pass(SECOND);
        }
        assert_eq!((peer.told(Tally::Spooled), root.names().len()), (20, 20), "{errno}");
        let condition = peer.condition();
        assert!(condition.failing && condition.usable);
        let error = io::Error::from_raw_os_error(errno).to_string();
        assert!(condition.last_error.unwrap().contains(&error) && peer.lines().contains(&error), "{}", peer.lines());
        assert!(peer.ledger.get(Counter::SpoolFailures) > 0);
        assert!(peer.take().is_none());
        assert_eq!(peer.handle.condition().ready, 0, "in the pause");
        disk.set(|faults| faults.read = None);
        assert!(peer.take().is_none(), "still in the pause");
        clock.pass(SECOND);
        let mut sent = peer.drain();
        if [libc::EMFILE, libc::ENFILE, libc::ENOMEM].contains(&errno) {
            assert_eq!(sent, ids(1..=20), "the fault is no file's");
        }
        sent.sort_by_key(|id| id.to_hex());
        assert_eq!(sent, ids(1..=20));
        assert!(!peer.condition().failing);
    }
}

#[test]
fn a_file_that_cannot_be_read_holds_up_no_other_one() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!((1..=4).all(|n| peer.keep(n)));
    disk.set(|faults| (faults.read, faults.read_only_of) = (Some(libc::EIO), id(1).to_string()));
    assert!(peer.take().is_none());
    clock.pass(SECOND);
    assert_eq!(peer.drain(), ids(2..=4));
    assert_eq!((peer.condition().entries, root.names().len()), (1, 1));
}

#[test]
fn an_error_of_writing_is_told_and_tried_again() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(peer.keep(1));
    disk.set(|faults| faults.write = Some(libc::ENOSPC));
    assert!(!peer.keep(2));
    let condition = peer.handle.condition();
    assert!(!condition.usable && condition.failing, "before the reply");
    assert_eq!(peer.handle.condition().ready, 1, "what is there can be had");
    disk.set(|faults| faults.write = None);
    assert!(!peer.keep(3), "in the pause");
    clock.pass(SECOND);
    assert!(peer.condition().usable);
    assert!(peer.keep(4));
    assert!(!peer.condition().failing);
    assert_eq!(peer.ledger.get(Counter::SpoolFailures), 1);
    assert_eq!((peer.told(Tally::Spooled), peer.told(Tally::SpoolWritten)), (2, 2));
    assert_eq!(peer.drain(), ids([1, 4]));
}

#[test]
fn a_disk_that_has_room_again_is_found_out_without_being_asked() {
    for errno in [libc::ENOSPC, libc::EDQUOT, libc::EROFS, libc::EIO] {
        let root = Root::new();
        let (spools, disk) = failing_spools();
        let peer = Opening::real().open(&spools, &root);
        assert!(peer.keep(1));
        disk.set(|faults| faults.write = Some(errno));
        assert!(!peer.keep(2));
        assert!(peer.condition().failing);
        disk.set(|faults| faults.write = None);
        peer.wait_until(|condition| condition.usable);
        assert!(!peer.handle.condition().failing);
        assert_eq!(root.names().len(), 1, "nothing is left of the try");
        assert!(peer.handle.condition().last_error.is_some(), "it stays");
    }
}

#[test]
fn a_disk_that_stays_full_is_told_once_and_tried_on() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    disk.set(|faults| faults.write = Some(libc::ENOSPC));
    assert!(!peer.keep(1));
    for _ in 0..90 {
        clock.pass(SECOND);
        let condition = peer.condition();
        assert!(condition.failing && !condition.usable);
    }
    assert_eq!((peer.ledger.get(Counter::SpoolFailures), peer.lines().matches("No space").count()), (1, 1));
    disk.set(|faults| faults.write = None);
    clock.pass(SECOND);
    let condition = peer.condition();
    assert!(!condition.failing && condition.usable);
}

#[test]
fn a_file_of_the_size_that_did_not_fit_is_tried_and_removed() {
    let root = Root::new();
    let disk = directory::open(&root.0, "h,1").unwrap();
    // Left by a try that could not remove it.
    fs::write(root.folder().join("x.new"), "old").unwrap();
    for length in [0, 1, 3 << 20] {
        disk.try_write("x.new", length).unwrap();
        assert_eq!(root.names(), [""; 0]);
    }
    assert_eq!(disk.try_write("no/such/folder", 1).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_can_be_read_or_removed_again_is_found_out_without_being_asked() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!((1..=3).all(|n| peer.keep(n)));
    for (read, remove) in [(Some(libc::EIO), None), (None, Some(libc::EROFS))] {
        disk.set(|faults| (faults.read, faults.remove) = (read, remove));
        let entry = peer.take();
        if let Some(entry) = &entry {
            peer.handle.settle(entry.lease(), Fate::Sent);
        }
        for _ in 0..3 {
            assert!(peer.condition().failing);
            clock.pass(SECOND);
        }
        disk.set(|faults| (faults.read, faults.remove) = (None, None));
        clock.pass(SECOND);
        let condition = peer.condition();
        assert!(!condition.failing, "{:?}", condition.last_error);
        assert_eq!(condition.ready, if entry.is_some() { 2 } else { 3 });
    }
}

#[test]
fn a_folder_that_cannot_be_listed_keeps_what_is_in_it() {
    let root = Root::new();
    {
        let spools = Spools::default();
        let peer = Opening::real().open(&spools, &root);
        assert!((1..=5).all(|n| peer.keep(n)));
    }
    let (spools, disk) = failing_spools();
    disk.set(|faults| faults.list = Some(libc::EMFILE));
    let peer = Opening::real().open(&spools, &root);
    let condition = peer.condition();
    assert!(!condition.usable && condition.failing);
    assert_eq!(root.names().len(), 5);
    disk.set(|faults| faults.list = None);
    // Without being asked.
    peer.wait_until(|condition| condition.usable);
    assert_eq!(peer.drain(), ids(1..=5));
}

#[test]
fn a_folder_that_has_gone_is_made_again() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(peer.keep(1));
    fs::remove_dir_all(root.folder()).unwrap();
    assert!(!peer.keep(2));
    assert!(!peer.handle.condition().usable);
    clock.pass(SECOND);
    assert!(peer.keep(3));
    assert_eq!((peer.told(Tally::Spooled), peer.told(Tally::Dropped(Reason::CacheOverflow))), (1, 1));
    assert_eq!(peer.drain(), ids([3]));
}

#[test]
fn a_file_that_cannot_be_removed_is_sent_once_and_stops_the_draining() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!((1..=5).all(|n| peer.keep(n)));
    disk.set(|faults| faults.remove = Some(libc::EPERM));
    assert_eq!(peer.drain(), ids([1]));
    for _ in 0..5 {
        clock.pass(SECOND);
        assert!(peer.take().is_none());
    }
    assert_eq!((peer.told(Tally::Sent), peer.told(Tally::Spooled), root.names().len()), (1, 4, 5));
    let condition = peer.condition();
    assert!(condition.failing && condition.ready == 0);
    assert!(condition.last_error.unwrap().contains("cannot be removed, sending none"));
    // Closed and opened again in this process: not sent again.
    drop(peer.handle);
    let again = Opening { ledger: peer.ledger.clone(), ..Opening::new(&clock) }.open(&spools, &root);
    assert!(again.take().is_none());
    assert_eq!((again.told(Tally::Found), again.told(Tally::Spooled)), (0, 4));
    disk.set(|faults| faults.remove = None);
    clock.pass(SECOND);
    assert_eq!(again.drain(), ids(2..=5));
    assert_eq!(root.names(), [""; 0]);
    assert_eq!((again.told(Tally::Sent), again.told(Tally::Spooled)), (5, 0));
}

#[test]
fn after_a_restart_no_more_than_what_was_sent_comes_again() {
    let root = Root::new();
    let mut sent = Vec::new();
    for _ in 0..3 {
        let (spools, disk) = failing_spools();
        disk.set(|faults| faults.remove = Some(libc::EPERM));
        let peer = Opening::real().open(&spools, &root);
        if sent.is_empty() {
            assert!((1..=9).all(|n| peer.keep(n)));
        }
        peer.wait_until(|condition| condition.entries == 9);
        sent.extend(peer.drain());
    }
    assert_eq!(sent, ids([1, 1, 1]));
}

/// As an operator would see it.
#[test]
fn a_real_folder_that_lets_nothing_go_stops_the_draining() {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!((1..=3).all(|n| peer.keep(n)));
    let folder = fs::File::open(root.folder()).unwrap();
    // Not every file system has the flag, and not everybody may set it.
    let Ok(flags) = ioctl_getflags(&folder) else { return };
    if ioctl_setflags(&folder, flags | IFlags::IMMUTABLE).is_err() {
        return;
    }
    let sent = peer.drain();
    let kept = peer.keep(4);
    ioctl_setflags(&folder, flags).unwrap();
    assert_eq!((sent, kept), (ids([1]), false));
    clock.pass(SECOND);
    assert_eq!(peer.drain(), ids([2, 3]));
    assert_eq!(root.names(), [""; 0]);
}

#[test]
fn a_full_spool_that_cannot_be_trimmed_does_not_grow() {
    let (root, clock) = (Root::new(), StillClock::new());
    let (spools, disk) = failing_spools();
    let peer = Opening { bytes: 3 * 4096, ..Opening::new(&clock) }.open(&spools, &root);
    disk.set(|faults| faults.remove = Some(libc::EPERM));
    for n in 1..=20 {
        peer.keep(n);
        clock.pass(SECOND);
    }
    assert_eq!((peer.condition().entries, root.names().len()), (4, 4));
    assert_eq!(peer.told(Tally::Spooled), 4);
    disk.set(|faults| faults.remove = None);
    clock.pass(SECOND);
    assert_eq!(peer.drain(), ids(2..=4));
}
