// SPDX-License-Identifier: BSD-2-Clause
//! What a program needs that Rust's library has not.

use std::ffi::{CStr, c_char};
use std::io;

/// Goes on in the background: in a session of its own, in `/`, with nothing to read from or write to. The process is another one after it;
/// of threads only the caller is left.
pub fn daemonize() -> io::Result<()> {
    // SAFETY: takes nothing; what the caller must not have are locks that other threads hold, and none is started yet.
    match unsafe { va_process_daemonize() } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The server that this is built for, by its library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Library {
    /// `varnish` or `vinyl-cache`.
    pub name: &'static str,
    /// `7.1.1`.
    pub version: &'static str,
    pub revision: &'static str,
}

impl Library {
    pub fn installed() -> Library {
        Library { name: library(c"T"), version: library(c"P"), revision: library(c"R") }
    }
}

fn library(which: &CStr) -> &'static str {
    // SAFETY: one of the letters that the library knows.
    let text = unsafe { va_process_library(which.as_ptr()) };
    // SAFETY: one of the library's literals.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

/// Gives memory that was freed back to the system.
pub fn trim() {
    // SAFETY: takes nothing, and any thread may call it.
    unsafe { va_process_trim() }
}

unsafe extern "C" {
    fn va_process_daemonize() -> i32;
    fn va_process_library(which: *const c_char) -> *const c_char;
    fn va_process_trim();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_says_what_it_is() {
        let library = Library::installed();
        assert!(["varnish", "vinyl-cache"].contains(&library.name), "{library:?}");
        assert!(library.version.starts_with(|digit: char| digit.is_ascii_digit()), "{library:?}");
        assert!(!library.revision.is_empty());
    }
}
