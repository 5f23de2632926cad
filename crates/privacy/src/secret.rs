// SPDX-License-Identifier: BSD-2-Clause
//! What stands in the place of a secret.

/// What a hidden value becomes.
pub const FILTERED: &[u8] = b"[Filtered]";

/// A pair as it may leave.
pub(crate) fn hide(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'=');
    out.extend_from_slice(FILTERED);
}

/// Name and value of `name=value`.
pub(crate) fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
