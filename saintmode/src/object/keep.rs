// SPDX-License-Identifier: BSD-2-Clause
//! What outlives a VCL: the lists of objects with a `keep`.
//!
//! Asked on the CLI thread, in vcl_init. A list goes with the last object that has it.

use std::sync::Arc;

use denylist::{Kept, Key, Store};
use shim::director::VclBackend;
use shim::endpoint::endpoint_digest;

static STORE: Store = Store::new();

/// The list of objects with this id for this backend, a new one if there is none yet; without an id it is nobody else's.
///
/// # Safety
/// `backend` is not NULL and was passed in by VCL at this call; `name` is its own.
pub unsafe fn kept(id: &str, name: &str, backend: VclBackend, threshold: u64, max_entries: usize) -> Arc<Kept> {
    if id.is_empty() {
        return Arc::new(Kept::new(threshold, max_entries));
    }
    // SAFETY: the caller vouches for the backend.
    let endpoint = unsafe { endpoint_digest(backend) };
    STORE.get(&Key { id: id.into(), backend: name.into(), endpoint }, threshold, max_entries)
}
