// SPDX-License-Identifier: BSD-2-Clause
//! How an attempt to fetch came to its end, as the server's log and its own state tell.

use std::ffi::c_char;

use crate::ctx::{Ctx, VrtCtx};
use crate::text::vcl_string;

/// What is known of the request's body while it was sent to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    None,
    /// Nothing is known against it.
    Sent,
    /// Reading it from the client failed.
    ClientFailed,
    /// The cache could not take it.
    CacheFailed,
    /// It came to an early end, and neither is known to have failed.
    Broken,
}

/// The end of an attempt. What the log does not have any more is missing.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'l> {
    /// The last texts of FetchError, the newest first, of the last connection.
    pub texts: [Option<&'l [u8]>; 3],
    /// The last text of VCL_Error, of the last connection.
    pub vcl_error: Option<&'l [u8]>,
    /// The last text of Error after the response's headers.
    pub error: Option<&'l [u8]>,
    /// Whether there was a response.
    pub response: bool,
    /// Whether fetching its body failed.
    pub failed: bool,
    /// Whether its body was cut short because the one client left that it was for.
    pub abandoned: bool,
    /// Whether the last connection had served another fetch before.
    pub reused: bool,
    pub upload: Upload,
}

impl Ctx<'_> {
    /// Lends the end of the attempt that vcl_backend_error is called for to `body`, which must not log: that moves what it looks at.
    pub fn read_ending<R>(self, body: impl FnOnce(&Ending<'_>) -> R) -> R {
        let mut raw = RawEnding::default();
        // SAFETY: self is the server's context; the call writes every field.
        unsafe { vx_ending_of(self.as_ptr(), &mut raw) };
        // SAFETY: `body` logs nothing.
        body(&unsafe { raw.ending() })
    }

    /// The same at the task's end, for a response whose body was under way.
    pub fn read_body_ending<R>(self, body: impl FnOnce(&Ending<'_>) -> R) -> R {
        let mut raw = RawEnding::default();
        // SAFETY: self is the server's context; the call writes every field.
        unsafe { vx_body_ending_of(self.as_ptr(), &mut raw) };
        // SAFETY: `body` logs nothing.
        body(&unsafe { raw.ending() })
    }

    /// In vcl_backend_response, whether a body is still to be fetched.
    pub fn body_comes(self) -> bool {
        // SAFETY: self is the server's context.
        unsafe { vx_body_comes(self.as_ptr()) != 0 }
    }
}

/// `struct vx_ending`.
#[repr(C)]
struct RawEnding {
    texts: [*const c_char; 3],
    vcl_error: *const c_char,
    error: *const c_char,
    response: u32,
    failed: u32,
    abandoned: u32,
    reused: u32,
    upload: u32,
}

impl Default for RawEnding {
    fn default() -> RawEnding {
        let none = std::ptr::null();
        RawEnding {
            texts: [none; 3],
            vcl_error: none,
            error: none,
            response: 0,
            failed: 0,
            abandoned: 0,
            reused: 0,
            upload: 0,
        }
    }
}

impl RawEnding {
    /// # Safety
    /// C has written the fields, and the task logs nothing during `'l`.
    unsafe fn ending<'l>(&self) -> Ending<'l> {
        // SAFETY: NULL or a record of the task's log, which ends in a NUL and stays until the next one; the caller vouches for 'l.
        let text = |text: *const c_char| unsafe { vcl_string(text) };
        Ending {
            texts: self.texts.map(text),
            vcl_error: text(self.vcl_error),
            error: text(self.error),
            response: self.response != 0,
            failed: self.failed != 0,
            abandoned: self.abandoned != 0,
            reused: self.reused != 0,
            upload: match self.upload {
                1 => Upload::Sent,
                2 => Upload::ClientFailed,
                3 => Upload::CacheFailed,
                4 => Upload::Broken,
                _ => Upload::None,
            },
        }
    }
}

unsafe extern "C" {
    fn vx_ending_of(ctx: *const VrtCtx, ending: *mut RawEnding);
    fn vx_body_ending_of(ctx: *const VrtCtx, ending: *mut RawEnding);
    fn vx_body_comes(ctx: *const VrtCtx) -> i32;
}
