// SPDX-License-Identifier: BSD-2-Clause
//! How an entry gets to Sentry. It knows nothing of events nor of Varnish.
//!
//! The way of an entry: the request's thread asks [`Client::admit`](client::Client::admit), makes an
//! [`Entry`](protocol::entry::Entry) and hands it to [`Client::enqueue`](client::Client::enqueue); the sender's thread puts it into words and has a connection post it.
//!
//! - May it pass: [`admission`]. Where it waits: `queue`. Who decides what leaves and when: `sender`. How it is posted: [`connection`], and a copy for
//!   [`spotlight`]. Where it waits for a server that does not answer: [`spool`].
//! - What became of it: [`counters`], [`journal`], `status`. What clients have in common, old and new: [`shared`].
//! - The whole: [`client`] with its `state`, made of [`settings`] (checked by [`range`], the DSN maybe from a `dsn_file`, or entries name those of a [`directory`]) in an [`environment`] (with [`clock`] and [`spawn`]).
#![forbid(unsafe_code)]

pub mod admission;
pub mod client;
pub mod clock;
pub mod connection;
pub mod counters;
pub mod directory;
mod dsn_file;
pub mod environment;
pub mod epoch;
pub mod journal;
mod owner;
mod queue;
pub mod range;
mod sender;
pub mod settings;
pub mod shared;
pub mod spawn;
pub mod spool;
pub mod spotlight;
mod state;
mod status;
#[cfg(test)]
mod test_entry;
