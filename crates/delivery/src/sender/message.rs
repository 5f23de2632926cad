// SPDX-License-Identifier: BSD-2-Clause
//! What the sender is told, and what it has done.

use std::sync::Arc;

use protocol::dsn::Dsn;

use crate::connection::request::{Body, Outcome, Request};
use crate::spool::entry::Lease;
use crate::spool::operation::{Fate, Reply};
use crate::spool::written::Written;

/// What arrives in the inbox.
#[derive(Debug)]
pub enum Message {
    /// The queue has something to look at, or it is time.
    Wake,
    Outcome(Outcome),
    /// Of the spool at that place.
    Spool(usize, Reply),
    /// What [`Action::FindDsn`] found.
    Dsn(Result<Dsn, String>),
    /// What [`Action::Look`] found: the DSNs that entries may name.
    Listed(Vec<Arc<Dsn>>),
    /// What [`Action::FindSpools`] found: names of folders in the spool's.
    Folders(Vec<String>),
    /// Whether the connection of [`Action::Start`] has its thread.
    Started(usize, Result<(), String>),
}

/// What is to be done, in this order. Connections and spools are known by their places.
#[derive(Debug)]
pub enum Action {
    Start(usize),
    Post(usize, Request),
    /// End the request under way there.
    Abort(usize),
    /// Let go of it.
    Stop(usize),
    FindDsn,
    /// Ask the directory.
    Look,
    FindSpools,
    OpenSpool(usize, Arc<Dsn>),
    LeaveSpool(usize),
    Keep(usize, u64, Written),
    Take(usize),
    Settle(usize, Lease, Fate),
    /// A copy for Spotlight.
    Copy(Body),
    /// Nothing comes after it.
    End,
}
