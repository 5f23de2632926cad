// SPDX-License-Identifier: BSD-2-Clause
//! What a secret looks like, and what stands in its place.

/// What a hidden value becomes.
pub(super) const FILTERED: &[u8] = b"[Filtered]";

/// What says in `Authorization` how the secret behind it, and behind a blank, is to be used.
pub(super) const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];

/// Whether `value` is a secret by its looks, whatever it is called: a JSON web token, or what belongs into
/// `Authorization`.
pub(super) fn is_credential(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let is_jwt = value.starts_with(b"eyJ") && value.iter().filter(|byte| **byte == b'.').count() >= 2;
    let has_scheme = |scheme: &[u8]| {
        let (head, rest) = value.split_at_checked(scheme.len()).unwrap_or_default();
        head.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ')
    };
    is_jwt || SCHEMES.into_iter().any(has_scheme)
}

/// A pair as it may leave.
pub(super) fn hide(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'=');
    out.extend_from_slice(FILTERED);
}

/// Name and value of `name=value`.
pub(super) fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
