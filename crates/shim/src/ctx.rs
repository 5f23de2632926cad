// SPDX-License-Identifier: BSD-2-Clause
//! A call's context: where it comes from, its messages, its log, its workspace.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ptr::NonNull;

use crate::text::{name, vcl_string};

/// The server's `struct vrt_ctx`; only C looks into it.
#[repr(C)]
pub struct VrtCtx {
    _private: [u8; 0],
}

/// Which side of the cache a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The CLI thread: vcl_init, vcl_fini, backend.list.
    Cli,
    Client,
    Backend,
}

/// What a VSL record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tag {
    /// VCL_Log: what the VCL author wants to see.
    Log = 0,
    /// VCL_Error: what the VCL author got wrong.
    VclError = 1,
    /// Error: what went wrong here.
    Error = 2,
}

/// One of a task's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Message {
    Request = 0,
    Response = 1,
    BackendRequest = 2,
    BackendResponse = 3,
}

/// What is known of the task at the call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'t> {
    pub side: Side,
    /// The VCL sub, as in `vcl_recv`; empty outside of one.
    pub sub: &'t [u8],
    /// The VCL's name.
    pub vcl: &'t str,
    /// The backend reached, else the director asked for; empty if neither.
    pub backend: &'t [u8],
    pub xid: u64,
    pub restarts: u32,
    pub retries: u32,
    pub esi_level: u32,
    /// Whether the sub works on a response.
    pub has_response: bool,
    /// Whether this is a background fetch.
    pub background: bool,
    /// Whether PROXY's TLVs say that the client used TLS.
    pub tls: bool,
    /// When the task began, seconds since the epoch; 0 if unknown.
    pub first: f64,
    /// The task's last Timestamp record, seconds since the epoch; 0 if unknown.
    pub previous: f64,
}

/// Which task a call comes from: what costs next to nothing to know.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub side: Side,
    pub xid: u64,
    /// Whether a VCL sub runs; at the end of a task none does.
    pub in_sub: bool,
}

/// A call's context, valid for the call.
#[derive(Clone, Copy)]
pub struct Ctx<'t> {
    raw: NonNull<VrtCtx>,
    task: PhantomData<&'t VrtCtx>,
}

impl<'t> Ctx<'t> {
    /// Wraps what the server passed; `None` for NULL.
    ///
    /// # Safety
    /// `raw` is NULL or the server's own context, valid for `'t`.
    pub unsafe fn from_raw(raw: *const VrtCtx) -> Option<Ctx<'t>> {
        NonNull::new(raw.cast_mut()).map(|raw| Ctx { raw, task: PhantomData })
    }

    /// What C takes.
    pub fn as_ptr(self) -> *const VrtCtx {
        self.raw.as_ptr()
    }

    /// The task's clock in seconds since the epoch; `None` outside of a task.
    pub fn now(self) -> Option<f64> {
        // SAFETY: self is the server's context (from_raw).
        let now = unsafe { vx_now(self.as_ptr()) };
        (now > 0.0).then_some(now)
    }

    /// What is known of the task.
    pub fn facts(self) -> Facts<'t> {
        let mut raw = RawFacts::default();
        // SAFETY: self is the server's context (from_raw); the call writes every field.
        unsafe { vx_facts_of(self.as_ptr(), &mut raw) };
        // SAFETY: the server's own name of a sub: static.
        let sub = unsafe { vcl_string(raw.method) }.unwrap_or_default();
        // SAFETY: the VCL is referenced by the task, and its name lives with it.
        let vcl = unsafe { name(raw.vcl) };
        // SAFETY: the task holds a reference to the director or its VCL does.
        let backend = unsafe { vcl_string(raw.backend) }.unwrap_or_default();
        Facts {
            side: side(raw.side),
            sub,
            vcl,
            backend,
            xid: raw.xid,
            restarts: raw.restarts,
            retries: raw.retries,
            esi_level: raw.esi_level,
            has_response: raw.has_response != 0,
            background: raw.background != 0,
            tls: raw.tls != 0,
            first: raw.first,
            previous: raw.previous,
        }
    }

    /// Which task this is.
    pub fn place(self) -> Place {
        let mut raw = RawPlace { xid: 0, side: 0, in_sub: 0 };
        // SAFETY: self is the server's context; the call writes every field.
        unsafe { vx_place_of(self.as_ptr(), &mut raw) };
        Place { side: side(raw.side), xid: raw.xid, in_sub: raw.in_sub != 0 }
    }

    /// The message's request method.
    pub fn method(self, message: Message) -> Option<&'t [u8]> {
        self.fields(message).first()?.bytes()
    }

    /// The message's URL as it stands in the request line.
    pub fn url(self, message: Message) -> Option<&'t [u8]> {
        self.fields(message).get(1)?.bytes()
    }

    /// The message's protocol, as in `HTTP/1.1`.
    pub fn protocol(self, message: Message) -> Option<&'t [u8]> {
        self.fields(message).get(2)?.bytes()
    }

    /// The message's reason phrase.
    pub fn reason(self, message: Message) -> Option<&'t [u8]> {
        self.fields(message).get(4)?.bytes()
    }

    /// The message's header lines, `Name: text`; none where the task has no such message.
    pub fn headers(self, message: Message) -> impl Iterator<Item = &'t [u8]> + Clone {
        self.fields(message).get(5..).unwrap_or_default().iter().filter_map(RawText::bytes)
    }

    fn fields(self, message: Message) -> &'t [RawText] {
        let (mut count, mut status) = (0, 0);
        // SAFETY: self is the server's context; the out pointers are locals.
        let first = unsafe { vx_http_fields(self.as_ptr(), message as u32, &mut count, &mut status) };
        if first.is_null() {
            return &[];
        }
        // SAFETY: the server's header array has `count` slots and stays put while the call runs: only VCL
        // code of this very task changes it.
        unsafe { std::slice::from_raw_parts(first, count) }
    }

    /// The message's status code; 0 where there is none.
    pub fn status(self, message: Message) -> u32 {
        let (mut count, mut status) = (0, 0);
        // SAFETY: self is the server's context; the out pointers are locals.
        unsafe { vx_http_fields(self.as_ptr(), message as u32, &mut count, &mut status) };
        status
    }

    /// The client's address; `None` outside of a session and for a unix socket.
    pub fn client_ip(self) -> Option<IpAddr> {
        let mut bytes = [0; 16];
        // SAFETY: self is the server's context; there is room for either kind of address.
        let length = unsafe { vx_client_ip(self.as_ptr(), bytes.as_mut_ptr()) };
        match length {
            4 => bytes.first_chunk().map(|v4: &[u8; 4]| IpAddr::from(*v4)),
            16 => Some(IpAddr::from(bytes)),
            _ => None,
        }
    }

    /// The server's identity (`varnishd -i`).
    pub fn identity(self) -> &'t str {
        // SAFETY: self is the server's context.
        let identity = unsafe { vx_identity(self.as_ptr()) };
        // SAFETY: a text of the server's that lives as long as the process.
        unsafe { name(identity) }
    }

    /// Writes one record to the task's log; outside of a task, to the log as such.
    pub fn log(self, tag: Tag, text: &str) {
        // SAFETY: self is the server's context; the length is the text's.
        unsafe { vx_log(self.as_ptr(), tag as u32, text.as_ptr().cast(), text.len()) }
    }

    /// Fails the VCL load, or in traffic the task: for what is wrong in the VCL itself, at load.
    pub fn fail(self, text: &str) {
        let text = c_text(text);
        // SAFETY: self is the server's context; the text ends in a NUL, and C prints it with "%s".
        unsafe { vx_fail(self.as_ptr(), text.as_ptr().cast()) }
    }

    /// Why the fetch failed: a copy in the workspace of what the server has last told its log. `None` if it
    /// has not, or in another task than a fetch; NULL, and nothing marked, without room.
    pub fn fetch_error(self) -> Option<*const c_char> {
        self.read_fetch_error(|text| text.map(|text| self.copy(text)))
    }

    /// Lends what [`Ctx::fetch_error`] copies to `body`, which must not log: that moves what it looks at.
    pub fn read_fetch_error<R>(self, body: impl FnOnce(Option<&[u8]>) -> R) -> R {
        // SAFETY: self is the server's context.
        let text = unsafe { vx_fetch_error(self.as_ptr()) };
        // SAFETY: NULL or a record of the task's log, which ends in a NUL and stays until the next one:
        // `body` logs nothing.
        let text = unsafe { vcl_string(text) };
        // Whether the connection was a new one changes nothing about what went wrong.
        body(text.map(|text| text.strip_suffix(b" (reused connection)").unwrap_or(text)))
    }

    /// Lends bytes to VCL; NULL, and nothing marked, without room.
    ///
    /// # Safety
    /// They stay as they are until the task ends.
    pub unsafe fn blob(self, bytes: &[u8]) -> *const VrtBlob {
        // SAFETY: self is the server's context; the caller vouches for how long the bytes live.
        unsafe { vx_blob(self.as_ptr(), bytes.as_ptr(), bytes.len()) }
    }

    /// Copies a text into the workspace for VCL to use; NULL, and nothing marked, without room.
    pub fn copy(self, text: &[u8]) -> *const c_char {
        // SAFETY: self is the server's context; the length is the text's.
        unsafe { vx_ws_copy(self.as_ptr(), text.as_ptr().cast(), text.len()) }
    }
}

/// The server's `struct vrt_blob`, for VCL; only C looks into it.
#[repr(C)]
pub struct VrtBlob {
    _private: [u8; 0],
}

/// A blob of nothing.
pub fn no_blob() -> *const VrtBlob {
    // SAFETY: takes nothing.
    unsafe { vx_no_blob() }
}

/// Name and version of the server the module was built for and runs in.
pub fn server() -> (&'static str, &'static str) {
    // SAFETY: takes nothing.
    let server = unsafe { vx_server() };
    // SAFETY: a literal.
    let server = unsafe { name(server) };
    // A revision comes last, and a name may be of several words: "Vinyl Cache 9.0.1 423648c".
    let release = server.rsplit_once(' ').map_or(server, |(release, _)| release);
    release.rsplit_once(' ').unwrap_or((release, ""))
}

/// Writes one record to the log outside of all tasks; any thread may.
pub fn log(tag: Tag, text: &str) {
    // SAFETY: NULL is allowed for the context; the length is the text's.
    unsafe { vx_log(std::ptr::null(), tag as u32, text.as_ptr().cast(), text.len()) }
}

/// Has `handler` called when the process ends by exit(3); false if the C library has no room for it.
pub fn at_exit(handler: extern "C" fn()) -> bool {
    // SAFETY: the handler is code of this module, which stays mapped to the end (`-z nodelete`).
    unsafe { vx_atexit(handler) != 0 }
}

pub(crate) fn side(raw: u32) -> Side {
    match raw {
        1 => Side::Client,
        2 => Side::Backend,
        _ => Side::Cli,
    }
}

/// The text up to its first NUL, with one.
fn c_text(text: &str) -> Vec<u8> {
    text.bytes().take_while(|byte| *byte != 0).chain([0]).collect()
}

/// `struct vx_text`.
#[repr(C)]
pub(crate) struct RawText {
    begin: *const u8,
    end: *const u8,
}

impl RawText {
    pub(crate) const NONE: RawText = RawText { begin: std::ptr::null(), end: std::ptr::null() };

    pub(crate) fn bytes<'t>(&self) -> Option<&'t [u8]> {
        if self.begin.is_null() {
            return None;
        }
        let len = (self.end as usize).checked_sub(self.begin as usize)?;
        // SAFETY: begin and end delimit one text in the workspace of the task or of its session (or in the
        // object's storage), which all outlive the task.
        Some(unsafe { std::slice::from_raw_parts(self.begin, len) })
    }
}

/// `struct vx_facts`.
#[repr(C)]
struct RawFacts {
    method: *const c_char,
    vcl: *const c_char,
    backend: *const c_char,
    first: f64,
    previous: f64,
    xid: u64,
    side: u32,
    restarts: u32,
    retries: u32,
    esi_level: u32,
    has_response: u32,
    background: u32,
    tls: u32,
}

impl Default for RawFacts {
    fn default() -> RawFacts {
        let none = std::ptr::null();
        RawFacts {
            method: none,
            vcl: none,
            backend: none,
            first: 0.0,
            previous: 0.0,
            xid: 0,
            side: 0,
            restarts: 0,
            retries: 0,
            esi_level: 0,
            has_response: 0,
            background: 0,
            tls: 0,
        }
    }
}

/// `struct vx_place`.
#[repr(C)]
struct RawPlace {
    xid: u64,
    side: u32,
    in_sub: u32,
}

unsafe extern "C" {
    fn vx_place_of(ctx: *const VrtCtx, place: *mut RawPlace);
    fn vx_now(ctx: *const VrtCtx) -> f64;
    fn vx_facts_of(ctx: *const VrtCtx, facts: *mut RawFacts);
    fn vx_http_fields(ctx: *const VrtCtx, message: u32, n: *mut usize, status: *mut u32) -> *const RawText;
    fn vx_client_ip(ctx: *const VrtCtx, address: *mut u8) -> usize;
    fn vx_identity(ctx: *const VrtCtx) -> *const c_char;
    fn vx_server() -> *const c_char;
    fn vx_log(ctx: *const VrtCtx, tag: u32, text: *const c_char, len: usize);
    fn vx_fail(ctx: *const VrtCtx, text: *const c_char);
    fn vx_fetch_error(ctx: *const VrtCtx) -> *const c_char;
    fn vx_blob(ctx: *const VrtCtx, bytes: *const u8, len: usize) -> *const VrtBlob;
    fn vx_no_blob() -> *const VrtBlob;
    fn vx_ws_copy(ctx: *const VrtCtx, text: *const c_char, len: usize) -> *const c_char;
    fn vx_atexit(handler: extern "C" fn()) -> i32;
}
