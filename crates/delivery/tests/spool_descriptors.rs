// SPDX-License-Identifier: BSD-2-Clause
//! A process without free descriptors keeps what is in its spool, and gives it to a new client: the only test of its
//! process, whose limit it lowers.

mod spool_client;

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, Instant};

use delivery::counters::{Ledger, Tally};
use delivery::spool::spools::Spools;
use protocol::category::Category;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use spool_client::{make_folder, open};

#[test]
fn a_process_without_descriptors_loses_no_spooled_entry() {
    let folder = std::env::temp_dir().join(format!("spool-descriptors-{}", std::process::id()));
    let settings = make_folder(&folder);
    let other = make_folder(&folder.join("other"));
    let (spools, ledger) = (Spools::default(), Arc::new(Ledger::new(None)));
    let spool = open(&spools, &settings, &ledger);
    assert!((0..61).all(|n| spool.keep(n, 100)));

    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    let held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!held.is_empty());
    assert!(!spool.keep(99, 100));
    let deadline = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < deadline {
        assert_eq!(spool.drain(), [0; 0]);
        std::thread::yield_now();
    }
    let (new, late) = (open(&spools, &settings, &ledger), open(&spools, &other, &ledger));
    assert!(!late.keep(1, 100));
    assert!(!late.handle.condition().usable);
    assert_eq!(ledger.told(Category::Error, Tally::Spooled), 61);
    drop(held);

    new.wait();
    late.wait();
    assert_eq!(new.drain(), (0..61).collect::<Vec<_>>());
    assert!(late.keep(2, 100));
    assert_eq!(ledger.told(Category::Error, Tally::Sent), 61);
    drop((spool, new, late));
    fs::remove_dir_all(folder).unwrap();
}
