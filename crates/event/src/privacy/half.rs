// SPDX-License-Identifier: BSD-2-Clause
//! The first half of a secret, at the end of what was cut.

use std::borrow::Cow;

use protocol::percent;

use crate::privacy::syntax::MAX_DEPTH;
use crate::privacy::userinfo::cut_userinfo;

/// Whether `text`, encoded or not, was cut off where the rest may have shown what it is: a token, of which the second dot
/// tells, or a password in front of its `@`.
pub(super) fn ends_in_half(text: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..=MAX_DEPTH {
        let token = decoded.windows(3).rposition(|window| window == b"eyJ").and_then(|at| decoded.get(at..));
        if token.is_some_and(|token| token.iter().all(is_of_token)) || cut_userinfo(&decoded).is_some() {
            return true;
        }
        let Cow::Owned(deeper) = percent::decode(&decoded) else { break };
        decoded = Cow::Owned(deeper);
    }
    false
}
