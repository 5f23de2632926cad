// SPDX-License-Identifier: BSD-2-Clause
//! The first half of a secret, at the end of what was cut.

use std::borrow::Cow;

use protocol::percent;

use crate::syntax::MAX_DEPTH;
use crate::userinfo::cut_userinfo;

/// No begin of a token that is shorter is taken for a token that was cut.
const MIN_CUT_TOKEN: usize = 16;

/// From where on the end of `text`, which may have been cut, may be the first half of a secret: of `user:password@` in a URL, or of a JSON web token.
pub fn half_at(text: &[u8]) -> Option<usize> {
    [cut_userinfo(text), cut_token(text)].into_iter().flatten().min()
}

/// From where on the end of `text` is the begin of a JSON web token.
fn cut_token(text: &[u8]) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let start = text.len() - text.iter().rev().take_while(|byte| is_part(byte)).count();
    let word = text.get(start..)?;
    (word.starts_with(b"eyJ") && word.len() >= MIN_CUT_TOKEN).then_some(start)
}

/// Whether `text`, encoded or not, was cut off where the rest may have shown what it is: a token, of which the second dot
/// tells, or a password in front of its `@`.
pub(crate) fn ends_in_half(text: &[u8]) -> bool {
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
