// SPDX-License-Identifier: BSD-2-Clause
//! The time, by both clocks.

use std::time::{Instant, SystemTime};

#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: SystemTime,
}
