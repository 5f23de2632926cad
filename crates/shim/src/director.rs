// SPDX-License-Identifier: BSD-2-Clause
//! A director that stands for one backend.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use crate::ctx::{Ctx, Side, VrtCtx, side};
use crate::guard::{enter, enter_bare};
use crate::text::vcl_string;

/// The server's `struct director`; only C looks into it.
#[repr(C)]
pub struct RawBackend {
    _private: [u8; 0],
}

/// A VCL_BACKEND as VCL passes it: NULL for `none`.
pub type VclBackend = *const RawBackend;

/// The server's string buffer; only C looks into it.
#[repr(C)]
struct Vsb {
    _private: [u8; 0],
}

/// Where a listing goes: `varnishadm backend.list`.
pub struct Listing {
    vsb: NonNull<Vsb>,
    /// `-p`: in detail.
    pub details: bool,
    /// `-j`: JSON.
    pub json: bool,
}

impl Listing {
    /// Appends to the listing.
    pub fn write(&self, text: &str) {
        // SAFETY: the server's buffer of this very listing; the length is the text's.
        unsafe { vx_vsb_write(self.vsb.as_ptr(), text.as_ptr().cast(), text.len()) }
    }
}

/// What the server asks of a director. All may come from any thread at the same time.
pub trait Director: Send + Sync + Sized + 'static {
    /// Whether a fetch may be sent here, and since when (seconds since the epoch).
    fn healthy(&self, ctx: Ctx<'_>) -> (bool, f64);
    /// Whether this fetch may go to the backend. `behind`: of how many of these directors that have admitted it, and stand for
    /// directors as this one does.
    fn admits(&self, ctx: Ctx<'_>, behind: u32) -> bool;
    /// Is told that this fetch goes to `reached`, the backend proper. Directors further in are told first.
    fn serves(&self, ctx: Ctx<'_>, reached: VclBackend);
    /// Describes itself.
    fn list(&self, ctx: Ctx<'_>, listing: &Listing);
}

/// The object a task is about.
#[derive(Clone, Copy, Debug)]
pub struct Object<'t> {
    /// What vcl_hash made of the request; `None` before it.
    pub digest: Option<&'t [u8; 32]>,
    /// The backend of the last attempt that reached one, maybe an attempt before this one.
    pub reached: VclBackend,
    /// Of the attempt: a retry gives the task another one.
    pub xid: u64,
    pub side: Side,
    /// Whether the attempt is over: vcl_backend_response and vcl_backend_error.
    pub attempt_over: bool,
    /// Whether it failed: vcl_backend_error.
    pub failed: bool,
    /// Whether a fetch or a pipe asks, rather than VCL of the client side.
    pub fetching: bool,
    /// Whether a VCL sub asks, rather than the server on its way to a backend.
    pub in_sub: bool,
}

impl<'t> Ctx<'t> {
    /// The object the task is about.
    pub fn object(self) -> Object<'t> {
        let mut raw = RawObject {
            digest: std::ptr::null(),
            reached: std::ptr::null(),
            xid: 0,
            side: 0,
            attempt_over: 0,
            failed: 0,
            fetching: 0,
            in_sub: 0,
        };
        // SAFETY: self is the server's context; the call writes every field.
        unsafe { vx_object_of(self.as_ptr(), &mut raw) };
        Object {
            // SAFETY: NULL or the 32 bytes in the task's own request or busy object, which outlive it.
            digest: unsafe { raw.digest.as_ref() },
            reached: raw.reached,
            xid: raw.xid,
            side: side(raw.side),
            attempt_over: raw.attempt_over != 0,
            failed: raw.failed != 0,
            fetching: raw.fetching != 0,
            in_sub: raw.in_sub != 0,
        }
    }

    /// Whether `backend` is healthy by its probe and by what the operator set, and since when.
    ///
    /// # Safety
    /// `backend` is a backend or director that VCL passed in and that is still referenced; not NULL.
    pub unsafe fn backend_healthy(self, backend: VclBackend) -> (bool, f64) {
        let mut changed = 0.0;
        // SAFETY: self is the server's context; the caller vouches for the backend.
        let healthy = unsafe { vx_backend_healthy(self.as_ptr(), backend, &mut changed) };
        (healthy != 0, changed)
    }
}

/// Whether it is a director, which leads to backends, rather than a backend.
///
/// # Safety
/// `backend` is not NULL and referenced.
pub unsafe fn leads_on(backend: VclBackend) -> bool {
    // SAFETY: the caller vouches for the backend.
    (unsafe { vx_backend_leads_on(backend) }) != 0
}

impl Ctx<'_> {
    /// Has a director ask each of its members for its health, the first one that is healthy or not; if it lists none, it is asked for its own.
    /// No director may be choosing on this thread.
    ///
    /// # Safety
    /// `director` is a director (see [`leads_on`]) that VCL passed in and that is still referenced.
    pub unsafe fn explore_director(self, director: VclBackend) {
        // SAFETY: self is the server's context; the caller vouches for the director.
        unsafe { vx_backend_explore(self.as_ptr(), director) }
    }
}

/// A backend's or director's name in its VCL.
///
/// # Safety
/// `backend` is not NULL and referenced for `'b`.
pub unsafe fn backend_name<'b>(backend: VclBackend) -> &'b str {
    // SAFETY: the caller vouches for the backend.
    let name = unsafe { vx_backend_name(backend) };
    // SAFETY: the name is a NUL-terminated text that lives with the director.
    std::str::from_utf8(unsafe { vcl_string(name) }.unwrap_or_default()).unwrap_or_default()
}

/// What the operator said of a director by `backend.set_health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Nothing: the director itself says.
    Auto,
    Healthy,
    Sick,
}

/// A registered director.
///
/// Its state belongs to the server, which frees it when its last reference to the director goes: not
/// before [`Handle::retire`], but maybe in it. Until then a retired one is sick, and its state is not asked.
#[derive(Clone, Copy)]
pub struct Handle(NonNull<RawDirector>);

// SAFETY: the C struct is written at creation and in the server's own callbacks on the CLI thread; all
// else only reads it.
unsafe impl Send for Handle {}
// SAFETY: as for Send.
unsafe impl Sync for Handle {}

impl Handle {
    /// Registers a director called `name` that stands for `backend`; its state belongs to the server
    /// from then on. `None`, and the state stays the caller's, if the VCL takes no directors any more.
    ///
    /// # Safety
    /// `backend` is not NULL and was passed in by VCL at this call; `state` came from Box::into_raw.
    pub unsafe fn new<D: Director>(
        ctx: Ctx<'_>,
        name: &CStr,
        backend: VclBackend,
        state: NonNull<D>,
    ) -> Option<Handle> {
        let state = state.as_ptr().cast();
        // SAFETY: ctx is the server's, the caller vouches for the backend, and the calls fit the state's type.
        let raw = unsafe { vx_director_new(ctx.as_ptr(), name.as_ptr(), backend, Calls::of::<D>(), state) };
        NonNull::new(raw).map(Handle)
    }

    /// The director as VCL uses it.
    ///
    /// # Safety
    /// The director's state still lives.
    pub unsafe fn face(self) -> VclBackend {
        // SAFETY: the caller vouches for the director.
        unsafe { vx_director_face(self.0.as_ptr()) }
    }

    /// What the operator set by `backend.set_health`.
    ///
    /// # Safety
    /// The director's state still lives.
    pub unsafe fn admin(self) -> Admin {
        // SAFETY: the caller vouches for the director.
        match unsafe { vx_director_admin(self.0.as_ptr()) } {
            1 => Admin::Healthy,
            2 => Admin::Sick,
            _ => Admin::Auto,
        }
    }

    /// Moves the director's "Last change" to `when` (seconds since the epoch), unless it is later already.
    ///
    /// # Safety
    /// The director's state still lives.
    pub unsafe fn set_changed(self, when: f64) {
        // SAFETY: the caller vouches for the director.
        unsafe { vx_director_changed(self.0.as_ptr(), when) }
    }

    /// Takes the director out of its VCL.
    ///
    /// # Safety
    /// Called once, on the CLI thread, at the VCL object's end; neither handle nor state is used afterwards.
    pub unsafe fn retire(self) {
        // SAFETY: the caller vouches for the one call.
        unsafe { vx_director_retire(self.0.as_ptr()) }
    }
}

#[repr(C)]
struct RawDirector {
    _private: [u8; 0],
}

/// `struct vx_object`.
#[repr(C)]
struct RawObject {
    digest: *const [u8; 32],
    reached: VclBackend,
    xid: u64,
    side: u32,
    attempt_over: u32,
    failed: u32,
    fetching: u32,
    in_sub: u32,
}

/// `struct vx_director_calls`.
#[repr(C)]
struct Calls {
    healthy: unsafe extern "C" fn(*const VrtCtx, *mut c_void, *mut f64) -> u32,
    admits: unsafe extern "C" fn(*const VrtCtx, *mut c_void, u32) -> u32,
    serves: unsafe extern "C" fn(*const VrtCtx, *mut c_void, VclBackend),
    list: unsafe extern "C" fn(*const VrtCtx, *mut c_void, *mut Vsb, i32, i32),
    destroy: unsafe extern "C" fn(*mut c_void),
}

impl Calls {
    fn of<D: Director>() -> &'static Calls {
        &const {
            Calls {
                healthy: healthy::<D>,
                admits: admits::<D>,
                serves: serves::<D>,
                list: list::<D>,
                destroy: destroy::<D>,
            }
        }
    }
}

unsafe extern "C" fn healthy<D: Director>(ctx: *const VrtCtx, state: *mut c_void, changed: *mut f64) -> u32 {
    let body = |ctx: Ctx<'_>| {
        // SAFETY: the state is the D of Handle::new, which lives until destroy().
        let director = unsafe { &*state.cast::<D>() };
        let (healthy, since) = director.healthy(ctx);
        // SAFETY: C passes the address of a local.
        unsafe { *changed = since };
        u32::from(healthy)
    };
    // SAFETY: C passes on the server's context.
    unsafe { enter(ctx, "saintmode director", 1, body) }
}

unsafe extern "C" fn admits<D: Director>(ctx: *const VrtCtx, state: *mut c_void, behind: u32) -> u32 {
    let body = |ctx: Ctx<'_>| {
        // SAFETY: as in healthy().
        let director = unsafe { &*state.cast::<D>() };
        u32::from(director.admits(ctx, behind))
    };
    // SAFETY: C passes on the server's context.
    unsafe { enter(ctx, "saintmode director", 1, body) }
}

unsafe extern "C" fn serves<D: Director>(ctx: *const VrtCtx, state: *mut c_void, reached: VclBackend) {
    let body = |ctx: Ctx<'_>| {
        // SAFETY: as in healthy().
        let director = unsafe { &*state.cast::<D>() };
        director.serves(ctx, reached);
    };
    // SAFETY: C passes on the server's context.
    unsafe { enter(ctx, "saintmode director", (), body) }
}

unsafe extern "C" fn list<D: Director>(ctx: *const VrtCtx, state: *mut c_void, vsb: *mut Vsb, details: i32, json: i32) {
    let body = |ctx: Ctx<'_>| {
        let Some(vsb) = NonNull::new(vsb) else { return };
        // SAFETY: as in healthy().
        let director = unsafe { &*state.cast::<D>() };
        director.list(ctx, &Listing { vsb, details: details != 0, json: json != 0 });
    };
    // SAFETY: C passes on the server's context.
    unsafe { enter(ctx, "saintmode director", (), body) }
}

unsafe extern "C" fn destroy<D: Director>(state: *mut c_void) {
    enter_bare("saintmode director", (), || {
        // SAFETY: the server's last reference is gone; the state is the Box of Handle::new's caller, ended only here.
        drop(unsafe { Box::from_raw(state.cast::<D>()) });
    });
}

unsafe extern "C" {
    fn vx_object_of(ctx: *const VrtCtx, object: *mut RawObject);
    fn vx_director_new(
        ctx: *const VrtCtx,
        name: *const c_char,
        backend: VclBackend,
        calls: *const Calls,
        state: *mut c_void,
    ) -> *mut RawDirector;
    fn vx_director_retire(director: *mut RawDirector);
    fn vx_director_admin(director: *const RawDirector) -> u32;
    fn vx_director_changed(director: *const RawDirector, when: f64);
    fn vx_director_face(director: *const RawDirector) -> VclBackend;
    fn vx_backend_leads_on(backend: VclBackend) -> u32;
    fn vx_backend_explore(ctx: *const VrtCtx, backend: VclBackend);
    fn vx_backend_name(backend: VclBackend) -> *const c_char;
    fn vx_backend_healthy(ctx: *const VrtCtx, backend: VclBackend, changed: *mut f64) -> u32;
    fn vx_vsb_write(vsb: *mut Vsb, text: *const c_char, len: usize);
}
