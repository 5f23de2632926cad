// SPDX-License-Identifier: BSD-2-Clause
//! The body of a task's request.

use std::ffi::{c_int, c_void};
use std::time::Duration;

use crate::ctx::{Ctx, VrtCtx};
use crate::guard::enter_bare;

/// The body of a task's request, as far as it was asked for.
pub struct Body {
    pub beginning: Vec<u8>,
    /// How long all of it is.
    pub len: u64,
}

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes that are kept. Of a body that declares more nothing is read, and its connection ends with the answer.
    pub keep: usize,
    /// One of unknown length that turns out to be longer is read on up to so many bytes, so that the connection can be kept.
    pub read: u64,
    pub time: Duration,
}

/// Why there is no body to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBody {
    /// The request has none.
    None,
    /// Somebody has read it before, and the server has no copy.
    Taken,
    TooLarge,
    Late,
    /// The client has gone, is silent, or sends what is none; the server closes the connection without an answer.
    ClientFailed,
    /// There was no storage for it.
    CacheFailed,
}

/// The socket of a client that sends a body. It is the client's for as long as its thread reads.
#[derive(Clone, Copy, Debug)]
pub struct BodySocket(c_int);

impl BodySocket {
    /// Ends what the client sends, on any thread: the one that reads finds out.
    ///
    /// # Safety
    /// The thread that [`Ctx::body_socket`] was called on is still before the end of its [`Ctx::read_body`].
    pub unsafe fn end(self) {
        // SAFETY: the caller vouches for the descriptor to be the one it was.
        unsafe { vx_socket_end(self.0) }
    }
}

impl Ctx<'_> {
    /// In vcl_recv, reads all of the request's body, from the network or from the cache. From the network that is done once: then it is gone, the request says
    /// no more that there is one, and a fetch has none.
    ///
    /// The bound in time is kept as soon as something comes, at the latest when the client is silent for `timeout_idle`. What
    /// may come without an end and is nothing of the body, [`Ctx::body_socket`] is for.
    pub fn read_body(self, bounds: Bounds) -> Result<Vec<u8>, NoBody> {
        let raw = RawBounds { keep: bounds.keep as u64, read: bounds.read, seconds: bounds.time.as_secs_f64() };
        let mut body = Vec::new();
        // SAFETY: self is the server's context; the callback gets the Vec that goes with it, during the call.
        let is = unsafe { vx_body_read(self.as_ptr(), &raw, take_piece, (&raw mut body).cast()) };
        match is {
            0 => Ok(body),
            1 => Err(NoBody::None),
            2 => Err(NoBody::Taken),
            3 => Err(NoBody::TooLarge),
            4 => Err(NoBody::Late),
            5 => Err(NoBody::ClientFailed),
            _ => Err(NoBody::CacheFailed),
        }
    }

    /// Has the request answered without a look at its body: one that is not known to be of at most so many bytes is not read by the server either, and its connection ends
    /// with the answer.
    pub fn leave_body(self, most: u64) {
        // SAFETY: self is the server's context.
        unsafe { vx_body_leave(self.as_ptr(), most) }
    }

    /// The socket of a client that could hold the thread which reads from it for ever.
    pub fn body_socket(self) -> Option<BodySocket> {
        // SAFETY: self is the server's context.
        let socket = unsafe { vx_body_socket(self.as_ptr()) };
        (socket >= 0).then_some(BodySocket(socket))
    }

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

/// Adds a piece to the body.
///
/// # Safety
/// `to` is the Vec that [`Ctx::read_body`] has handed in, `piece` has `len` bytes.
unsafe extern "C" fn take_piece(to: *mut c_void, piece: *const c_void, len: usize) -> c_int {
    enter_bare("body", 1, || {
        // SAFETY: the caller vouches for `to`, which nobody else has during the call.
        let body = unsafe { &mut *to.cast::<Vec<u8>>() };
        // SAFETY: the server lends so many bytes for the call.
        body.extend_from_slice(unsafe { std::slice::from_raw_parts(piece.cast::<u8>(), len) });
        0
    })
}

/// `struct vx_bounds`.
#[repr(C)]
struct RawBounds {
    keep: u64,
    read: u64,
    seconds: f64,
}

unsafe extern "C" {
    fn vx_body_read(
        ctx: *const VrtCtx,
        bounds: *const RawBounds,
        take: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int,
        to: *mut c_void,
    ) -> u32;
    fn vx_body_leave(ctx: *const VrtCtx, most: u64);
    fn vx_body_socket(ctx: *const VrtCtx) -> c_int;
    fn vx_socket_end(socket: c_int);
    fn vx_request_body(ctx: *const VrtCtx, buffer: *mut u8, size: usize, len: *mut u64) -> i32;
}
