// SPDX-License-Identifier: BSD-2-Clause
//! The records that a task has logged so far, as far as its own buffer still has them.

use std::ffi::c_char;
use std::marker::PhantomData;

use crate::ctx::{Ctx, VrtCtx};
use crate::text::vcl_string;

/// For each tag, by the server's number, whether it is wanted: 0 if not, else what the reader knows it by.
pub type Wanted = [u8; 256];

/// Everything, all alike.
pub const ALL: &Wanted = &[1; 256];

/// Records one after the other, as the server lays them out.
#[derive(Clone, Copy)]
pub struct Log<'l> {
    begin: *const u32,
    end: *const u32,
    buffer: PhantomData<&'l [u32]>,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'l> {
    /// The server's number, see [`tag_name`].
    pub tag: u8,
    pub text: &'l [u8],
    /// Where the next record begins, in words from the begin of the log.
    pub end: usize,
}

impl<'t> Ctx<'t> {
    /// Lends the records of this task to `body`; outside of a task there are none.
    ///
    /// `body` must not log: that moves what it looks at.
    pub fn read_log<R>(self, body: impl FnOnce(Log<'_>) -> R) -> R {
        let mut end = std::ptr::null();
        // SAFETY: self is the server's context; the out pointer is a local.
        let begin = unsafe { vx_log_of(self.as_ptr(), &mut end) };
        body(Log { begin, end, buffer: PhantomData })
    }
}

impl<'l> Log<'l> {
    /// Reads a copy of what [`Log::newest`] gave.
    pub fn of(words: &'l [u32]) -> Log<'l> {
        let range = words.as_ptr_range();
        Log { begin: range.start, end: range.end, buffer: PhantomData }
    }

    /// The records that are wanted, from `from` words on, which is where one of them begins.
    pub fn records(self, from: usize, wanted: &Wanted) -> impl Iterator<Item = LogRecord<'l>> {
        let mut at = self.words().get(from..).map_or(self.end, <[u32]>::as_ptr);
        std::iter::from_fn(move || {
            let mut record = RawRecord { text: std::ptr::null(), len: 0, tag: 0 };
            // SAFETY: from `at` to `end` there are records of one buffer, which stays as it is for 'l; C checks
            // their lengths.
            if unsafe { vx_log_next(&mut at, self.end, wanted, &mut record) } == 0 {
                return None;
            }
            // SAFETY: C has found that many bytes in the buffer, which stays as it is for 'l.
            let text = unsafe { std::slice::from_raw_parts(record.text.cast::<u8>(), record.len as usize) };
            let end = (at as usize).saturating_sub(self.begin as usize) / size_of::<u32>();
            Some(LogRecord { tag: record.tag as u8, text, end })
        })
    }

    /// What is in the buffer, as it is.
    pub fn words(self) -> &'l [u32] {
        let len = (self.end as usize).saturating_sub(self.begin as usize) / size_of::<u32>();
        if self.begin.is_null() {
            return &[];
        }
        // SAFETY: the two delimit the written part of one buffer, which stays as it is for 'l.
        unsafe { std::slice::from_raw_parts(self.begin, len) }
    }

    /// The newest records that fit into so many bytes, as they are.
    pub fn newest(self, bytes: usize) -> &'l [u8] {
        // SAFETY: the two delimit records of one buffer.
        let tail = unsafe { vx_log_tail(self.begin, self.end, bytes / size_of::<u32>()) };
        let words = Log { begin: tail, ..self }.words();
        // SAFETY: words are bytes, in the same place.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
    }
}

/// What records of this number are called; `None` for a number that no record of a task has.
pub fn tag_name(tag: u8) -> Option<&'static str> {
    // SAFETY: takes any number.
    let name = unsafe { vx_tag_name(tag.into()) };
    // SAFETY: NULL or a literal.
    std::str::from_utf8(unsafe { vcl_string(name) }?).ok()
}

/// The number of the records of this name.
pub fn tag_named(name: &str) -> Option<u8> {
    (0..=u8::MAX).find(|tag| tag_name(*tag) == Some(name))
}

/// `struct vx_record`.
#[repr(C)]
struct RawRecord {
    text: *const c_char,
    len: u32,
    tag: u32,
}

unsafe extern "C" {
    fn vx_log_of(ctx: *const VrtCtx, end: *mut *const u32) -> *const u32;
    fn vx_log_next(at: *mut *const u32, end: *const u32, wanted: *const Wanted, record: *mut RawRecord) -> i32;
    fn vx_log_tail(begin: *const u32, end: *const u32, words: usize) -> *const u32;
    fn vx_tag_name(tag: u32) -> *const c_char;
}
