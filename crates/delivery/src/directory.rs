// SPDX-License-Identifier: BSD-2-Clause
//! The DSNs that entries may name: they may change while a client lives, by a file of the operator's.

use std::sync::Arc;
use std::time::Instant;

use protocol::dsn::Dsn;

/// Where they are kept. The sender's thread asks: it may look at a file.
pub trait Directory: Send {
    /// All that there are now, if that may be others than before; the first time always. Of several of one project the first one gets what is found in its spool.
    fn look(&mut self, now: Instant) -> Option<Vec<Arc<Dsn>>>;

    /// Whether they may change at all.
    fn may_change(&self) -> bool;
}
