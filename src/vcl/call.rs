// SPDX-License-Identifier: BSD-2-Clause
//! What all calls have in common: how they come from C, and whom they are for.

use std::sync::Arc;

use client::Client;
use event::capture::level::Level;
use shim::state::VmodPriv;
use shim::{Ctx, VclString, VrtCtx, enter};

use crate::client::VclClient;
use crate::counters::misused;
use crate::task::{Audience, STATES};

/// `struct vmod_sentry_client`: what `new c = sentry.client(…)` makes.
pub struct Object {
    pub client: Arc<VclClient>,
}

/// A call: where a call comes from, and whom it is for.
#[derive(Clone, Copy)]
pub struct Call<'t> {
    pub ctx: Ctx<'t>,
    pub name: &'static str,
    pub audience: Audience<'t>,
}

impl<'t> Call<'t> {
    /// The client that captures: the one of the method, or the default one.
    pub fn client(self) -> &'t Arc<VclClient> {
        match self.audience {
            Audience::All(vcl) => &vcl.default,
            Audience::One(client) => client,
        }
    }

    pub fn misused(self, problem: &str) {
        misused(self.ctx, &format!("{}: {problem}", self.name));
    }

    /// Fails the load of the VCL.
    pub fn fail(self, problem: &str) {
        self.ctx.fail(&format!("{}: {problem}", self.name));
    }

    /// The argument if it says something; else the call is misused.
    pub fn needed(self, name: &str, argument: VclString<'t>) -> Option<&'t [u8]> {
        match argument.bytes() {
            Some(b"") => self.misused(&format!("{name} is empty")),
            None => self.misused(&format!("{name} is unset")),
            some => return some,
        }
        None
    }

    /// Whether the call comes from vcl_init; elsewhere it is misused.
    pub fn is_in_vcl_init(self) -> bool {
        let is_in = self.ctx.facts().sub == b"vcl_init";
        if !is_in {
            self.misused("may only be called from vcl_init");
        }
        is_in
    }

    /// The client proper, for a call that makes it if it may; without one the call is misused.
    pub fn core(self) -> Option<&'t Arc<Client>> {
        let core = self.client().core(self.ctx);
        if core.is_none() {
            // Only vcl_fini runs without one, of a VCL that came to nothing.
            self.misused("the VCL was never warm, so it has no client");
        }
        core
    }
}

/// The two entries of a call: as a function, for all clients; and as a method, for one.
macro_rules! entries {
    ($name:literal: $function:ident, $method:ident($($argument:ident: $type:ty),*) -> $result:ty = $neutral:expr, $body:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function(ctx: *const VrtCtx, vcl: *const VmodPriv $(, $argument: $type)*) -> $result {
            // SAFETY: the server passes its context and the VCL's own private.
            unsafe { function(ctx, vcl, $name, $neutral, |call| $body(call $(, $argument)*)) }
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn $method(ctx: *const VrtCtx, object: *const Object $(, $argument: $type)*) -> $result {
            // SAFETY: the server passes its context and the object's variable.
            unsafe { method(ctx, object, $name, $neutral, |call| $body(call $(, $argument)*)) }
        }
    };
}
pub(super) use entries;

/// The level of an ENUM argument: VCC lets no other word through.
pub fn level_of(word: VclString<'_>) -> Level {
    word.bytes().and_then(Level::from_name).unwrap_or(Level::Error)
}

/// An argument as text; one that is unset is empty.
pub fn text<'t>(name: &str, given: VclString<'t>) -> Result<&'t str, String> {
    given.text().map_err(|_| format!("{name} is not UTF-8"))
}

/// A $Function: `body` with the VCL's state, or `neutral`.
///
/// # Safety
/// `ctx` and `vcl` are what the server passed to this call.
pub unsafe fn function<T: Copy>(
    ctx: *const VrtCtx,
    vcl: *const VmodPriv,
    name: &'static str,
    neutral: T,
    body: impl FnOnce(Call<'_>) -> T,
) -> T {
    let body = |ctx| {
        // SAFETY: the caller vouches for `vcl`.
        match unsafe { STATES.vcl(vcl) } {
            Some(vcl) => body(Call { ctx, name, audience: Audience::All(vcl) }),
            None => neutral,
        }
    };
    // SAFETY: the caller passes on what the server gave it.
    unsafe { enter(ctx, name, neutral, body) }
}

/// A $Method: `body` with the object's client, or `neutral`.
///
/// # Safety
/// `ctx` and `object` are what the server passed to this call.
pub unsafe fn method<T: Copy>(
    ctx: *const VrtCtx,
    object: *const Object,
    name: &'static str,
    neutral: T,
    body: impl FnOnce(Call<'_>) -> T,
) -> T {
    let body = |ctx| {
        // SAFETY: NULL or the object of `new`, which lives until no task of its VCL is left.
        match unsafe { object.as_ref() } {
            Some(object) => body(Call { ctx, name, audience: Audience::One(&object.client) }),
            None => neutral,
        }
    };
    // SAFETY: the caller passes on what the server gave it.
    unsafe { enter(ctx, name, neutral, body) }
}
