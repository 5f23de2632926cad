// SPDX-License-Identifier: BSD-2-Clause
//! $Event: a VCL is loaded, becomes warm, is discarded.

use std::ffi::c_int;
use std::sync::Arc;

use shim::state::VmodPriv;
use shim::{Ctx, VrtCtx, enter};

use crate::client::VclState;
use crate::task::STATES;
use crate::{counters, lifecycle, watch};

const VCL_EVENT_LOAD: c_int = 0;
const VCL_EVENT_WARM: c_int = 1;
const VCL_EVENT_DISCARD: c_int = 3;

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_event(ctx: *const VrtCtx, vcl: *mut VmodPriv, event: c_int) -> c_int {
    let body = |ctx: Ctx<'_>| {
        match event {
            VCL_EVENT_LOAD => {
                STATES.install();
                counters::install();
                watch::install();
                // SAFETY: the server passes the VCL's own private.
                unsafe { STATES.set_vcl(vcl, Arc::new(VclState::new())) };
            }
            VCL_EVENT_WARM => {
                // SAFETY: as above.
                if let Some(vcl) = unsafe { STATES.vcl(vcl) } {
                    vcl.make_all(ctx);
                    lifecycle::warm(ctx, vcl);
                }
            }
            VCL_EVENT_DISCARD => {
                // SAFETY: as above; it ends after this event.
                if let Some(vcl) = unsafe { STATES.vcl(vcl) } {
                    lifecycle::discard(ctx, vcl);
                }
            }
            _ => {}
        }
        0
    };
    // SAFETY: the server passes its context.
    unsafe { enter(ctx, "sentry", 1, body) }
}
