// SPDX-License-Identifier: BSD-2-Clause
//! The spool: entries on disk, which a server that does not answer has to wait for.
//!
//! A client opens it at [`spools`] and gets a [`handle`]. What it asks ([`operation`], with entries that were [`written`] for it) goes through an [`inbox`] to the one [`worker`]
//! of that spool, the only thread that touches the disk. It keeps an [`index`] of a [`folder`], whose [`file`]s lie on a [`disk`]: a
//! [`directory`] that is ours alone. What comes out is an [`entry`].

pub mod age;
pub mod client;
pub mod condition;
pub mod directory;
pub mod disk;
pub mod entry;
pub mod file;
pub mod file_name;
pub mod folder;
pub mod handle;
pub mod inbox;
pub mod index;
pub mod key;
pub mod operation;
pub mod spools;
pub mod trouble;
pub mod worker;
pub mod written;

#[cfg(test)]
mod tests;
