// SPDX-License-Identifier: BSD-2-Clause
//! Small files that this or somebody else wrote: the one with a DSN, how far the daemon has read, the marker of a child. What is read of one is what is in it, of one that is none
//! nothing is, and no error says a key.
#![no_main]
// Not all of what is shared is asked here.
#![allow(dead_code)]

#[path = "../../../crates/delivery/src/dsn_file.rs"]
mod dsn_file;
#[path = "../../../varnishsentry/src/reader/remembering.rs"]
mod remembering;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use event::lifecycle::marker;
use fuzz::bytes::Bytes;
use fuzz::spooled::change;
use libfuzzer_sys::fuzz_target;
use protocol::dsn::Dsn;
use remembering::{Memo, StateFile};
use transaction::source::Child;
use vapi::place::Position;

const KEY: &str = "hunter2hunter2";

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("fuzz-files-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
});

fn dsn(input: &mut Bytes<'_>, path: &Path) {
    let secret = input.pick(&["", ":hunter2hunter2"]);
    let mut text = format!(
        "{}https://{KEY}{secret}@h/7{}",
        input.pick(&["", "\u{feff}", "\"", "\n"]),
        input.pick(&["", "\n", "\"\r\n"])
    )
    .into_bytes();
    while !input.is_empty() {
        change(&mut text, input);
    }
    fs::write(path, &text).unwrap();
    // No DSN is longer.
    text.truncate(4096);
    let expected = str::from_utf8(&text).ok().and_then(|text| Dsn::parse(text).ok());
    match dsn_file::read(path) {
        Ok(dsn) => assert_eq!(Some(dsn), expected),
        Err(error) => {
            assert!(expected.is_none(), "{error}");
            assert!(error.starts_with(&format!("dsn_file {}: ", path.display())) && error.lines().count() == 1);
            assert!(!error.contains(&KEY[..7]), "{error}");
        }
    }
}

fn process(input: &mut Bytes<'_>) -> Option<Child> {
    let (pid, started) = (u64::from_le_bytes(input.array()), u64::from(input.byte()));
    (pid != 0).then_some(Child { pid, started })
}

/// What was written is read, and what is read of a changed file is what would be written.
fn state(input: &mut Bytes<'_>, path: &Path) {
    let log = input.word("_.Log0123456789abcdef ", 30);
    let memo = Memo {
        log: log.clone(),
        child: process(input),
        manager: process(input),
        position: Position { segment: u32::from_le_bytes(input.array()), offset: u64::from_le_bytes(input.array()) },
        panics: u64::from(input.byte()),
    };
    let _ = fs::remove_file(path);
    StateFile::new(path).write(&memo).unwrap();
    assert_eq!(StateFile::new(path).read(), Ok(Some(memo)));
    let mut text = fs::read(path).unwrap();
    while !input.is_empty() {
        change(&mut text, input);
    }
    fs::write(path, &text).unwrap();
    match StateFile::new(path).read() {
        Ok(memo) => {
            let memo = memo.expect("a file that is there");
            fs::remove_file(path).unwrap();
            StateFile::new(path).write(&memo).unwrap();
            assert_eq!(StateFile::new(path).read(), Ok(Some(memo)));
        }
        Err(error) => {
            assert!(error.starts_with(&format!("{}: ", path.display())) && error.lines().count() == 1, "{error}")
        }
    }
}

/// A death is told if a child of the same parent has left a marker, and nothing else is one.
fn death(input: &mut Bytes<'_>, path: &Path) {
    let child = |pid: u32, parent: &str, started: u64| marker::Child {
        pid,
        parent: parent.to_owned(),
        started: UNIX_EPOCH + Duration::from_secs(started),
    };
    let parent = "1 2 0c1d7a5e-8c9f-4f5a-9f4e-5d2f8f0f7a11";
    let before = child(u32::from(input.byte()), input.pick(&[parent, "1 3 x"]), u64::from(input.byte()));
    let now = child(7, parent, 1_000_000);
    let _ = fs::remove_file(path);
    assert_eq!(before.mark(path).unwrap(), None);
    let is_changed = !input.is_empty();
    let mut text = fs::read(path).unwrap();
    while !input.is_empty() {
        change(&mut text, input);
    }
    fs::write(path, &text).unwrap();
    let told = now.mark(path).unwrap();
    if !is_changed {
        let is_death = before.parent == parent && before.pid != 7;
        assert_eq!(told, is_death.then_some(marker::Death { pid: before.pid, started: before.started }));
    }
    if let Some(death) = told {
        let text = String::from_utf8_lossy(&text);
        assert!(death.pid != 7 && text.lines().nth(1).is_some_and(|line| line.parse() == Ok(death.pid)));
        assert!(text.lines().any(|line| line == parent));
    }
    // It is this child's now, and goes with it.
    assert_eq!(now.mark(path).unwrap(), None);
    now.unmark(path);
    assert!(!path.exists());
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    match input.byte() % 3 {
        0 => dsn(&mut input, &FOLDER.join("dsn")),
        1 => state(&mut input, &FOLDER.join("state")),
        _ => death(&mut input, &FOLDER.join("marker")),
    }
});
