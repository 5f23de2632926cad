// SPDX-License-Identifier: BSD-2-Clause
//! Keeps secrets on the machine: what of a request and a response may leave, and in which form.
//!
//! The names are Sentry's list for SDKs (Expected Features, "Sensitive Data"), matched as it says: anywhere
//! in a name, whatever the case, and more of ours ([`crate::names`]). Names stay, values become `[Filtered]`. Sentry's own scrubbing
//! is no net: it passes `Set-Cookie`, `sid`, `X-Session-Id`, `X-Jwt`, `X-Key` and `user:pass@` in a URL.
//!
//! Only what comes from the wire goes through here; what a VCL author sets is the author's. The author may
//! also know better than the list: [`Privacy`] has names that are harmless, and others that are not.

use std::borrow::Cow;
use std::cell::RefCell;

use protocol::percent;

use crate::names;
use crate::settings::Privacy;
use crate::syntax::MAX_DEPTH;
use crate::taken::Taken;

/// The rule of one client.
#[derive(Clone, Copy, Debug)]
pub struct Scrub<'p> {
    pub(crate) send_pii: bool,
    pub(crate) privacy: &'p Privacy,
    /// Where values that are taken out of named places are noted.
    pub(crate) taken: Option<&'p RefCell<Taken>>,
}

/// What a client without settings for it has.
pub(crate) static DEFAULT: Privacy = Privacy::NONE;

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
    pub fn noting<'t>(self, taken: &'t RefCell<Taken>) -> Scrub<'t>
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
    pub fn take_secret(self, value: &[u8]) {
        self.take(|taken| taken.secret(value));
    }

    /// As [`Scrub::take_secret`], of what only points at a person: a word is no secret.
    pub fn take_personal(self, value: &[u8]) {
        const MIN_WORDS: usize = 16;
        if value.iter().any(u8::is_ascii_digit) || value.len() >= MIN_WORDS && !value.contains(&b' ') {
            self.take_secret(value);
        }
    }

    pub fn take_addresses(self, text: &[u8]) {
        self.take(|taken| taken.addresses(text));
    }

    fn take(self, note: impl FnOnce(&mut Taken)) {
        // Nobody holds it: a value is noted, nothing else is done meanwhile.
        if let Some(mut taken) = self.taken.and_then(|taken| taken.try_borrow_mut().ok()) {
            note(&mut taken);
        }
    }

    fn hides_found(self, found: names::Found) -> bool {
        found.is_secret() || !self.send_pii && found.is_personal()
    }

    pub(crate) fn hides_header(self, name: &[u8]) -> bool {
        self.hides(name, &names::header(name))
    }

    /// As [`Scrub::hides_header`], of a name of which it is known what it tells.
    pub(crate) fn hides(self, name: &[u8], header: &names::Header) -> bool {
        let Privacy { headers, allowed_only, .. } = self.privacy;
        if headers.denied.has(name) || headers.allowed.has(name) {
            return headers.denied.has(name);
        }
        *allowed_only && !header.is_harmless || self.hides_found(header.found)
    }

    /// Whether the value of `name` (a cookie, a query parameter, a name in a form or in JSON) must not leave.
    /// A percent-encoded name is read as the server reads it.
    pub(crate) fn hides_key(self, name: &[u8]) -> bool {
        let name = decoded_fully(name);
        let keys = &self.privacy.keys;
        keys.denied.has(&name) || !keys.allowed.has(&name) && self.hides_found(names::of(&name))
    }

    /// As [`Scrub::hides_key`], of a name in a text, which may be that of a header.
    pub(crate) fn hides_name(self, name: &[u8]) -> bool {
        let headers = &self.privacy.headers;
        headers.denied.has(name) || !headers.allowed.has(name) && self.hides_key(name)
    }

    /// As [`Scrub::hides_key`], where all that are named are known to be keys.
    pub(crate) fn hides_field(self, name: &[u8]) -> bool {
        self.hides_key(name) || self.privacy.allowed_only && !self.allows_key(name)
    }

    /// Whether the author has named the key, which is read as [`Scrub::hides_key`] reads it.
    pub(crate) fn allows_key(self, name: &[u8]) -> bool {
        self.privacy.keys.allowed.has(&decoded_fully(name))
    }
}

/// A key without its percent-encoding.
pub(crate) fn decoded_fully(name: &[u8]) -> Cow<'_, [u8]> {
    let mut name = Cow::Borrowed(name);
    for _ in 0..MAX_DEPTH {
        let Cow::Owned(decoded) = percent::decode(&name) else { break };
        name = Cow::Owned(decoded);
    }
    name
}
