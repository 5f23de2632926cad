// SPDX-License-Identifier: BSD-2-Clause
//! The body of a task's request.

use crate::ctx::{Ctx, VrtCtx};

/// The body of a task's request, as far as it was asked for.
pub struct Body {
    pub beginning: Vec<u8>,
    /// How long all of it is.
    pub len: u64,
}

impl Ctx<'_> {
    /// The first bytes of the request's body, at most `limit`; `None` if there is none in the cache. Nothing
    /// is read from the network.
    pub fn request_body(self, limit: usize) -> Option<Body> {
        let len = self.copy_request_body(&mut [])?;
        let mut beginning = vec![0; limit.min(usize::try_from(len).unwrap_or(limit))];
        self.copy_request_body(&mut beginning)?;
        (len > 0).then_some(Body { beginning, len })
    }

    fn copy_request_body(self, buffer: &mut [u8]) -> Option<u64> {
        let mut len = 0;
        // SAFETY: self is the server's context; the buffer is as long as it is said to be.
        let found = unsafe { vx_request_body(self.as_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut len) } != 0;
        found.then_some(len)
    }
}

unsafe extern "C" {
    fn vx_request_body(ctx: *const VrtCtx, buffer: *mut u8, size: usize, len: *mut u64) -> i32;
}
