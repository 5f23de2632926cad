// SPDX-License-Identifier: BSD-2-Clause
//! How a reader gets on, for others to see: plain numbers, which only the reader changes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use transaction::source::{Child, Lost};

/// Why a reader has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Stopped,
    /// As many groups were read as `-k` says.
    Limit,
    /// The file, or with `-d` the log, is at its end.
    EndOfLog,
    /// The file cannot be read on.
    Broken,
    /// It has a fault of its own.
    Panicked,
}

/// How reading goes. All numbers are of the time since the reader has started.
#[derive(Debug, Default)]
pub struct Progress {
    /// Moves on with each turn of the loop, at least every second, whether or not there is something to read: what does not move is stuck.
    pub beats: AtomicU64,
    /// Groups that the query let pass.
    pub groups: AtomicU64,
    /// Groups that the consumer wanted.
    pub wanted: AtomicU64,
    /// Records of no transaction.
    pub records: AtomicU64,
    /// When something was read last, in milliseconds since 1970; 0 if nothing was.
    pub last_read: AtomicU64,
    /// Calls of the consumer that panicked: what it was told of is lost.
    pub panics: AtomicU64,
    pub overruns: AtomicU64,
    pub overwritten: AtomicU64,
    pub store_overflows: AtomicU64,
    pub out_of_memory: AtomicU64,
    pub timeouts: AtomicU64,
    pub gaps: AtomicU64,
    /// Whether there is a log to read.
    pub is_reading: AtomicBool,
    child_pid: AtomicU64,
    child_started: AtomicU64,
    ending: OnceLock<Ending>,
}

impl Progress {
    /// The child whose log is read, or was last.
    pub fn child(&self) -> Option<Child> {
        let child =
            Child { pid: self.child_pid.load(Ordering::Relaxed), started: self.child_started.load(Ordering::Relaxed) };
        (child.pid != 0).then_some(child)
    }

    /// Why it has ended; `None` while it reads.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }

    pub(super) fn end(&self, ending: Ending) {
        self.is_reading.store(false, Ordering::Relaxed);
        let _ = self.ending.set(ending);
    }

    pub(super) fn reads(&self, child: Option<Child>) {
        let child = child.unwrap_or(Child { pid: 0, started: 0 });
        self.child_started.store(child.started, Ordering::Relaxed);
        self.child_pid.store(child.pid, Ordering::Relaxed);
        self.is_reading.store(true, Ordering::Relaxed);
    }

    pub(super) fn lose(&self, lost: &Lost) {
        for (total, more) in [
            (&self.overruns, lost.overruns),
            (&self.overwritten, lost.overwritten),
            (&self.store_overflows, lost.store_overflows),
            (&self.out_of_memory, lost.out_of_memory),
            (&self.timeouts, lost.timeouts),
            (&self.gaps, lost.gaps),
        ] {
            add(total, more);
        }
    }
}

pub(super) fn add(total: &AtomicU64, more: u64) {
    // Only the reader writes.
    total.store(total.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}
