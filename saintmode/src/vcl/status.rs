// SPDX-License-Identifier: BSD-2-Clause
//! What there is to see, as texts for VCL.

use std::ffi::{CStr, c_char};

use shim::state::VmodPriv;
use shim::{Ctx, VclString, VrtCtx};

use super::call::{function, misused};
use crate::object::Objects;
use crate::view::{page, report, status};

const BAD_LIMIT: &CStr = c"{\"error\": \"limit must be between 1 and 1000\"}";

/// The workspace of a status page has no room: a text that needs none.
const NO_WORKSPACE: &CStr = c"{\"error\": \"out of workspace\"}";

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_status(ctx: *const VrtCtx, vcl: *const VmodPriv) -> *const c_char {
    const CALL: &str = "saintmode.status()";
    let body = |ctx: Ctx<'_>, objects: &Objects| json(ctx, CALL, &status(ctx, objects));
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, CALL, std::ptr::null(), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_report(
    ctx: *const VrtCtx,
    vcl: *const VmodPriv,
    cursor: VclString<'_>,
    limit: i64,
) -> *const c_char {
    const CALL: &str = "saintmode.report()";
    let body = |ctx: Ctx<'_>, objects: &Objects| {
        let limit = match usize::try_from(limit) {
            Ok(limit) if (1..=1000).contains(&limit) => limit,
            _ => {
                misused(ctx, &format!("{CALL}: limit must be between 1 and 1000, got {limit}"));
                return BAD_LIMIT.as_ptr();
            }
        };
        // What is no text is no cursor either.
        let cursor = cursor.text().unwrap_or_default();
        json(ctx, CALL, &objects.with(|all| report(ctx, &all.collect::<Vec<_>>(), cursor, limit)))
    };
    // SAFETY: the server passes its context and the VCL's own private.
    unsafe { function(ctx, vcl, CALL, std::ptr::null(), body) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_page(_: *const VrtCtx) -> *const c_char {
    page::PAGE.as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_page_script(_: *const VrtCtx) -> *const c_char {
    page::SCRIPT.as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn vmod_page_csp(_: *const VrtCtx) -> *const c_char {
    page::POLICY.as_ptr()
}

/// `text` in the task's workspace; without room there, JSON that says so.
fn json(ctx: Ctx<'_>, call: &str, text: &str) -> *const c_char {
    let copy = ctx.copy(text.as_bytes());
    if copy.is_null() {
        misused(ctx, &format!("{call}: out of workspace"));
        return NO_WORKSPACE.as_ptr();
    }
    copy
}
