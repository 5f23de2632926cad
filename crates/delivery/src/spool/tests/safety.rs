// SPDX-License-Identifier: BSD-2-Clause
//! Which folders are used: those that are ours alone, reached without a link.

use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, Mode, Uid, chown, mknodat};

use super::*;
use crate::spool::disk::Unusable;

fn refusal(root: &Path) -> String {
    match directory::open(root, "h,1") {
        Ok(_) => "taken".to_owned(),
        Err(Unusable::Taken) => "locked".to_owned(),
        Err(Unusable::Unsafe(text)) => text,
        Err(Unusable::Io(error)) => format!("{:?}", error.kind()),
    }
}

/// A root whose project folder is there already.
fn with_folder() -> Root {
    let root = Root::new();
    fs::create_dir(root.folder()).unwrap();
    set_mode(&root.folder(), 0o700);
    root
}

#[test]
fn a_folder_is_made_for_the_owner_alone() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(peer.keep(1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&root.folder()), mode(&root.folder().join("lock"))), (0o700, 0o600));
    assert_eq!(mode(&root.folder().join(&root.names()[0])), 0o600);
    assert_eq!(refusal(&root.0), "locked");
}

#[test]
fn no_link_is_followed() {
    let (root, other) = (Root::new(), with_folder());
    symlink(&other.0, root.0.join("link")).unwrap();
    for link in ["link", "link/", "link/."] {
        assert_eq!(refusal(&root.0.join(link)), "NotADirectory", "{link}");
    }
    symlink(other.folder(), root.folder()).unwrap();
    assert_eq!(refusal(&root.0), "NotADirectory");
    symlink("/dev/null", other.folder().join("lock")).unwrap();
    assert_eq!(refusal(&other.0), "FilesystemLoop");
    symlink(other.0.join("made"), with_folder().folder().join("lock")).unwrap();
    assert!(!other.0.join("made").exists());
}

#[test]
fn what_is_no_folder_is_none() {
    let root = Root::new();
    let file = root.0.join("file");
    fs::write(&file, "").unwrap();
    for (path, kind) in [(root.0.join("missing"), "NotFound"), (file, "NotADirectory"), (PathBuf::new(), "NotFound")] {
        assert_eq!(refusal(&path), kind, "{path:?}");
    }
    fs::write(root.folder(), "").unwrap();
    assert_eq!(refusal(&root.0), "NotADirectory");
}

#[test]
fn nobody_else_may_write() {
    for (mode, shown) in [(0o777, "0777"), (0o770, "0770"), (0o702, "0702"), (0o1777, "01777")] {
        let root = with_folder();
        set_mode(&root.0, mode);
        assert_eq!(refusal(&root.0), format!("others may write to the folder: its mode is {shown}"));
        let root = with_folder();
        set_mode(&root.folder(), mode);
        assert_eq!(refusal(&root.0), format!("others may write to h,1: its mode is {shown}"));
    }
    let root = with_folder();
    fs::write(root.folder().join("lock"), "").unwrap();
    set_mode(&root.folder().join("lock"), 0o666);
    assert_eq!(refusal(&root.0), "others may write to its lock: its mode is 0666");
    let root = with_folder();
    set_mode(&root.0, 0o755);
    assert_eq!(refusal(&root.0), "taken");
}

#[test]
fn nobody_else_may_own_it() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a folder away.
        return;
    }
    let root = with_folder();
    fs::write(root.folder().join("lock"), "").unwrap();
    set_mode(&root.folder().join("lock"), 0o600);
    let (other, us) = (Some(Uid::from_raw(12_345)), Some(Uid::ROOT));
    for (path, what) in
        [(root.0.clone(), "the folder"), (root.folder(), "h,1"), (root.folder().join("lock"), "its lock")]
    {
        chown(&path, other, None).unwrap();
        assert_eq!(refusal(&root.0), format!("{what} belongs to uid 12345"));
        chown(&path, us, None).unwrap();
    }
    assert_eq!(refusal(&root.0), "taken");
}

#[test]
fn a_lock_that_is_no_file_hangs_nothing() {
    let root = with_folder();
    mknodat(CWD, root.folder().join("lock"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (spools, clock) = (Spools::default(), StillClock::new());
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(!peer.keep(1));
    let error = peer.condition().last_error.unwrap();
    assert!(error.contains("its lock is no regular file, going on without; expected a folder owned by "), "{error}");
    fs::remove_file(root.folder().join("lock")).unwrap();
    fs::create_dir(root.folder().join("lock")).unwrap();
    assert_eq!(refusal(&root.0), "IsADirectory");
}
