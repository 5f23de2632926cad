// SPDX-License-Identifier: BSD-2-Clause
//! `user:password@` in a URL, which is nobody's business, whole or cut off.

use memchr::{memchr, memmem, memrchr};

use crate::scrub::Scrub;
use crate::spans::Spans;
use crate::syntax::Form;

/// The method whose target is an authority.
const CONNECT: &[u8] = b"CONNECT ";
/// Digits of the longest port.
const MAX_PORT: usize = 5;

/// Removes the `user:password@` of any URL in `text`.
pub(crate) fn find(scrub: Scrub<'_>, text: &[u8], form: Form, spans: &mut Spans) {
    if memchr(b'@', text).is_none() {
        return;
    }
    // In a line of a log, as it was asked for.
    let mut connect = memmem::find(text, CONNECT).filter(|_| form == Form::Text).map(|at| at + CONNECT.len());
    let mut start = match form {
        Form::Url if text.starts_with(b"//") => Some(2),
        // CONNECT has nothing but an authority.
        Form::Url if !text.starts_with(b"/") && !has_scheme(text) => Some(0),
        _ => None,
    };
    let mut searched = 0;
    while let Some(authority_at) = start.take().or_else(|| {
        let next = form.next_authority(text, searched);
        let before = connect.take_if(|connect| next.is_none_or(|next| *connect < next));
        before.or(next)
    }) {
        // As browsers read it, in front of an authority there may be more slashes than two.
        let slashes =
            text.get(authority_at..).unwrap_or_default().iter().take_while(|byte| b"/\\".contains(byte)).count();
        let authority_at = authority_at + slashes;
        let rest = text.get(authority_at..).unwrap_or_default();
        let len = rest.iter().position(|byte| form.ends_authority(*byte)).unwrap_or(rest.len());
        let (mut authority, behind) = rest.split_at_checked(len).unwrap_or_default();
        if !authority.contains(&b'@') {
            let ends = |byte: &u8| form == Form::Text && (byte.is_ascii_whitespace() || b"\"<>".contains(byte));
            match port(authority) {
                // Half a password: the other half has a character that should have been encoded.
                Port::Bad => authority = rest.split(ends).next().unwrap_or_default(),
                // As above, of a password that begins as a port does. `/@name` is a path.
                Port::Good => {
                    let piece = behind.get(1..).unwrap_or_default();
                    let piece = piece.split(|byte| ends(byte) || b"/?#".contains(byte)).next().unwrap_or_default();
                    if piece.iter().position(|byte| *byte == b'@').is_some_and(|at| at > 0) {
                        authority = rest.get(..len + 1 + piece.len()).unwrap_or_default();
                    }
                }
                Port::None => {}
            }
        }
        // Onwards from the '@', or past all that was searched for one: no byte is looked at many times.
        searched = (authority_at + authority.len()).max(authority_at + 1);
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            let user = authority.get(..at).unwrap_or_default();
            // Of a user alone the name may be a token.
            let password = user.iter().position(|byte| *byte == b':').and_then(|colon| user.get(colon + 1..));
            scrub.take_secret(password.unwrap_or(user));
            spans.remove(authority_at, authority_at + at + 1);
            searched = authority_at + at + 1;
        }
    }
}

/// What stands behind the last colon of an authority.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    None,
    Good,
    Bad,
}

fn port(authority: &[u8]) -> Port {
    match authority.iter().rposition(|byte| b":]".contains(byte)) {
        Some(at) if authority.get(at) == Some(&b':') => {
            let digits = authority.get(at + 1..).unwrap_or_default();
            if digits.len() <= MAX_PORT && digits.iter().all(u8::is_ascii_digit) { Port::Good } else { Port::Bad }
        }
        _ => Port::None,
    }
}

fn has_scheme(text: &[u8]) -> bool {
    let len = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    text.get(len..).is_some_and(|rest| rest.starts_with(b"://"))
}

/// From where on `text` may be the first half of `user:password@`, cut off.
pub(crate) fn cut_userinfo(text: &[u8]) -> Option<usize> {
    let at = memrchr(b'/', text)?.checked_sub(1).filter(|at| text.get(*at) == Some(&b'/'))?;
    let authority = text.get(at + 2..).unwrap_or_default();
    let is_last = !authority.iter().any(|byte| b"/\\?#\"<>[".contains(byte) || byte.is_ascii_whitespace());
    (is_last && port(authority) == Port::Bad).then_some(at + 2)
}
