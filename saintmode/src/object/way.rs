// SPDX-License-Identifier: BSD-2-Clause
//! What is known of where an object's backend leads to.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// So many objects may stand one behind the other, with directors between them: a worker's stack is small.
pub const LONGEST: u8 = 16;

/// How many objects the way leads over, this one included, or one of the values below.
///
/// Nothing else goes by it, so that any order of reads will do.
#[derive(Default)]
pub struct Way(AtomicU8);

impl Way {
    pub const UNKNOWN: u8 = 0;
    /// It is being found out.
    pub const EXPLORING: u8 = 253;
    pub const TOO_FAR: u8 = 254;
    pub const LOOP: u8 = 255;

    pub fn get(&self) -> u8 {
        self.0.load(Relaxed)
    }

    pub fn set(&self, known: u8) {
        self.0.store(known, Relaxed);
    }

    /// Whether the director cannot be used.
    pub fn is_cut(&self) -> bool {
        matches!(self.get(), Way::TOO_FAR | Way::LOOP)
    }
}
