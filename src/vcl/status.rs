// SPDX-License-Identifier: BSD-2-Clause
//! `flush()`, `status()`, `fetch_error()`.

use std::ffi::{CStr, c_char};
use std::time::{Duration, Instant};

use shim::VrtCtx;
use shim::state::VmodPriv;

use super::call::{Call, Object, entries, function, method};
use crate::task::Audience;

/// The longest that flush() waits, whatever VCL asks for: it blocks a worker.
const MAX_FLUSH: Duration = Duration::from_secs(10);
/// A status page's workspace has no room: a text that needs none.
const NO_WORKSPACE: &CStr = c"{\"error\": \"out of workspace\"}";

entries!("sentry.flush()": vmod_flush, vmod_client_flush(timeout: f64) -> u32 = 0, |call: Call<'_>, timeout: f64| {
    u32::from(call.core().is_some_and(|core| core.flush(flush_time(timeout))))
});

/// How long a flush waits that VCL gives so many seconds: with less than none, or NaN, not at all.
pub fn flush_time(timeout: f64) -> Duration {
    Duration::try_from_secs_f64(timeout.min(MAX_FLUSH.as_secs_f64())).unwrap_or_default()
}

entries!("sentry.status()": vmod_status, vmod_client_status(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    let (cores, tunnels) = match call.audience {
        Audience::All(vcl) => (vcl.cores(), vcl.tunnels()),
        Audience::One(client) => (client.made().cloned().into_iter().collect(), Vec::new()),
    };
    let now = Instant::now();
    let clients = cores.iter().map(|core| core.status(now));
    let each: Vec<String> = clients.chain(tunnels.iter().map(|tunnel| tunnel.status(now))).collect();
    let text = call.ctx.copy(format!("[{}]", each.join(",\n")).as_bytes());
    if text.is_null() {
        call.misused("out of workspace");
        return NO_WORKSPACE.as_ptr();
    }
    text
});

entries!("sentry.fetch_error()": vmod_fetch_error, vmod_client_fetch_error(
) -> *const c_char = std::ptr::null(), |call: Call<'_>| {
    let Some(text) = call.ctx.fetch_error() else { return std::ptr::null() };
    if text.is_null() {
        call.misused("out of workspace");
    }
    text
});
