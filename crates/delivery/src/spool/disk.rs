// SPDX-License-Identifier: BSD-2-Clause
//! What a spool asks of the disk. It is a trait because a disk that fails is half of what a spool has to cope with.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// A folder that is ours alone, for as long as this lives.
pub trait Disk: Send {
    /// Calls `each` with everything that is in it, but for what makes it ours.
    fn list(&self, each: &mut dyn FnMut(Listed<'_>)) -> io::Result<()>;

    /// The first `most` bytes of a file; `None` if it is no regular file of ours.
    fn read(&self, name: &str, most: u64) -> io::Result<Option<Vec<u8>>>;

    /// Writes a file, first under the other name: it is whole or not there.
    fn write(&self, name: &str, unfinished: &str, bytes: &[u8]) -> io::Result<()>;

    /// Whether a file of that length can be written: one is, under a name that no entry has, and removed.
    fn try_write(&self, unfinished: &str, length: u64) -> io::Result<()>;

    /// Removes a file; it is no error if there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Empty if it is not text.
    pub name: &'a str,
    /// `None` if it is no regular file of ours: another user's, a link, a pipe, a folder.
    pub length: Option<u64>,
}

/// Why a folder cannot be had.
#[derive(Debug)]
pub enum Unusable {
    /// Another process has it, or another copy of this module.
    Taken,
    /// It could be had, but what is in it would not be ours alone.
    Unsafe(String),
    Io(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Unusable {
        Unusable::Io(error)
    }
}

/// Takes the folder of that name below a root.
pub type Open = Arc<dyn Fn(&Path, &str) -> Result<Box<dyn Disk>, Unusable> + Send + Sync>;
