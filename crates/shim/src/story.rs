// SPDX-License-Identifier: BSD-2-Clause
//! The cache's part in a task: what it did with the request, with which object, and how long things took.

use std::ffi::c_char;

use crate::ctx::{Ctx, Facts, RawText, VrtCtx};
use crate::text::vcl_string;

/// What the cache does, or did, for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    Hit,
    Miss,
    Pass,
    /// A miss because of a hit-for-miss object.
    HitMiss,
    /// A pass because of a hit-for-pass object.
    HitPass,
    Synth,
    Pipe,
}

/// What the server tells of the cache's part in a task. Unknown texts are empty, unknown times and numbers 0.
#[derive(Clone, Copy, Debug)]
pub struct Story<'t> {
    /// `None` before the look-up, and for a background fetch.
    pub cache: Option<Cache>,
    /// Where the object is, or is going to be.
    pub storage: &'t [u8],
    /// The name of the `-a` that the client came by, and its address.
    pub listener: &'t [u8],
    pub endpoint: &'t [u8],
    /// What PROXY's TLVs tell of the client's TLS.
    pub tls_version: &'t [u8],
    pub tls_cipher: &'t [u8],
    /// When the headers of the request, on the client side, or of the backend's response were there, seconds
    /// since the epoch.
    pub complete: f64,
    /// When the connection was accepted, seconds since the epoch.
    pub accepted: f64,
    /// Of an object that is, or may be, in the cache.
    pub times: Option<Times>,
    pub hits: u64,
    /// The connection's xid.
    pub session: u64,
    pub request_header_bytes: u64,
    pub request_body_bytes: u64,
    pub response_header_bytes: u64,
    pub response_body_bytes: u64,
}

/// An object's times in seconds, as VCL has them.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub ttl: f64,
    pub grace: f64,
    pub keep: f64,
    pub age: f64,
}

impl<'t> Ctx<'t> {
    /// The cache's part in the task that `facts` are of.
    pub fn story(self, facts: &Facts<'_>) -> Story<'t> {
        let mut raw = RawStory::default();
        // SAFETY: self is the server's context (from_raw); the call writes every field.
        unsafe { vx_story_of(self.as_ptr(), facts.tls.into(), &mut raw) };
        // SAFETY: the server keeps the names of its storages as long as it runs.
        let storage = unsafe { vcl_string(raw.storage) }.unwrap_or_default();
        // SAFETY: the server keeps its listeners as long as it runs.
        let listener = unsafe { vcl_string(raw.listener) }.unwrap_or_default();
        // SAFETY: as above.
        let endpoint = unsafe { vcl_string(raw.endpoint) }.unwrap_or_default();
        Story {
            cache: cache(raw.cache),
            storage,
            listener,
            endpoint,
            tls_version: raw.tls_version.bytes().unwrap_or_default(),
            tls_cipher: raw.tls_cipher.bytes().unwrap_or_default(),
            complete: raw.complete,
            accepted: raw.accepted,
            times: (raw.has_times != 0).then_some(Times {
                ttl: raw.ttl,
                grace: raw.grace,
                keep: raw.keep,
                age: raw.age,
            }),
            hits: raw.hits,
            session: raw.session,
            request_header_bytes: raw.request_header_bytes,
            request_body_bytes: raw.request_body_bytes,
            response_header_bytes: raw.response_header_bytes,
            response_body_bytes: raw.response_body_bytes,
        }
    }
}

fn cache(raw: u32) -> Option<Cache> {
    match raw {
        1 => Some(Cache::Hit),
        2 => Some(Cache::Miss),
        3 => Some(Cache::Pass),
        4 => Some(Cache::HitMiss),
        5 => Some(Cache::HitPass),
        6 => Some(Cache::Synth),
        7 => Some(Cache::Pipe),
        _ => None,
    }
}

/// `struct vx_story`.
#[repr(C)]
struct RawStory {
    storage: *const c_char,
    listener: *const c_char,
    endpoint: *const c_char,
    tls_version: RawText,
    tls_cipher: RawText,
    complete: f64,
    accepted: f64,
    ttl: f64,
    grace: f64,
    keep: f64,
    age: f64,
    hits: u64,
    session: u64,
    request_header_bytes: u64,
    request_body_bytes: u64,
    response_header_bytes: u64,
    response_body_bytes: u64,
    cache: u32,
    has_times: u32,
}

impl Default for RawStory {
    fn default() -> RawStory {
        let none = std::ptr::null();
        RawStory {
            storage: none,
            listener: none,
            endpoint: none,
            tls_version: RawText::NONE,
            tls_cipher: RawText::NONE,
            complete: 0.0,
            accepted: 0.0,
            ttl: 0.0,
            grace: 0.0,
            keep: 0.0,
            age: 0.0,
            hits: 0,
            session: 0,
            request_header_bytes: 0,
            request_body_bytes: 0,
            response_header_bytes: 0,
            response_body_bytes: 0,
            cache: 0,
            has_times: 0,
        }
    }
}

unsafe extern "C" {
    fn vx_story_of(ctx: *const VrtCtx, tls: i32, story: *mut RawStory);
}
