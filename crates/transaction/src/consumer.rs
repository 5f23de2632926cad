// SPDX-License-Identifier: BSD-2-Clause
//! Who is told what is read.

use std::time::SystemTime;

use crate::counters::Counters;
use crate::group::{Group, Record};
use crate::source::SourceEvent;
use crate::tags::Wanted;

/// Takes what a reader reads, on the reader's own thread: it must not wait for anything. What takes longer than the server takes to
/// write three eighths of its log (`vsl_space`) makes an overrun.
pub trait Consumer: Send {
    /// The tags of the records that [`Consumer::wants`] is shown.
    fn wanted(&self) -> &Wanted;

    /// Whether [`Consumer::group`] is to have this group, of which only the records with wanted tags are shown: most groups are worth nothing, and need not be
    /// copied whole.
    fn wants(&mut self, glimpse: &Group) -> bool;

    /// Takes a group that was wanted, whole. `glimpse` is the one that it was asked about just before.
    fn group(&mut self, group: &Group);

    /// Takes a record of no transaction, which has no place in a group (`Backend_health`, `CLI`): all of them, whatever the query says. With grouping
    /// `raw` such a record that the query matches is shown as a group, too.
    fn record(&mut self, record: Record<'_>, at: SystemTime);

    /// Takes news of the log and of its server.
    fn happened(&mut self, event: &SourceEvent, at: SystemTime);

    /// Called about once a second, also while there is nothing to read. Of the counters are there which [`Consumer::counters`] names; none while the server is down, and none of a file.
    fn tick(&mut self, counters: &Counters, at: SystemTime);

    /// The counters that [`Consumer::tick`] is to have, by name as varnishstat shows them, with `*` as a wildcard: `MAIN.thread*`.
    fn counters(&self) -> Vec<String>;
}
