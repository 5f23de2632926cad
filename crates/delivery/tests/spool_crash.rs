// SPDX-License-Identifier: BSD-2-Clause
//! A process that is killed: all that was on disk is found, and what was half written is not. It starts processes, and a
//! lock that is held at that moment is held by them, too, for a moment: no other test is in this one.

mod spool_client;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use delivery::counters::{Ledger, Tally};
use delivery::settings::SpoolSettings;
use delivery::spool::spools::Spools;
use protocol::category::Category;
use spool_client::{make_folder, open};

const FOLDER: &str = "SPOOL_TEST_FOLDER";

/// Not a test: the process that is killed.
#[test]
#[ignore = "the child of the other one"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let settings = SpoolSettings { folder: folder.into(), bytes: 1 << 40, age: Duration::MAX };
    let (spools, ledger) = (Spools::default(), Arc::new(Ledger::new(None)));
    let peer = open(&spools, &settings, &ledger);
    for n in 0..100_000 {
        assert!(peer.keep(n, 20_000));
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nkept {n}").and_then(|()| out.flush()).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

#[test]
fn what_was_on_disk_when_a_process_was_killed_is_found() {
    for round in 0..5 {
        let root = std::env::temp_dir().join(format!("spool-crash-{}-{round}", std::process::id()));
        let settings = make_folder(&root);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(FOLDER, &root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut kept = lines.filter(|line| line.starts_with("kept "));
        let before = kept.by_ref().take(20 + round * 7).count();
        child.kill().unwrap();
        // What it had said until then.
        let all = before + kept.count();
        child.wait().unwrap();
        let folder = root.join("h,1");
        fs::write(folder.join(format!("{}.new", names(&folder)[0].trim_end_matches(".new"))), "half").unwrap();

        let (spools, ledger) = (Spools::default(), Arc::new(Ledger::new(None)));
        let peer = open(&spools, &settings, &ledger);
        peer.wait();
        let found = peer.drain();
        assert!(found.len() >= all && all >= 20, "{all} kept, {} found", found.len());
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        assert_eq!(ledger.told(Category::Error, Tally::Found), found.len() as u64);
        assert_eq!(names(&folder), [""; 0]);
        drop(peer);
        fs::remove_dir_all(root).unwrap();
    }
}
