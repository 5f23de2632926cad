// SPDX-License-Identifier: BSD-2-Clause
//! `Cookie` and `Set-Cookie` as they may leave.

use crate::names;
use crate::scrub::{Scrub, decoded_fully};
use crate::secret::{FILTERED, hide, split_pair};

impl Scrub<'_> {
    /// The value of `Cookie`. Cookies point at a person, so without PII no value passes; what is no pair
    /// never does.
    pub(crate) fn cookies(self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        for cookie in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty()) {
            if !out.is_empty() {
                out.extend_from_slice(b"; ");
            }
            match split_pair(cookie) {
                Some((name, value)) if !self.hides_cookie(name, value) => out.extend_from_slice(cookie),
                Some((name, _)) => hide(name, &mut out),
                None => {
                    self.take_secret(cookie);
                    out.extend_from_slice(FILTERED);
                }
            }
        }
        out
    }

    fn hides_cookie(self, name: &[u8], value: &[u8]) -> bool {
        let keys = &self.privacy.keys;
        let name = decoded_fully(name);
        let is_allowed = keys.allowed.has(&name);
        if keys.denied.has(&name) || !is_allowed && names::of_cookie(&name).is_secret() {
            self.take_secret(value);
            return !value.is_empty() || !self.sends_pii();
        }
        if (!self.sends_pii() || self.privacy.allowed_only) && !is_allowed {
            self.take_personal(value);
            return true;
        }
        !value.is_empty() && self.carries_secret(value)
    }

    /// `value` of `Set-Cookie` with its attributes, which say how the cookie is kept (RFC 6265bis), but without what it holds. What is no
    /// attribute is a second cookie, folded into the line, or anything else.
    pub(crate) fn set_cookie(self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        for (index, part) in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).enumerate() {
            if index > 0 {
                out.extend_from_slice(b"; ");
            }
            if index > 0 && is_attribute(part) {
                out.extend_from_slice(part);
                continue;
            }
            match split_pair(part) {
                Some((name, value))
                    if index == 0
                        && self.privacy.keys.allowed.has(name)
                        && !value.contains(&b'=')
                        && !self.carries_secret(value) =>
                {
                    out.extend_from_slice(part);
                }
                Some((name, value)) => {
                    self.take_secret(value.split(|byte| *byte == b',').next().unwrap_or_default());
                    // A second cookie in the value of the first, or behind an attribute.
                    for folded in value.split(|byte| *byte == b',').skip(1).filter_map(split_pair) {
                        self.take_secret(folded.1);
                    }
                    hide(name, &mut out);
                }
                None if part.is_empty() => {}
                None => out.extend_from_slice(FILTERED),
            }
        }
        out
    }
}

/// Whether `part` is one of the attributes, with a value that it may have.
fn is_attribute(part: &[u8]) -> bool {
    let (name, value) = split_pair(part).map_or((part, None), |(name, value)| (name, Some(value)));
    let is = |known: &str| name.trim_ascii_end().eq_ignore_ascii_case(known.as_bytes());
    let Some(value) = value else { return is("Secure") || is("HttpOnly") };
    let all = |of: &[u8]| value.iter().all(|byte| byte.is_ascii_alphanumeric() || of.contains(byte));
    if is("Expires") {
        // Wed, 21 Oct 2026 07:28:00 GMT
        let mut words = value.split(|byte| *byte == b',').skip(1);
        let is_date = words.next().is_none_or(|date| date.trim_ascii_start().first().is_some_and(u8::is_ascii_digit));
        return value.len() <= 40 && all(b", :-+") && is_date && words.next().is_none();
    }
    if is("Max-Age") {
        return value.len() <= 20 && value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    }
    if is("SameSite") {
        return ["strict", "lax", "none"].iter().any(|known| value.eq_ignore_ascii_case(known.as_bytes()));
    }
    is("Domain") && all(b".-") || is("Path") && all(b"/.-_~%+") && value.len() <= 256
}
