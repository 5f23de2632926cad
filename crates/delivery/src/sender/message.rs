// SPDX-License-Identifier: BSD-2-Clause
//! What the sender is told, and what it has done.

use protocol::dsn::Dsn;

use crate::connection::request::{Body, Outcome, Request};
use crate::spool::entry::Lease;
use crate::spool::operation::{Fate, Reply, Written};

/// What arrives in the inbox.
#[derive(Debug)]
pub enum Message {
    /// The queue has something to look at, or it is time.
    Wake,
    Outcome(Outcome),
    Spool(Reply),
    /// What [`Action::FindDsn`] found.
    Dsn(Result<Dsn, String>),
    /// Whether the connection of [`Action::Start`] has its thread.
    Started(usize, Result<(), String>),
}

/// What is to be done, in this order. Connections are known by their place.
#[derive(Debug)]
pub enum Action {
    Start(usize),
    Post(usize, Request),
    /// End the request under way there.
    Abort(usize),
    /// Let go of it.
    Stop(usize),
    FindDsn,
    OpenSpool,
    LeaveSpool,
    Keep(u64, Written),
    Take,
    Settle(Lease, Fate),
    /// A copy for Spotlight.
    Copy(Body),
    /// Nothing comes after it.
    End,
}
