// SPDX-License-Identifier: BSD-2-Clause
//! Keeps secrets on the machine: what of a request and a response may leave, and in which form.
//!
//! The names are Sentry's list for SDKs (Expected Features, "Sensitive Data"), matched as it says: anywhere
//! in a name, whatever the case, and more of ours ([`crate::privacy::names`]). Names stay, values become `[Filtered]`. Sentry's own scrubbing
//! is no net: it passes `Set-Cookie`, `sid`, `X-Session-Id`, `X-Jwt`, `X-Key` and `user:pass@` in a URL.
//!
//! Only what comes from the wire goes through here; what a VCL author sets is the author's. The author may
//! also know better than the list: [`Privacy`] has names that are harmless, and others that are not.

use std::borrow::Cow;
use std::cell::RefCell;

use protocol::header::parse;
use protocol::percent;

use crate::privacy::address::anonymous_text;
use crate::privacy::known::Taken;
use crate::privacy::pairs::Pairs;
use crate::privacy::secret::FILTERED;
use crate::privacy::settings::Privacy;
use crate::privacy::spans::Spans;
use crate::privacy::syntax::{Form, set_of};
use crate::privacy::{credential, names, notation, userinfo};

/// Request and response headers whose whole value is a URL, next to all that end in `-url` and `-uri`.
const URL_HEADERS: [&[u8]; 5] = [b"referer", b"origin", b"location", b"content-location", b"destination"];

/// How often a value is percent-decoded to look into it: a login page's return address is encoded once,
/// twice when it passed another login page. What is encoded deeper is hidden unread.
pub(super) const MAX_DEPTH: usize = 3;
/// What notations are made of: a short text without any of these has nothing to hide.
static MEANS: [bool; 256] = set_of(b"=%@\"'+:<. \t\\");
/// Bytes of a name that a line of a log has in front of its colon if it is one of a header.
const MAX_HEADER: usize = 64;

/// The rule of one client.
#[derive(Clone, Copy, Debug)]
pub struct Scrub<'p> {
    send_pii: bool,
    pub(super) privacy: &'p Privacy,
    /// Where values that are taken out of named places are noted.
    taken: Option<&'p RefCell<Taken>>,
}

/// What a client without settings for it has.
static DEFAULT: Privacy = Privacy::NONE;

impl<'p> Scrub<'p> {
    /// `send_pii` lets through what points at a person: client addresses, users, and the values of cookies
    /// that do not look like secrets.
    pub fn new(send_pii: bool) -> Scrub<'p> {
        Scrub { send_pii, privacy: &DEFAULT, taken: None }
    }

    /// The same with the names that `privacy` has.
    pub fn with(self, privacy: &'p Privacy) -> Scrub<'p> {
        Scrub { privacy, ..self }
    }

    /// The same, which notes what it takes out.
    pub(super) fn noting<'t>(self, taken: &'t RefCell<Taken>) -> Scrub<'t>
    where
        'p: 't,
    {
        Scrub { taken: Some(taken), ..self }
    }

    /// Whether data that points at a person may leave.
    pub fn sends_pii(self) -> bool {
        self.send_pii
    }

    /// Whether addresses leave without the part that tells one machine from its neighbours.
    pub fn anonymizes(self) -> bool {
        self.privacy.anonymize_ip
    }

    /// Takes note of a secret that does not leave.
    pub(super) fn take_secret(self, value: &[u8]) {
        self.take(|taken| taken.secret(value));
    }

    /// As [`Scrub::take_secret`], of what only points at a person: a word is no secret.
    pub(super) fn take_personal(self, value: &[u8]) {
        const MIN_WORDS: usize = 16;
        if value.iter().any(u8::is_ascii_digit) || value.len() >= MIN_WORDS && !value.contains(&b' ') {
            self.take_secret(value);
        }
    }

    pub(super) fn take_addresses(self, text: &[u8]) {
        self.take(|taken| taken.addresses(text));
    }

    fn take(self, note: impl FnOnce(&mut Taken)) {
        // Nobody holds it: a value is noted, nothing else is done meanwhile.
        if let Some(mut taken) = self.taken.and_then(|taken| taken.try_borrow_mut().ok()) {
            note(&mut taken);
        }
    }

    fn hides(self, found: names::Found) -> bool {
        found.is_secret() || !self.send_pii && found.is_personal()
    }

    fn hides_header(self, name: &[u8]) -> bool {
        self.hides_found(name, header_found(name))
    }

    /// As [`Scrub::hides_header`], of a name of which it is known what it speaks of.
    fn hides_found(self, name: &[u8], found: names::Found) -> bool {
        let Privacy { headers, allowed_only, .. } = self.privacy;
        if headers.denied.has(name) || headers.allowed.has(name) {
            return headers.denied.has(name);
        }
        *allowed_only && !names::is_harmless_header(name) || self.hides(found)
    }

    /// Whether the value of `name` (a cookie, a query parameter, a name in a form or in JSON) must not leave.
    /// A percent-encoded name is read as the server reads it.
    pub(super) fn hides_key(self, name: &[u8]) -> bool {
        let name = decoded_fully(name);
        let keys = &self.privacy.keys;
        keys.denied.has(&name) || !keys.allowed.has(&name) && self.hides(names::of(&name))
    }

    /// As [`Scrub::hides_key`], of a name in a text, which may be that of a header.
    pub(super) fn hides_name(self, name: &[u8]) -> bool {
        let headers = &self.privacy.headers;
        headers.denied.has(name) || !headers.allowed.has(name) && self.hides_key(name)
    }

    /// As [`Scrub::hides_key`], where all that are named are known to be keys.
    pub(super) fn hides_field(self, name: &[u8]) -> bool {
        self.hides_key(name) || self.privacy.allowed_only && !self.allows_key(name)
    }

    /// Whether the author has named the key, which is read as [`Scrub::hides_key`] reads it.
    pub(super) fn allows_key(self, name: &[u8]) -> bool {
        self.privacy.keys.allowed.has(&decoded_fully(name))
    }

    /// The value of header `name` as it may leave.
    pub fn header<'a>(self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let cookie = is(b"cookie");
        if (cookie || is(b"set-cookie")) && !self.privacy.headers.denied.has(name) {
            return Cow::Owned(if cookie { self.cookies(value) } else { self.set_cookie(value) });
        }
        let found = header_found(name);
        if self.hides_found(name, found) || credential::begins_with_scheme(value) {
            self.take_header(name, found, value);
            return Cow::Borrowed(FILTERED);
        }
        if is(b"host") {
            let host = value.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
            return self.scrub(host, Form::Text);
        }
        let is_url = URL_HEADERS.into_iter().any(is) || ends_in_url(name);
        let scrubbed = self.scrub(value, if is_url { Form::Url } else { Form::Text });
        if self.privacy.anonymize_ip && found.is_personal() {
            return self.anonymous(scrubbed, value);
        }
        scrubbed
    }

    fn anonymous<'a>(self, scrubbed: Cow<'a, [u8]>, value: &[u8]) -> Cow<'a, [u8]> {
        self.take_addresses(value);
        match anonymous_text(&scrubbed) {
            Cow::Owned(anonymous) => Cow::Owned(anonymous),
            Cow::Borrowed(_) => scrubbed,
        }
    }

    /// Takes note of what a hidden header has.
    fn take_header(self, name: &[u8], found: names::Found, value: &[u8]) {
        let is_denied = self.privacy.headers.denied.has(name);
        if found.is_route() && !is_denied {
            return self.take_addresses(value);
        }
        if !is_denied && !found.is_secret() && !credential::begins_with_scheme(value) {
            return self.take_personal(value);
        }
        self.take_secret(value);
        // The parameters of a digest.
        for part in value.split(|byte| *byte == b'"').skip(1).step_by(2) {
            self.take_personal(part);
        }
    }

    /// What a server or a client has written, as it may leave: the text of a log, a reason, a message of an error. A line as headers have it is read as one.
    pub fn text(self, text: &[u8]) -> Cow<'_, [u8]> {
        if let Some((name, value)) = header_line(text)
            && self.is_header(name)
        {
            return Cow::Owned([name, b": ", &self.header(name, value)].concat());
        }
        self.text_at(text, 0, self.privacy.allowed_only)
    }

    /// Whether a line of a text that begins with `name` is to be read as that header.
    fn is_header(self, name: &[u8]) -> bool {
        let is_url = URL_HEADERS.into_iter().any(|known| name.eq_ignore_ascii_case(known));
        let is_denied = self.privacy.headers.denied.has(name);
        let is_route = !self.send_pii && names::of(name).is_route();
        is_denied
            || is_url
            || is_route
            || names::is_of_many_parts(name)
            || name.contains(&b'-') && self.hides_header(name)
    }

    /// A URL, or the target of a request line, as it may leave: without user and password, and without the
    /// values of sensitive keys behind its path.
    pub fn url(self, url: &[u8]) -> Cow<'_, [u8]> {
        self.scrub(url, Form::Url)
    }

    fn scrub(self, text: &[u8], form: Form) -> Cow<'_, [u8]> {
        if form == Form::Text {
            return self.text_at(text, 0, false);
        }
        let mut spans = Spans::default();
        userinfo::find(self, text, form, &mut spans);
        // What is left of a URL in a value may stay.
        match spans.apply(text) {
            Cow::Borrowed(text) => self.without_pairs(text),
            Cow::Owned(text) => Cow::Owned(self.without_pairs(&text).into_owned()),
        }
    }

    fn without_pairs(self, text: &[u8]) -> Cow<'_, [u8]> {
        let mut spans = Spans::default();
        credential::web_tokens(text, &mut spans);
        self.pairs(text, &mut spans);
        spans.apply(text)
    }

    fn text_at(self, text: &[u8], depth: usize, strict: bool) -> Cow<'_, [u8]> {
        let mut spans = Spans::default();
        self.find(text, depth, strict, &mut spans);
        spans.apply(text)
    }

    fn find(self, text: &[u8], depth: usize, strict: bool, spans: &mut Spans) {
        if text.len() < credential::MIN_TOKEN && !text.iter().any(|byte| MEANS[usize::from(*byte)]) {
            return;
        }
        userinfo::find(self, text, Form::Text, spans);
        credential::web_tokens(text, spans);
        notation::find(self, text, depth, strict, spans);
    }

    /// Finds the values of sensitive keys in a URL.
    fn pairs(self, text: &[u8], spans: &mut Spans) {
        let strict = self.privacy.allowed_only;
        for pair in Pairs::of(text) {
            let (value, end) = (pair.value, pair.value_at + pair.value.len());
            let sensitive = pair.name.is_some_and(|name| self.hides_key(name));
            let allowed = !strict || pair.name.is_some_and(|name| self.allows_key(name));
            if sensitive || !allowed || self.carries_secret(value, 0) {
                if sensitive || !strict {
                    self.take_secret(value);
                } else {
                    self.take_personal(value);
                }
                spans.hide(pair.value_at, end);
            } else if let Some(name) = pair.name
                && self.privacy.anonymize_ip
                && names::of(name).is_personal()
                && let Cow::Owned(anonymous) = anonymous_text(value)
            {
                self.take_addresses(value);
                spans.put(pair.value_at, end, Cow::Owned(anonymous));
            }
        }
    }

    /// Whether `value` is itself a URL, a list of pairs or any other text with something to hide in it, encoded or not.
    pub(super) fn carries_secret(self, value: &[u8], depth: usize) -> bool {
        if depth == MAX_DEPTH {
            return percent::is_encoded(value)
                || value.iter().any(|byte| b"=:".contains(byte)) && self.hides_key(value);
        }
        // Most are a word or a number: nothing that a notation is made of, and too short for a token.
        if value.len() < credential::MIN_TOKEN && !value.iter().any(|byte| MEANS[usize::from(*byte)]) {
            return false;
        }
        let decoded = percent::decode(value);
        let mut spans = Spans::default();
        if credential::begins_with_scheme(&decoded) {
            return true;
        }
        self.find(&decoded, depth + 1, false, &mut spans);
        !spans.is_empty()
    }
}

/// What the name of a header speaks of; `From` is a person's address (RFC 9110, section 10.1.2).
fn header_found(name: &[u8]) -> names::Found {
    if names::is_usual_header(name) {
        return names::Found::default();
    }
    if name.eq_ignore_ascii_case(b"from") { names::of(b"email") } else { names::of(name) }
}

/// Name and value of a text that is the line of a header.
fn header_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = parse(text)?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (name.len() <= MAX_HEADER && name.iter().all(is_token)).then_some((name, value))
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

fn ends_in_url(name: &[u8]) -> bool {
    name.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"-url") || end.eq_ignore_ascii_case(b"-uri"))
}

#[cfg(test)]
mod tests;
