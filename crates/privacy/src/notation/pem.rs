// SPDX-License-Identifier: BSD-2-Clause
//! Private keys as PEM has them (RFC 7468), and those of SSH and PGP.

use memchr::memmem;

/// Bytes of what is between the dashes.
const MAX_LABEL: usize = 64;

/// Where the private key is, whole or cut, whose first line has `word`, which ends at `end`.
pub(crate) fn private_key(text: &[u8], word: &[u8], end: usize) -> Option<(usize, usize)> {
    if !word.ends_with(b"BEGIN") {
        return None;
    }
    let rest = text.get(end..)?;
    let label = rest.get(..MAX_LABEL).unwrap_or(rest);
    let len = memmem::find(label, b"----")?;
    // In a query a blank is a plus sign.
    memmem::find(label.get(..len)?, b"PRIVATE")?;
    let from = end + len + rest.get(len..)?.iter().take_while(|byte| **byte == b'-').count();
    let key = text.get(from..)?;
    let to = memmem::find(key, b"----").map_or(text.len(), |len| from + len);
    Some((from, to))
}
