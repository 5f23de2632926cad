// SPDX-License-Identifier: BSD-2-Clause
//! Keeps secrets on the machine: what of a request and a response may leave, and in which form.
//!
//! The names are Sentry's list for SDKs (Expected Features, "Sensitive Data"), matched as it says: anywhere
//! in a name, whatever the case. So `monkey` and `keyword` are hidden too (they contain `key`), and
//! `Accept-Encoding` is not. Names stay, values become `[Filtered]`. Sentry's own scrubbing is no net: it
//! passes `Set-Cookie`, `sid`, `X-Session-Id`, `X-Jwt`, `X-Key` and `user:pass@` in a URL.
//!
//! Only what comes from the wire goes through here; what a VCL author sets is the author's. The author may
//! also know better than the list: [`Privacy`] has names that are harmless, and others that are not.

use std::borrow::Cow;

use protocol::percent;

use crate::privacy::address::anonymous_text;
use crate::privacy::secret::{FILTERED, SCHEMES, hide, is_credential, split_pair};
use crate::privacy::settings::Privacy;
use crate::privacy::syntax::{Form, set_of};
use crate::privacy::userinfo::without_userinfo;
use crate::privacy::{json_in_text, names};

/// Request and response headers whose whole value is a URL, next to all that end in `-url` and `-uri`.
const URL_HEADERS: [&[u8]; 5] = [b"referer", b"origin", b"location", b"content-location", b"destination"];

/// How often a value is percent-decoded to look into it: a login page's return address is encoded once,
/// twice when it passed another login page. What is encoded deeper is hidden unread.
pub(super) const MAX_DEPTH: usize = 3;

/// The rule of one client.
#[derive(Clone, Copy, Debug)]
pub struct Scrub<'p> {
    send_pii: bool,
    pub(super) privacy: &'p Privacy,
}

/// What a client without settings for it has.
static DEFAULT: Privacy = Privacy::NONE;

/// Without any of these there is no pair, nothing encoded, no user and no JSON.
static MAY_HIDE: [bool; 256] = set_of(b"=%@\"");

impl<'p> Scrub<'p> {
    /// `send_pii` lets through what points at a person: client addresses, users, and the values of cookies
    /// that do not look like secrets.
    pub fn new(send_pii: bool) -> Scrub<'p> {
        Scrub { send_pii, privacy: &DEFAULT }
    }

    /// The same with the names that `privacy` has.
    pub fn with(self, privacy: &'p Privacy) -> Scrub<'p> {
        Scrub { privacy, ..self }
    }

    /// Whether data that points at a person may leave.
    pub fn sends_pii(self) -> bool {
        self.send_pii
    }

    /// Whether addresses leave without the part that tells one machine from its neighbours.
    pub fn anonymizes(self) -> bool {
        self.privacy.anonymize_ip
    }

    fn hides_header(self, name: &[u8]) -> bool {
        let Privacy { headers, allowed_only, .. } = self.privacy;
        if headers.denied.has(name) || headers.allowed.has(name) {
            return headers.denied.has(name);
        }
        *allowed_only && !names::is_harmless_header(name) || names::is_kept_back(name, self.send_pii)
    }

    /// Whether the value of `name` (a cookie, a query parameter, a name in a form or in JSON) must not leave.
    /// A percent-encoded name is read as the server reads it.
    pub(super) fn hides_key(self, name: &[u8]) -> bool {
        let name = decoded_fully(name);
        let keys = &self.privacy.keys;
        keys.denied.has(&name) || !keys.allowed.has(&name) && names::is_kept_back(&name, self.send_pii)
    }

    /// As [`Scrub::hides_key`], where all that are named are known to be keys.
    pub(super) fn hides_field(self, name: &[u8]) -> bool {
        self.hides_key(name) || self.privacy.allowed_only && !self.allows_key(name)
    }

    /// Whether the author has named the key, which is read as [`Scrub::hides_key`] reads it.
    fn allows_key(self, name: &[u8]) -> bool {
        self.privacy.keys.allowed.has(&decoded_fully(name))
    }

    /// The value of header `name` as it may leave.
    pub fn header<'a>(self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let cookie = is(b"cookie");
        if (cookie || is(b"set-cookie")) && !self.privacy.headers.denied.has(name) {
            return Cow::Owned(if cookie { self.cookies(value) } else { self.set_cookie(value) });
        }
        if self.hides_header(name) || is_credential(value) {
            return Cow::Borrowed(FILTERED);
        }
        if is(b"host") {
            let host = value.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
            return self.scrub(host, Form::Text, 0);
        }
        let is_url = URL_HEADERS.into_iter().any(is) || ends_in_url(name);
        let form = if is_url { Form::Url } else { Form::Text };
        let scrubbed = self.scrub(value, form, 0);
        if self.privacy.anonymize_ip && names::is_personal(name) {
            return then(scrubbed, anonymous_text);
        }
        scrubbed
    }

    /// Any text of the wire as it may leave.
    pub fn text(self, text: &[u8]) -> Cow<'_, [u8]> {
        if is_credential(text) { Cow::Borrowed(FILTERED) } else { self.scrub(text, Form::Text, 0) }
    }

    /// A URL, or the target of a request line, as it may leave: without user and password, and without the
    /// values of sensitive keys behind its path.
    pub fn url(self, url: &[u8]) -> Cow<'_, [u8]> {
        self.scrub(url, Form::Url, 0)
    }

    /// The value of `Cookie`. Cookies point at a person, so without PII no value passes; what is no pair
    /// never does.
    fn cookies(self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        for cookie in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty()) {
            if !out.is_empty() {
                out.extend_from_slice(b"; ");
            }
            match split_pair(cookie) {
                Some((name, value)) if !self.hides_cookie(name, value) => out.extend_from_slice(cookie),
                Some((name, _)) => hide(name, &mut out),
                None => out.extend_from_slice(FILTERED),
            }
        }
        out
    }

    fn hides_cookie(self, name: &[u8], value: &[u8]) -> bool {
        let personal = self.send_pii && !self.privacy.allowed_only;
        if !personal && !self.privacy.keys.allowed.has(name) {
            return true;
        }
        !value.is_empty() && (self.hides_key(name) || is_credential(value) || self.carries_secret(value, 0))
    }

    /// `value` of `Set-Cookie` with its attributes, which say how the cookie is kept, but without what it holds.
    /// An attribute with a '=' in its value is no attribute but a second cookie, folded into the line.
    fn set_cookie(self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        for (index, part) in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).enumerate() {
            if index > 0 {
                out.extend_from_slice(b"; ");
            }
            let known = |name| index > 0 || self.privacy.keys.allowed.has(name);
            match split_pair(part) {
                Some((name, value)) if known(name) && !value.contains(&b'=') && !is_credential(value) => {
                    out.extend_from_slice(part);
                }
                Some((name, _)) => hide(name, &mut out),
                None if index > 0 => out.extend_from_slice(part),
                None => out.extend_from_slice(FILTERED),
            }
        }
        out
    }

    fn scrub(self, text: &[u8], form: Form, depth: usize) -> Cow<'_, [u8]> {
        if self.allows_only(form) || text.iter().any(|byte| MAY_HIDE[usize::from(*byte)]) {
            return self.scrub_closely(text, form, depth);
        }
        // Most headers.
        Cow::Borrowed(text)
    }

    fn scrub_closely(self, text: &[u8], form: Form, depth: usize) -> Cow<'_, [u8]> {
        let scrubbed = then(without_userinfo(text, form), |text| self.pairs(text, form, depth));
        if form == Form::Text && text.contains(&b'"') {
            return then(scrubbed, |text| json_in_text::without_secrets(text, |name| self.hides_key(name)));
        }
        scrubbed
    }

    /// Whether a name has to be known. In free text it may be a part of the header's own syntax: max-age, charset.
    fn allows_only(self, form: Form) -> bool {
        self.privacy.allowed_only && form != Form::Text
    }

    /// Replaces the values of sensitive keys.
    fn pairs(self, text: &[u8], form: Form, depth: usize) -> Cow<'_, [u8]> {
        let allowed_only = self.allows_only(form);
        if !allowed_only && !text.iter().any(|byte| b"=%".contains(byte)) {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::new();
        let mut copied = 0;
        let mut pairs = Pairs { scrub: self, text, at: 0, form };
        while let Some(pair) = pairs.next_pair() {
            let allowed = !allowed_only || pair.name.is_some_and(|name| self.allows_key(name));
            let hidden = match pair.name {
                _ if pair.sensitive || !allowed => !pair.value.is_empty(),
                Some(_) => is_credential(pair.value) || self.carries_secret(pair.value, depth),
                None => percent::is_encoded(pair.value) && self.carries_secret(pair.value, depth),
            };
            let anonymous = match pair.name {
                Some(name) if !hidden && self.privacy.anonymize_ip && names::is_personal(name) => {
                    anonymous_text(pair.value)
                }
                _ => Cow::Borrowed(pair.value),
            };
            let kept = if hidden { FILTERED } else { &anonymous };
            if hidden || matches!(anonymous, Cow::Owned(_)) {
                out.extend_from_slice(text.get(copied..pair.value_at).unwrap_or_default());
                out.extend_from_slice(kept);
                copied = pair.value_at + pair.value.len();
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Whether `value` is itself a URL or a list of pairs with something to hide in it, encoded or not.
    pub(super) fn carries_secret(self, value: &[u8], depth: usize) -> bool {
        let encoded = percent::is_encoded(value);
        if depth == MAX_DEPTH {
            return encoded || value.contains(&b'=') && self.hides_key(value);
        }
        if !encoded && !value.iter().any(|byte| b"=@\"+".contains(byte)) {
            return false;
        }
        let decoded = percent::decode(value);
        is_credential(&decoded) || matches!(self.scrub(&decoded, Form::Text, depth + 1), Cow::Owned(_))
    }
}

/// `name=value`, or a value alone, somewhere in a text.
struct Pair<'a> {
    name: Option<&'a [u8]>,
    sensitive: bool,
    value: &'a [u8],
    value_at: usize,
}

/// A walk over the pairs of a text.
struct Pairs<'a> {
    scrub: Scrub<'a>,
    text: &'a [u8],
    at: usize,
    form: Form,
}

impl<'a> Pairs<'a> {
    fn next_pair(&mut self) -> Option<Pair<'a>> {
        if self.at == 0 && self.form == Form::Url {
            // A path is no pair, even with a '=' in it.
            self.at = self.end_from(0, |byte| self.form.ends_pair(byte));
        }
        while self.text.get(self.at).is_some_and(|byte| self.form.ends_pair(*byte)) {
            self.at += 1;
        }
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let name_end = self.end_from(start, |byte| byte == b'=' || self.form.ends_pair(byte));
        if self.text.get(name_end) != Some(&b'=') {
            self.at = name_end;
            let value = self.slice(start, name_end);
            return Some(Pair { name: None, sensitive: false, value, value_at: start });
        }
        let name = self.slice(start, name_end);
        let sensitive = self.scrub.hides_key(name);
        let value_at = name_end + 1;
        let mut close = value_at;
        if sensitive && self.form == Form::Text {
            // name= "value": the quotes may hold what would end a pair. A quote behind any other name may
            // as well be the end of an earlier one, and would hide the pairs behind it from us.
            close = self.end_from(value_at, |byte| !byte.is_ascii_whitespace());
            if let Some(quote @ (b'"' | b'\'')) = self.text.get(close) {
                close = self.end_from(close + 1, |byte| byte == *quote) + 1;
            }
        }
        self.at = self.end_from(close, |byte| self.form.ends_pair(byte));
        if self.text.get(self.at) == Some(&b' ') && self.is_scheme(value_at, self.at) {
            // A credential, whose blank was encoded where it came from.
            let word = self.end_from(self.at, |byte| byte != b' ');
            self.at = self.end_from(word, |byte| self.form.ends_pair(byte));
        }
        Some(Pair { name: Some(name), sensitive, value: self.slice(value_at, self.at), value_at })
    }

    fn end_from(&self, start: usize, ends: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        start.min(self.text.len()) + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len())
    }

    fn is_scheme(&self, start: usize, end: usize) -> bool {
        SCHEMES.into_iter().any(|scheme| self.slice(start, end).eq_ignore_ascii_case(scheme))
    }

    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// A key without its percent-encoding.
fn decoded_fully(name: &[u8]) -> Cow<'_, [u8]> {
    let mut name = Cow::Borrowed(name);
    for _ in 0..MAX_DEPTH {
        let Cow::Owned(decoded) = percent::decode(&name) else { break };
        name = Cow::Owned(decoded);
    }
    name
}

/// What `step` makes of `text`; borrowed if nothing has changed so far.
fn then<'a>(text: Cow<'a, [u8]>, step: impl Fn(&[u8]) -> Cow<'_, [u8]>) -> Cow<'a, [u8]> {
    match text {
        Cow::Borrowed(text) => step(text),
        Cow::Owned(text) => match step(&text) {
            Cow::Owned(changed) => Cow::Owned(changed),
            Cow::Borrowed(_) => Cow::Owned(text),
        },
    }
}

fn ends_in_url(name: &[u8]) -> bool {
    name.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"-url") || end.eq_ignore_ascii_case(b"-uri"))
}

#[cfg(test)]
mod tests;
