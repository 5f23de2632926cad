// SPDX-License-Identifier: BSD-2-Clause
//! What is known of the daemon at one moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use transaction::source::Child;

use super::watched::{Watched, Workers};
use crate::reader::settings::Input;
use crate::report::group_event::grouping_told;

/// All of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: String,
    pub pid: u32,
    /// When it was started, in seconds since the epoch.
    pub since: u64,
    pub workers: Vec<WorkerSnapshot>,
}

/// One worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkerSnapshot {
    pub name: String,
    /// `None` is the server's default.
    pub instance: Option<String>,
    pub query: Option<String>,
    pub grouping: String,
    /// Its reader gets on.
    pub alive: bool,
    /// There is a log to read.
    pub reading: bool,
    /// What is logged now would get to Sentry.
    pub ready: bool,
    pub child: Option<ChildSnapshot>,
    /// What the server calls itself.
    pub identity: Option<String>,
    /// Read since the start, or since the reload that changed what is read.
    pub groups: u64,
    /// Of these, those that were looked at as a whole.
    pub wanted: u64,
    pub records: u64,
    /// In seconds since the epoch, 0 if nothing was read.
    pub last_read: f64,
    pub lost: BTreeMap<String, u64>,
    /// Faults of our own while a group was looked at: what it was is lost.
    pub panics: u64,
    /// How often each filter has led an event.
    pub found: BTreeMap<String, u64>,
    /// What the module's `sentry.status()` says of a client.
    pub client: Value,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ChildSnapshot {
    pub pid: u64,
    pub started: u64,
}

impl Snapshot {
    pub fn of(workers: &Workers, now: Instant) -> Snapshot {
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: workers.since,
            workers: workers.all().iter().map(|worker| WorkerSnapshot::of(worker, now)).collect(),
        }
    }
}

impl WorkerSnapshot {
    fn of(worker: &Watched, now: Instant) -> WorkerSnapshot {
        let (reading, progress) = (&worker.reading, &worker.progress);
        let instance = match &reading.input {
            Input::Server(name) => name.as_ref().map(|name| name.to_string_lossy().into_owned()),
            // Whoever reads a file is not asked.
            Input::File(_) => None,
        };
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let lost = [
            ("overruns", &progress.overruns),
            ("overwritten", &progress.overwritten),
            ("store_overflows", &progress.store_overflows),
            ("out_of_memory", &progress.out_of_memory),
            ("timeouts", &progress.timeouts),
            ("gaps", &progress.gaps),
        ];
        let child = progress.child().map(|Child { pid, started }| ChildSnapshot { pid, started });
        WorkerSnapshot {
            name: worker.name().to_owned(),
            instance,
            query: reading.query.clone(),
            grouping: grouping_told(reading.grouping).to_owned(),
            alive: worker.is_alive(now),
            reading: progress.is_reading.load(Ordering::Relaxed),
            ready: worker.obstacle(now).is_none(),
            child,
            identity: worker.view.identity(),
            groups: of(&progress.groups),
            wanted: of(&progress.wanted),
            records: of(&progress.records),
            last_read: of(&progress.last_read) as f64 / 1000.0,
            lost: lost.map(|(name, number)| (name.to_owned(), of(number))).into(),
            panics: of(&progress.panics),
            found: worker.view.found(),
            client: serde_json::from_str(&worker.client.status(now)).unwrap_or_default(),
        }
    }
}
