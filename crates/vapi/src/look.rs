// SPDX-License-Identifier: BSD-2-Clause
//! What is in a log file, before the library reads it: there is no way back from what it asserts.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;

use crate::lineage::Lineage;
use crate::place::RawLog;

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Batch,
    Number,
    Text,
    Lineage,
    Again,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Batch => "it has a batch of records in it",
            Damage::Number => "a transaction in it belongs to one whose number cannot be",
            Damage::Text => "a record in it has no end",
            Damage::Lineage => "a transaction in it belongs to itself by way of others, or to a thousand in a row",
            Damage::Again => "a transaction in it begins again as one of another kind, before it has ended",
        })
    }
}

/// Looks through the file of that name. What is no regular file is left to the library, and what it cannot open.
///
/// # Safety
/// `log` is one of ours.
pub(crate) unsafe fn through(log: *mut RawLog, name: &CStr) -> Result<(), Damage> {
    // SAFETY: the caller vouches for the log; the other is a text.
    let cursor = unsafe { va_look_open(log, name.as_ptr()) };
    if cursor.is_null() {
        return Ok(());
    }
    let (mut lineage, mut found) = (Lineage::default(), RawLook::default());
    let looked = loop {
        // SAFETY: the caller vouches for the log, the cursor was opened above, and the rest is a variable.
        let what = unsafe { va_look_next(log, cursor, &mut found) };
        let RawLook { one, other, is_passed_over } = found;
        match what {
            0 => break Ok(()),
            4 | 5 if lineage.knows(one) => break Err(Damage::Again),
            1 | 5 if lineage.begin(one, other) => {}
            2 if lineage.link(one, other, is_passed_over != 0) => {}
            3 => lineage.end(one),
            4 => {}
            -1 => break Err(Damage::Batch),
            -2 => break Err(Damage::Number),
            -3 => break Err(Damage::Text),
            _ => break Err(Damage::Lineage),
        }
    };
    // SAFETY: the cursor was opened above, and nobody has it any more.
    unsafe { va_look_close(cursor) };
    looked
}

/// `struct va_look`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct RawLook {
    one: u64,
    other: u64,
    is_passed_over: u8,
}

/// A cursor of the library's, which C knows.
#[repr(C)]
struct RawCursor {
    opaque: [u8; 0],
}

unsafe extern "C" {
    fn va_look_open(log: *mut RawLog, name: *const c_char) -> *mut RawCursor;
    fn va_look_next(log: *const RawLog, cursor: *const RawCursor, found: *mut RawLook) -> c_int;
    fn va_look_close(cursor: *mut RawCursor);
}
