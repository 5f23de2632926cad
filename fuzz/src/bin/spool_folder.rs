// SPDX-License-Identifier: BSD-2-Clause
//! The spool's folder, which may hold anything: files that were cut, changed, or are under another name, beside folders, links
//! and sockets. What is whole is sent as it was written, what is no file of ours stays, and what was found is counted to the last one.
#![no_main]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use delivery::counters::{Counter, Ledger, Tally};
use delivery::spool::directory;
use delivery::spool::disk::Open;
use delivery::spool::file::{self, Problem};
use delivery::spool::file_name;
use delivery::spool::folder::{Folder, Unread};
use delivery::spool::key::Key;
use fuzz::bytes::Bytes;
use fuzz::spooled::{change, is_said, written};
use libfuzzer_sys::fuzz_target;
use protocol::category::{Categories, Category};
use protocol::entry::Part;
use protocol::reason::Reason;

/// More files than this say no more.
const MAX_FILES: usize = 4;

/// What lies in a folder under a name.
#[derive(Clone, PartialEq)]
enum Lying {
    File(Vec<u8>),
    Folder,
    Link,
    Socket,
}

/// What is in a folder, so that two looks can be compared. A socket and a link are there, whatever is behind them.
fn look(folder: &Path) -> BTreeMap<PathBuf, Lying> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "lock");
    let lying = entries.map(|entry| {
        let kind = entry.file_type().unwrap();
        let lying = if kind.is_file() {
            Lying::File(fs::read(entry.path()).unwrap())
        } else if kind.is_dir() {
            Lying::Folder
        } else if kind.is_symlink() {
            Lying::Link
        } else {
            Lying::Socket
        };
        (entry.path(), lying)
    });
    lying.collect()
}

/// The name in a path, if it is one of an entry's file.
fn known(path: &Path) -> Option<(Key, u64, Vec<Part>)> {
    file_name::parse(path.file_name()?.to_str()?)
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let root = std::env::temp_dir().join(format!("fuzz-spool-{}", std::process::id()));
    let folder = root.join("project");
    // The one before may have failed.
    let _ = fs::remove_dir_all(&root);
    for path in [&root, &folder] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    }
    let (mut before, mut untouched) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..MAX_FILES {
        if input.is_empty() {
            break;
        }
        let (contents, name, bytes) = written(&mut input);
        let (mut lies, mut called) = (bytes.clone(), name.clone().into_bytes());
        for _ in 0..input.byte() % 4 {
            let what = if input.byte() % 4 == 0 { &mut called } else { &mut lies };
            change(what, &mut input);
        }
        // What was changed may be no name of a file.
        if called.is_empty() || called.len() > 255 || called.iter().any(|byte| b"/\0".contains(byte)) {
            continue;
        }
        let path = folder.join(OsStr::from_bytes(&called));
        if [&b"."[..], b"..", b"lock"].contains(&&*called) || before.contains_key(&path) {
            continue;
        }
        let lying = match input.byte() {
            0 => {
                fs::create_dir(&path).unwrap();
                Lying::Folder
            }
            1 => {
                symlink(input.pick(&["/dev/zero", "/nowhere", "lock"]), &path).unwrap();
                Lying::Link
            }
            2 => {
                // An address has less room than a name.
                UnixListener::bind(root.join("s")).unwrap();
                fs::rename(root.join("s"), &path).unwrap();
                Lying::Socket
            }
            _ => {
                fs::write(&path, &lies).unwrap();
                if lies == bytes && called == name.as_bytes() {
                    untouched.insert(contents.key, contents);
                }
                Lying::File(lies)
            }
        };
        before.insert(path, lying);
    }
    // Two files of one time and id: which of them counts is not said.
    let twins = |key: Key| before.keys().filter(|path| known(path).is_some_and(|(of, ..)| of == key)).count() > 1;

    let open: Open = Arc::new(directory::open);
    let ledger = Arc::new(Ledger::new(None));
    let mut spool = Folder::default();
    spool.open(&open, &root, "project", &ledger).unwrap();
    let mut sent = Vec::new();
    while let Some(next) = spool.index.next() {
        let (key, name) = (next.key, next.file_name().to_string());
        let Some(Lying::File(bytes)) = before.get(&folder.join(&name)) else { panic!("nobody wrote {name}") };
        match spool.read(key) {
            Ok(contents) => {
                is_said(&contents, bytes);
                assert_eq!(known(Path::new(&name)), Some((key, bytes.len() as u64, contents.parts.clone())));
                untouched.remove(&key).inspect(|was| assert!(*was == contents || twins(key)));
                spool.settle(key, Categories::ALL, Reason::SendError);
                sent.extend(contents.parts);
            }
            // What is in it is none, or another one than the name says.
            Err(Unread::Lost(lost, _)) => {
                let read = file::decode(bytes);
                assert!(read.map(|read| (read.key, read.parts)) != Ok((key, lost.to_vec())));
            }
            Err(Unread::Kept(error)) => panic!("{error}"),
        }
        assert!(spool.index.get(key).is_none(), "it comes again");
    }
    assert!(untouched.into_keys().all(twins), "not sent as it was written");
    assert!(spool.is_clean());
    assert_eq!([Counter::SpoolEntries, Counter::SpoolBytes].map(|gauge| ledger.get(gauge)), [0, 0]);
    for category in Category::ALL {
        let told = |tally| ledger.told(category, tally);
        let ends = told(Tally::Sent).wrapping_add(told(Tally::Dropped(Reason::CacheOverflow)));
        assert_eq!((told(Tally::Found), told(Tally::Spooled)), (ends, 0), "{category:?}");
        let parts = sent.iter().filter(|part| part.category == category);
        let quantity = parts.fold(0_u64, |sum, part| sum.wrapping_add(part.quantity));
        assert_eq!((told(Tally::Sent), told(Tally::SpoolSent)), (quantity, quantity), "{category:?}");
    }
    // What is left is as it was, and was none of ours: it may have been half written, sent, or damaged.
    let after = look(&folder);
    assert!(after.iter().all(|(path, lying)| before[path] == *lying));
    for (path, lying) in before.iter().filter(|(path, _)| !after.contains_key(*path)) {
        let Lying::File(bytes) = lying else { panic!("{} is gone", path.display()) };
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_unknown = file::decode(bytes) == Err(Problem::Unknown);
        let has_length = known(path).is_some_and(|(_, length, _)| length == bytes.len() as u64);
        assert!(file_name::is_unfinished(name) || known(path).is_some() && !(is_unknown && has_length));
    }
    fs::remove_dir_all(&root).unwrap();
});
