// SPDX-License-Identifier: BSD-2-Clause
//! Values of the wire as they may leave: headers, URLs, texts.

use std::borrow::Cow;

use protocol::header::parse;
use protocol::percent;

use crate::address::anonymous_text;
use crate::escape::{View, decoded};
use crate::half::half_at;
use crate::pairs::Pairs;
use crate::scrub::Scrub;
use crate::secret::FILTERED;
use crate::spans::Spans;
use crate::syntax::{Form, MAX_DEPTH, set_of};
use crate::{credential, names, notation, userinfo};

/// What notations are made of: a short text without any of these has nothing to hide.
static MEANS: [bool; 256] = set_of(b"=%@\"'+:<. \t\\");
/// Bytes of a name that a line of a log has in front of its colon if it is one of a header.
const MAX_HEADER: usize = 64;

impl Scrub<'_> {
    /// The value of header `name` as it may leave.
    pub fn header<'a>(self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        let header = names::header(name);
        match header.form {
            names::Form::Cookie if !self.privacy.headers.denied.has(name) => return Cow::Owned(self.cookies(value)),
            names::Form::SetCookie if !self.privacy.headers.denied.has(name) => {
                return Cow::Owned(self.set_cookie(value));
            }
            _ => {}
        }
        if self.hides(name, &header) || credential::begins_with_scheme(value) {
            self.take_header(name, header.found, value);
            return Cow::Borrowed(FILTERED);
        }
        let scrubbed = match header.form {
            names::Form::Url => self.url(value),
            names::Form::Host => self.text_at(value.rsplit(|byte| *byte == b'@').next().unwrap_or_default(), false),
            _ => self.text_at(value, false),
        };
        if self.privacy.anonymize_ip && header.found.is_personal() {
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
        self.text_at(text, self.privacy.allowed_only)
    }

    /// As [`Scrub::text`], of one that an operator is to read: in a log of ours, on a status page. Whoever said it may have cut it.
    pub fn said(self, text: &str) -> String {
        let shown = self.text(text.as_bytes());
        match half_at(&shown).and_then(|at| shown.get(..at)) {
            Some(kept) => String::from_utf8_lossy(&[kept, FILTERED].concat()).into_owned(),
            None => String::from_utf8_lossy(&shown).into_owned(),
        }
    }

    /// Whether a line of a text that begins with `name` is to be read as that header.
    fn is_header(self, name: &[u8]) -> bool {
        let header = names::header(name);
        let is_denied = self.privacy.headers.denied.has(name);
        let is_route = !self.send_pii && header.found.is_route();
        is_denied
            || header.form == names::Form::Url
            || is_route
            || names::is_of_many_parts(name)
            || name.contains(&b'-') && self.hides_header(name)
    }

    /// A URL, or the target of a request line, as it may leave: without user and password, and without the
    /// values of sensitive keys behind its path.
    pub fn url(self, url: &[u8]) -> Cow<'_, [u8]> {
        let mut spans = Spans::default();
        userinfo::find(self, url, Form::Url, &mut spans);
        // What is left of a URL in a value may stay.
        match spans.apply(url) {
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

    pub(crate) fn text_at(self, text: &[u8], strict: bool) -> Cow<'_, [u8]> {
        let mut spans = Spans::default();
        self.find(text, MAX_DEPTH, strict, &mut spans);
        spans.apply(text)
    }

    /// Collects what of `text` must not leave, as it stands and decoded, `times` at most: what is encoded deeper is not read.
    fn find(self, text: &[u8], times: usize, strict: bool, spans: &mut Spans) {
        // Most are a word or a number: nothing that a notation is made of, and too short for a token.
        if text.len() < credential::MIN_TOKEN && !text.iter().any(|byte| MEANS[usize::from(*byte)]) {
            return;
        }
        self.find_plain(text, strict, spans);
        let deeper = decoded(text, times, |view| {
            let mut found = Spans::default();
            self.find_plain(&view.bytes, strict, &mut found);
            spans.add(found, |at| view.place(at));
        });
        if let Some(view) = deeper {
            hide_encoded(text, &view, spans);
        }
    }

    fn find_plain(self, text: &[u8], strict: bool, spans: &mut Spans) {
        userinfo::find(self, text, Form::Text, spans);
        credential::web_tokens(text, spans);
        notation::find(self, text, strict, spans);
    }

    /// Finds the values of sensitive keys in a URL.
    fn pairs(self, text: &[u8], spans: &mut Spans) {
        let strict = self.privacy.allowed_only;
        let mut names = Pairs::of(text).filter(|pair| pair.name.is_some_and(notation::holds_name));
        // One whose value is in another pair.
        let is_apart = names.any(|pair| self.hides_key(pair.value));
        for pair in Pairs::of(text) {
            let (value, end) = (pair.value, pair.value_at + pair.value.len());
            let sensitive =
                pair.name.is_some_and(|name| self.hides_key(name) || is_apart && notation::holds_value(name));
            let allowed = !strict || pair.name.is_some_and(|name| self.allows_key(name));
            if sensitive || !allowed || self.carries_secret(value) {
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
    pub(crate) fn carries_secret(self, value: &[u8]) -> bool {
        let decoded = percent::decode(value);
        let mut spans = Spans::default();
        self.find(&decoded, MAX_DEPTH - 1, false, &mut spans);
        !spans.is_empty() || credential::begins_with_scheme(&decoded)
    }
}

/// Hides what of `text` is encoded deeper than anybody reads, as `view` shows it: all around each escape that is left, up to what no value has. What
/// is encoded less deep there may belong to it.
fn hide_encoded(text: &[u8], view: &View, spans: &mut Spans) {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>&;,".contains(byte);
    let (mut next, mut from) = (0, 0);
    while let Some(escape) = view.next_escape(next) {
        next = escape + 1;
        let Some((before, behind)) =
            text.split_at_checked(view.place(escape)).filter(|(before, _)| before.len() >= from)
        else {
            continue;
        };
        let start = before.get(from..).unwrap_or_default().iter().rposition(ends).map_or(from, |at| from + at + 1);
        from = behind.iter().position(ends).map_or(text.len(), |at| before.len() + at);
        spans.hide(start, from);
    }
}

/// Name and value of a text that is the line of a header.
fn header_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = parse(text)?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (name.len() <= MAX_HEADER && name.iter().all(is_token)).then_some((name, value))
}

#[cfg(test)]
mod tests;
