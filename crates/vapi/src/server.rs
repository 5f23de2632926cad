// SPDX-License-Identifier: BSD-2-Clause
//! The server whose log is read: whether it is there, what it says of itself, its counters.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use transaction::counters::Counters;

use crate::log::{Log, c_string};
use crate::place::RawLog;

/// Who of the server runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub manager: bool,
    pub child: bool,
}

impl Log {
    /// Reads the log of a server's instance, as `-n` names it; without a name that of the default one.
    pub fn instance(&mut self, name: Option<&OsStr>) -> Result<(), String> {
        if !self.reads_nothing() {
            return Err("a log reads one thing".to_owned());
        }
        let text = name.map(c_string).transpose()?;
        let text = text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        self.expects_server();
        // SAFETY: a log of ours without a server, and a text or NULL.
        match unsafe { va_server_name(self.as_ptr(), text) } {
            1 => Ok(()),
            _ => Err("Invalid instance name".to_owned()),
        }
    }

    /// Looks once whether the server is there. From the first time that it was, this is true: what follows it is [`Log::running`].
    pub fn attach(&mut self) -> bool {
        // SAFETY: a log of ours with the name of a server that was not attached yet: the library asserts it.
        if self.is_expecting() && unsafe { va_server_attach(self.as_ptr()) } == 1 {
            self.found_server();
        }
        self.is_attached()
    }

    /// Who runs. Has to be called now and then, for only here it is seen that a log came or went.
    pub fn running(&mut self) -> Running {
        if !self.is_attached() {
            return Running::default();
        }
        // SAFETY: a log of ours, whose server is attached.
        let status = unsafe { va_server_status(self.as_ptr()) };
        Running { manager: status & MANAGER != 0, child: status & CHILD != 0 }
    }

    /// What the server tells of an argument of its own, `-T` or `-S`.
    pub fn argument(&mut self, option: &str) -> Option<String> {
        let option = CString::new(option).ok()?;
        if !self.is_attached() {
            return None;
        }
        // SAFETY: a log of ours, whose server is attached, and a text.
        let text = unsafe { va_server_argument(self.as_ptr(), option.as_ptr()) };
        if text.is_null() {
            return None;
        }
        // SAFETY: a text that C has copied.
        let copy = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
        // SAFETY: allocated by C, and nobody has it any more.
        unsafe { free(text.cast()) };
        Some(copy)
    }

    /// Holds the place where the child that runs now writes before it dies of a panic.
    pub fn hold_panic(&mut self) {
        if self.is_attached() {
            // SAFETY: a log of ours, whose server is attached.
            unsafe { va_server_hold_panic(self.as_ptr()) }
        }
    }

    /// Whether the child is there whose place is held, as far as [`Log::running`] saw.
    pub fn has_child(&self) -> bool {
        // SAFETY: a log of ours; what it holds is of an attached server.
        unsafe { va_server_has_child(self.as_ptr()) != 0 }
    }

    /// What the child whose place is held has written there; `None` if nothing.
    pub fn panic(&self) -> Option<String> {
        let mut len = 0;
        // SAFETY: a log of ours, and a variable.
        let text = unsafe { va_server_panic(self.as_ptr(), &mut len) };
        if text.is_null() || len == 0 {
            return None;
        }
        // SAFETY: that many bytes are mapped there, until the place is released.
        let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Reads the counters that `patterns` name, as varnishstat's `-I` does; the patterns count until [`Log::forget_counters`].
    pub fn count(&mut self, patterns: &[CString], counters: &mut Counters) {
        counters.clear();
        if patterns.is_empty() || !self.is_attached() {
            return;
        }
        let patterns: Vec<_> = patterns.iter().map(|pattern| pattern.as_ptr()).collect();
        let private: *mut c_void = std::ptr::from_mut(counters).cast();
        // SAFETY: a log of ours, whose server is attached; texts that outlive the call, and so do the counters.
        unsafe { va_server_count(self.as_ptr(), patterns.as_ptr(), patterns.len(), counter, private) }
    }

    /// Ends counting, until the next [`Log::count`].
    pub fn forget_counters(&mut self) {
        // SAFETY: a log of ours.
        unsafe { va_server_forget_counters(self.as_ptr()) }
    }
}

/// # Safety
/// `private` are the counters of [`Log::count`], `name` a text of the library's.
unsafe extern "C" fn counter(private: *mut c_void, name: *const c_char, value: u64) {
    // SAFETY: the caller vouches for it, and nobody else uses them during the call.
    let counters = unsafe { &mut *private.cast::<Counters>() };
    // SAFETY: the caller vouches for it.
    let name = unsafe { CStr::from_ptr(name) };
    // Unwind safety: a counter is there or not.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Ok(name) = name.to_str() {
            counters.push(name, value);
        }
    }));
}

const MANAGER: u32 = 1;
const CHILD: u32 = 2;

unsafe extern "C" {
    fn va_server_name(log: *mut RawLog, name: *const c_char) -> c_int;
    fn va_server_attach(log: *mut RawLog) -> c_int;
    fn va_server_status(log: *mut RawLog) -> u32;
    fn va_server_argument(log: *mut RawLog, option: *const c_char) -> *mut c_char;
    fn va_server_hold_panic(log: *mut RawLog);
    fn va_server_has_child(log: *const RawLog) -> c_int;
    fn va_server_panic(log: *const RawLog, len: *mut usize) -> *const c_char;
    fn va_server_count(
        log: *mut RawLog,
        patterns: *const *const c_char,
        n: usize,
        counter: unsafe extern "C" fn(*mut c_void, *const c_char, u64),
        private: *mut c_void,
    );
    fn va_server_forget_counters(log: *mut RawLog);
    fn free(memory: *mut c_void);
}
