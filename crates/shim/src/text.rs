// SPDX-License-Identifier: BSD-2-Clause
//! VCL's strings, as the server hands them in.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

/// A VCL_STRING or VCL_ENUM argument as C passes it: only the server makes one, so it holds what the
/// server promises, NULL or a NUL-terminated text that outlives the task `'t`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct VclString<'t> {
    raw: *const c_char,
    task: PhantomData<&'t CStr>,
}

impl<'t> VclString<'t> {
    /// The text; `None` if it is unset.
    pub fn bytes(self) -> Option<&'t [u8]> {
        // SAFETY: the type's promise.
        unsafe { vcl_string(self.raw) }
    }

    /// The text, empty if it is unset; for arguments that are written in VCL and so are UTF-8 in practice.
    /// `Err` holds what is not.
    pub fn text(self) -> Result<&'t str, &'t [u8]> {
        let bytes = self.bytes().unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| bytes)
    }
}

/// Borrows a VCL_STRING; VCL passes NULL for an unset header.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that outlives `'t`, the VCL task.
pub(crate) unsafe fn vcl_string<'t>(text: *const c_char) -> Option<&'t [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, checked above; the caller vouches for the NUL and for 't.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A text of the server's that may be unset; for names and reasons, which are ASCII.
///
/// # Safety
/// As [`vcl_string`].
pub(crate) unsafe fn name<'t>(text: *const c_char) -> &'t str {
    // SAFETY: the caller vouches for what vcl_string asks.
    let bytes = unsafe { vcl_string(text) }.unwrap_or_default();
    std::str::from_utf8(bytes).unwrap_or_default()
}
