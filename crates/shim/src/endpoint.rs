// SPDX-License-Identifier: BSD-2-Clause
//! Where a backend leads to.

use crate::director::VclBackend;

/// A digest that is the same for backends with the same address and port, or path, whichever VCL they are of. Of
/// anything else than the server's own backends it tells the type only.
///
/// # Safety
/// `backend` is not NULL and referenced.
pub unsafe fn endpoint_digest(backend: VclBackend) -> [u8; 32] {
    let mut digest = [0; 32];
    // SAFETY: the caller vouches for the backend; C writes 32 bytes.
    unsafe { vx_endpoint_digest(backend, &mut digest) };
    digest
}

unsafe extern "C" {
    fn vx_endpoint_digest(backend: VclBackend, digest: *mut [u8; 32]);
}
