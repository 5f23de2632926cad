// SPDX-License-Identifier: BSD-2-Clause
//! Where in a log something is.

use std::ffi::c_int;
use std::marker::PhantomData;

/// Where a record is in its log: in a part of it, whose numbers grow, and begin anew after 2³² of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub segment: u32,
    pub offset: u64,
}

impl Position {
    /// Whether it comes later in the same log.
    pub fn is_after(self, other: Position) -> bool {
        match self.segment.wrapping_sub(other.segment) as i32 {
            0 => self.offset > other.offset,
            distance => distance > 0,
        }
    }
}

/// Where in its log something was found.
#[derive(Clone, Copy)]
pub struct Place<'l> {
    log: *const RawLog,
    call: PhantomData<&'l RawLog>,
}

impl Place<'_> {
    /// # Safety
    /// `log` is one of ours, and stays so as long as the result is used.
    pub(crate) unsafe fn new(log: *const RawLog) -> Self {
        Place { log, call: PhantomData }
    }

    pub(crate) fn log(self) -> *const RawLog {
        self.log
    }

    /// The record that completed what was found; `None` in a file.
    pub fn position(self) -> Option<Position> {
        // SAFETY: the log of the call from C that is under way.
        unsafe { position(self.log) }
    }

    /// Whether what was found was not overwritten until now. If it was, so may be what was copied.
    pub fn is_intact(self) -> bool {
        // SAFETY: the log of the call from C that is under way.
        unsafe { va_log_intact(self.log) != 0 }
    }
}

/// # Safety
/// `log` is one of ours.
pub(crate) unsafe fn position(log: *const RawLog) -> Option<Position> {
    let mut position = Position { segment: 0, offset: 0 };
    // SAFETY: the caller vouches for the log; the rest are two variables.
    let is_known = unsafe { va_log_position(log, &mut position.segment, &mut position.offset) };
    (is_known == 1).then_some(position)
}

/// `struct va_log`.
#[repr(C)]
pub(crate) struct RawLog {
    opaque: [u8; 0],
}

unsafe extern "C" {
    fn va_log_position(log: *const RawLog, segment: *mut u32, offset: *mut u64) -> c_int;
    fn va_log_intact(log: *const RawLog) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u32, offset: u64) -> Position {
        Position { segment, offset }
    }

    #[test]
    fn positions_go_on_when_the_numbers_of_segments_begin_anew() {
        assert!(at(1, 5).is_after(at(1, 4)));
        assert!(!at(1, 4).is_after(at(1, 4)));
        assert!(at(2, 0).is_after(at(1, 4)));
        assert!(at(0, 0).is_after(at(u32::MAX, 7)));
        assert!(!at(u32::MAX, 7).is_after(at(0, 0)));
    }
}
