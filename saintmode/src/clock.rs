// SPDX-License-Identifier: BSD-2-Clause
//! What time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use denylist::Time;
use shim::Ctx;

/// The task's clock; outside of a task, the wall clock.
pub fn time(ctx: Ctx<'_>) -> Time {
    ctx.now().map_or_else(clock, Time::from_seconds)
}

/// The wall clock.
pub fn clock() -> Time {
    Time::from_seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}
