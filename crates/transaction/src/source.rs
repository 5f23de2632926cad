// SPDX-License-Identifier: BSD-2-Clause
//! What is to be told of a log and of the server that writes it, other than records.

/// A child process of varnishd: it writes the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// In its own namespace of processes.
    pub pid: u64,
    /// When it was started, in seconds since 1970.
    pub started: u64,
}

/// What was lost since the last time that this was said, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Times that the server wrote faster than could be read; each loses an unknown number of transactions. Those that were under way are told, and marked.
    pub overruns: u64,
    /// Groups that were overwritten while they were copied; they are not told.
    pub overwritten: u64,
    /// Transactions told too early, and marked: more than `-L` were under way.
    pub store_overflows: u64,
    /// The same because of memory.
    pub out_of_memory: u64,
    /// The same because of `-T`.
    pub timeouts: u64,
    /// Times that the log had moved on while nobody read: what lies between is lost.
    pub gaps: u64,
}

/// Something that happened to a log or to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceEvent {
    /// Reading begins: of a child that was already there, or of a new one. A file has none.
    ChildSeen {
        /// `None` if the server's folder does not tell.
        child: Option<Child>,
        /// It started while this was looking, and not before.
        is_new: bool,
        /// What the server calls itself, its `-i`.
        identity: Option<String>,
    },
    /// The child has ended, or its log is no longer there.
    ChildGone {
        child: Option<Child>,
        /// What it said when it panicked, as the server's `panic.show` has it but for its first line, empty if that cannot be known; `None` if it ended otherwise.
        panic: Option<String>,
    },
    /// The manager has ended, or has been replaced.
    ManagerGone,
    Lost(Lost),
    /// Something that an operator has to mend; reading goes on. It is said once, not again and again.
    Trouble(String),
}

impl Lost {
    pub fn is_nothing(&self) -> bool {
        *self == Lost::default()
    }
}
