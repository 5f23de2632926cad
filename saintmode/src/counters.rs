// SPDX-License-Identifier: BSD-2-Clause
//! What varnishstat shows: a segment per object, and one for the module.

use std::ffi::c_char;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use privacy::scrub::Scrub;
use shim::counters::{Counters, VscSegment};
use shim::guard;

include!(concat!(env!("OUT_DIR"), "/counters.rs"));

static MODULE: OnceLock<Counters> = OnceLock::new();

/// The segment of one object; `None` if the server has no memory for it.
pub fn of_object(vcl: &str, object: &str) -> Option<Counters> {
    let name = format!("{vcl}.{object}");
    let len = SaintmodeCounter::Evicted as usize + 1;
    // SAFETY: the pair of saintmode.vsc, whose last counter is the one named here.
    unsafe { Counters::new(vx_saintmode_counters_new, vx_saintmode_counters_destroy, len, &name) }
}

/// Makes the module's segment, once, and has panics counted there. On the CLI thread.
pub fn install() {
    if MODULE.get().is_some() {
        return;
    }
    let len = VmodSaintmodeCounter::Panics as usize + 1;
    // SAFETY: the pair of vmod_saintmode.vsc, whose last counter is the one named here.
    let made = unsafe { Counters::new(vx_vmod_saintmode_counters_new, vx_vmod_saintmode_counters_destroy, len, "") };
    if let Some(counters) = made {
        let counters = MODULE.get_or_init(|| counters);
        if let Some(panics) = counters.get(VmodSaintmodeCounter::Panics as usize) {
            guard::install(panics, |text| Scrub::new(false).said(text));
        }
    }
}

/// Counts a call that could do nothing.
pub fn error() {
    if let Some(counters) = MODULE.get() {
        counters.add(VmodSaintmodeCounter::Errors as usize, 1);
    }
}

unsafe extern "C" {
    fn vx_saintmode_counters_new(segment: *mut *mut VscSegment, name: *const c_char) -> *mut AtomicU64;
    fn vx_saintmode_counters_destroy(segment: *mut *mut VscSegment);
    fn vx_vmod_saintmode_counters_new(segment: *mut *mut VscSegment, name: *const c_char) -> *mut AtomicU64;
    fn vx_vmod_saintmode_counters_destroy(segment: *mut *mut VscSegment);
}
