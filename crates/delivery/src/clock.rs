// SPDX-License-Identifier: BSD-2-Clause
//! The two clocks of a client. The core reads none of its own; the glue hands it the real ones.

use std::time::{Instant, SystemTime};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The monotonic time: windows, limits, pauses, deadlines.
    fn now(&self) -> Instant;
    /// The wall clock: what is written into an envelope, and HTTP dates.
    fn wall(&self) -> SystemTime;
}
