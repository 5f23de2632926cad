// SPDX-License-Identifier: BSD-2-Clause
//! Where a tunnel's entries go.

use std::sync::Arc;

use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part};
use protocol::reason::Reason;

/// The client behind a tunnel. It counts what it is handed, by category.
pub trait Sink {
    /// Takes an entry to send it. A full queue gives up its oldest for it; the error is `QueueOverflow` only for an entry that is larger than the whole queue, any other means that nothing
    /// is taken at all.
    fn enqueue(&mut self, entry: Box<dyn Entry>) -> Result<(), Reason>;

    /// Counts what came for that DSN and is not sent on. A part counts by itself, whatever it says of going together.
    fn refuse(&mut self, dsn: &Arc<Dsn>, parts: &[Part], reason: Reason);
}
