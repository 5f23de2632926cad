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

mod body;
mod json;
mod names;

use std::borrow::Cow;

use crate::address::anonymous_text;
use crate::percent;
use crate::privacy::Privacy;
pub(crate) use body::Body;

/// What a hidden value becomes.
pub(crate) const FILTERED: &[u8] = b"[Filtered]";

/// Request and response headers whose whole value is a URL, next to all that end in `-url` and `-uri`.
const URL_HEADERS: [&[u8]; 5] = [b"referer", b"origin", b"location", b"content-location", b"destination"];

/// What says in `Authorization` how the secret behind it, and behind a blank, is to be used.
const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];

/// How often a value is percent-decoded to look into it: a login page's return address is encoded once,
/// twice when it passed another login page. What is encoded deeper is hidden unread.
const MAX_DEPTH: usize = 3;

/// The rule of one client.
#[derive(Clone, Copy, Debug)]
pub struct Scrub<'p> {
    send_pii: bool,
    privacy: &'p Privacy,
}

/// What a client without settings for it has.
static DEFAULT: Privacy = Privacy::NONE;

/// How a text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A URL and nothing else: pairs stand behind the path.
    Url,
    /// Any text, in which URLs and pairs may stand.
    Text,
}

static ENDS_URL_PAIR: [bool; 256] = set_of(b"?#&;");
static ENDS_TEXT_PAIR: [bool; 256] = set_of(b"?#&;\"<> \t\n\x0c\r");
/// Without any of these there is no pair, nothing encoded, no user and no JSON.
static MAY_HIDE: [bool; 256] = set_of(b"=%@\"");

/// A set of bytes: every byte of every event asks.
const fn set_of(members: &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    let mut at = 0;
    while at < members.len() {
        set[members[at] as usize] = true;
        at += 1;
    }
    set
}

impl Form {
    /// Whether `byte` ends a pair.
    fn ends_pair(self, byte: u8) -> bool {
        let ends = match self {
            Form::Url => &ENDS_URL_PAIR,
            Form::Text => &ENDS_TEXT_PAIR,
        };
        ends[usize::from(byte)]
    }

    /// Where the next authority starts. A path may have two slashes in a row, so in a URL only those behind
    /// a scheme count.
    fn next_authority(self, text: &[u8], from: usize) -> Option<usize> {
        let mark: &[u8] = if self == Form::Url { b"://" } else { b"//" };
        let found = text.get(from..)?.windows(mark.len()).position(|window| window == mark)?;
        Some(from + found + mark.len())
    }

    /// Whether `byte` ends the authority of a URL.
    fn ends_authority(self, byte: u8) -> bool {
        b"/\\?#".contains(&byte) || self == Form::Text && (b"\"<>".contains(&byte) || byte.is_ascii_whitespace())
    }
}

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
    fn hides_key(self, name: &[u8]) -> bool {
        let name = decoded_fully(name);
        let keys = &self.privacy.keys;
        keys.denied.has(&name) || !keys.allowed.has(&name) && names::is_kept_back(&name, self.send_pii)
    }

    /// As [`Scrub::hides_key`], where all that are named are known to be keys.
    fn hides_field(self, name: &[u8]) -> bool {
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
            return then(scrubbed, |text| json::without_secrets(text, |name| self.hides_key(name)));
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
    fn carries_secret(self, value: &[u8], depth: usize) -> bool {
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

/// `text` without the `user:password@` of any URL in it.
fn without_userinfo(text: &[u8], form: Form) -> Cow<'_, [u8]> {
    if !text.contains(&b'@') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    let mut copied = 0;
    let mut start = (form == Form::Url && text.starts_with(b"//")).then_some(2);
    let mut searched = 0;
    while let Some(authority_at) = start.take().or_else(|| form.next_authority(text, searched)) {
        let rest = text.get(authority_at..).unwrap_or_default();
        let len = rest.iter().position(|byte| form.ends_authority(*byte)).unwrap_or(rest.len());
        let (mut authority, _) = rest.split_at_checked(len).unwrap_or_default();
        if has_bad_port(authority) && !authority.contains(&b'@') {
            // Half a password: the other half has a character that should have been encoded.
            let ends = |byte: &u8| form == Form::Text && byte.is_ascii_whitespace();
            authority = rest.split(ends).next().unwrap_or_default();
        }
        // Onwards from the '@', or past all that was searched for one: no byte is looked at many times.
        searched = authority_at + authority.len();
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            out.extend_from_slice(text.get(copied..authority_at).unwrap_or_default());
            copied = authority_at + at + 1;
            searched = copied;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn has_bad_port(authority: &[u8]) -> bool {
    match authority.iter().rposition(|byte| b":]".contains(byte)) {
        Some(at) => authority.get(at) == Some(&b':') && !authority.iter().skip(at + 1).all(u8::is_ascii_digit),
        None => false,
    }
}

/// Whether `value` is a secret by its looks, whatever it is called: a JSON web token, or what belongs into
/// `Authorization`.
fn is_credential(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let is_jwt = value.starts_with(b"eyJ") && value.iter().filter(|byte| **byte == b'.').count() >= 2;
    let has_scheme = |scheme: &[u8]| {
        let (head, rest) = value.split_at_checked(scheme.len()).unwrap_or_default();
        head.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ')
    };
    is_jwt || SCHEMES.into_iter().any(has_scheme)
}

/// A pair as it may leave.
fn hide(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'=');
    out.extend_from_slice(FILTERED);
}

fn ends_in_url(name: &[u8]) -> bool {
    name.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"-url") || end.eq_ignore_ascii_case(b"-uri"))
}

fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests;
