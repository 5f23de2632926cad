// SPDX-License-Identifier: BSD-2-Clause
//! Digests of our own, beside those that vcl_hash makes of requests.

use std::ffi::c_char;

/// The digest of a key of the VCL author's: a SHA256 that no request can have.
pub fn of_key(key: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    // SAFETY: key and length belong together; C writes 32 bytes.
    unsafe { vx_digest_of_key(key.as_ptr().cast(), key.len(), &mut digest) };
    digest
}

unsafe extern "C" {
    fn vx_digest_of_key(key: *const c_char, len: usize, digest: *mut [u8; 32]);
}
