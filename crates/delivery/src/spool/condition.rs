// SPDX-License-Identifier: BSD-2-Clause
//! How a spool is, for its clients to look at.

/// What is known of it since its last operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// An entry may be handed in now: the folder is ours, and no pause is in force after an error.
    pub usable: bool,
    /// Something has failed and has not succeeded since: what a status should say.
    pub failing: bool,
    /// Entries that may be taken now: none while the draining pauses.
    pub ready: usize,
    /// Entries in it.
    pub entries: usize,
    /// What their files take on the disk, in bytes.
    pub bytes: u64,
    /// It stays when all is well again.
    pub last_error: Option<String>,
}
