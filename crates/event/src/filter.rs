// SPDX-License-Identifier: BSD-2-Clause
//! The one filter that all of an event goes through, whichever way it leaves.
//!
//! First the named places are read, of the request, of the response and of the task's log, and what the rules take out of them is noted. Then
//! every text that a client or a server has said is searched for the same values. What the VCL has set is not looked at.

use std::borrow::Cow;
use std::cell::RefCell;

use privacy::address::anonymous_text;
use privacy::body::Body;
use privacy::half::half_at;
use privacy::known::Known;
use privacy::pairs::Pairs;
use privacy::scrub::Scrub;
use privacy::secret::FILTERED;
use privacy::taken::Taken;
use protocol::header::parse;
use protocol::text::line;

use crate::capture::content::Content;
use crate::capture::fields::{Field, Kind};
use crate::capture::record::Record;
use crate::capture::removals::Removals;

/// Characters kept of a record of a log.
const MAX_RECORD: usize = 1024;

/// A header as it may leave, by its name.
pub(crate) type Line<'r> = (&'r [u8], Cow<'r, [u8]>);

/// The filter of one event.
pub struct Filter<'r> {
    scrub: Scrub<'r>,
    removals: Option<&'r Removals>,
    known: Known,
    request: Vec<Line<'r>>,
    response: Vec<Line<'r>>,
    url: Option<Cow<'r, [u8]>>,
}

impl<'r> From<Scrub<'r>> for Filter<'r> {
    /// A filter that knows of no event.
    fn from(scrub: Scrub<'r>) -> Filter<'r> {
        let (known, request, response) = Default::default();
        Filter { scrub, removals: None, known, request, response, url: None }
    }
}

impl<'r> Filter<'r> {
    /// The filter of what `record` says.
    pub fn of(record: &'r Record, scrub: Scrub<'r>) -> Filter<'r> {
        let taken = RefCell::new(Taken::default());
        let (mut request, mut response, mut url) = (Vec::with_capacity(32), Vec::with_capacity(16), None);
        // Those of the request and of the response, as they came.
        let mut lines = [Vec::with_capacity(32), Vec::with_capacity(16)];
        let mut body = None;
        {
            let noting = Noting { scrub: scrub.noting(&taken), removals: &record.removals };
            for field in record.fields() {
                match field.kind {
                    Kind::RequestHeader => lines[0].push(field.value),
                    Kind::ResponseHeader => lines[1].push(field.value),
                    _ => {}
                }
                match field.kind {
                    Kind::RequestHeader => request.extend(noting.header(field)),
                    Kind::ResponseHeader => response.extend(noting.header(field)),
                    Kind::Url => url = noting.url(field),
                    Kind::Body => body = Some(field),
                    Kind::ClientIp => noting.client(field.value),
                    Kind::Match => noting.line(content_of(field.name), field.value),
                    Kind::Log => {
                        if let Some(log) = record.log {
                            (log.read)(field.value, &mut |line| {
                                // Most of them were there before.
                                if line.content != Content::Header
                                    || !lines.iter().any(|lines| lines.contains(&line.text))
                                {
                                    noting.line(Some(line.content), line.text);
                                }
                            });
                        }
                    }
                    _ => {}
                }
            }
            if let Some(body) = body {
                noting.body(body, &lines[0]);
            }
        }
        let known = Known::new(taken.into_inner(), scrub.sends_pii() && scrub.anonymizes());
        let hidden = |(name, value): Line<'r>| {
            let is_host = name.eq_ignore_ascii_case(b"host");
            let value = known.hide(value, !is_host);
            (name, value)
        };
        let request = request.into_iter().map(hidden).collect();
        let response = response.into_iter().map(hidden).collect();
        let url = url.map(|url| known.hide(url, false));
        Filter { scrub, removals: Some(&record.removals), known, request, response, url }
    }

    /// What keeps the named places free of secrets.
    pub(crate) fn scrub(&self) -> Scrub<'r> {
        self.scrub
    }

    /// The headers of the request.
    pub(crate) fn request(&self) -> &[Line<'r>] {
        &self.request
    }

    /// The headers of the response.
    pub(crate) fn response(&self) -> &[Line<'r>] {
        &self.response
    }

    /// The request's target.
    pub(crate) fn url(&self) -> Option<&[u8]> {
        self.url.as_deref()
    }

    /// How many values were taken out that there was no room to look for.
    pub(crate) fn beyond(&self) -> usize {
        self.known.beyond()
    }

    /// What a server or a client has said.
    pub(crate) fn text<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let shown = self.known.hide(self.scrub.text(text), true);
        // Whoever wrote it may have cut it.
        match half_at(&shown).and_then(|at| shown.get(..at)) {
            Some(kept) => Cow::Owned([kept, FILTERED].concat()),
            None => shown,
        }
    }

    /// The host that a URL is told with.
    pub(crate) fn host<'t>(&self, host: &'t [u8]) -> Cow<'t, [u8]> {
        self.known.hide(self.scrub.header(b"host", host), false)
    }

    pub(crate) fn body(&self, body: Body<'_>) -> Vec<u8> {
        self.known.hide(Cow::Owned(self.scrub.body(body)), true).into_owned()
    }

    /// Whether the author has removed all records of the log with this tag.
    pub(crate) fn removes_record(&self, tag: &str) -> bool {
        self.removals.is_some_and(|removals| removals.take(&[b"breadcrumbs.", tag.as_bytes()]))
    }

    /// Whether the author has removed what stands at `path` in the event.
    pub(crate) fn removes(&self, path: &[&[u8]]) -> bool {
        self.removals.is_some_and(|removals| removals.take(path))
    }

    /// A record of a log that is not ours, as one line that may leave. Whoever wrote it may have cut it, so an end is never needed to tell a secret.
    pub fn log_record(&self, content: Content, text: &[u8]) -> String {
        let shown = self.shown(content, text);
        let shown = if content == Content::Figures { shown } else { self.known.hide(shown, true) };
        match half_at(&shown).and_then(|at| shown.get(..at)) {
            Some(kept) => line(&[kept, FILTERED].concat(), MAX_RECORD).into_owned(),
            None => line(&shown, MAX_RECORD).into_owned(),
        }
    }

    fn shown<'t>(&self, content: Content, text: &'t [u8]) -> Cow<'t, [u8]> {
        let removes = |path: &[&[u8]]| self.removes(path);
        match content {
            Content::Figures => Cow::Borrowed(text),
            Content::Text => self.scrub.text(text),
            Content::Header => match parse(text) {
                Some((name, _)) if self.removals.is_some_and(|removals| removals.take_header(name)) => {
                    Cow::Owned([name, b": ", FILTERED].concat())
                }
                Some((name, value)) => Cow::Owned([name, b": ", &self.scrub.header(name, value)].concat()),
                None => self.scrub.text(text),
            },
            Content::Url if removes(&[b"request.url"]) => Cow::Borrowed(FILTERED),
            Content::Url => {
                let query_at = text.iter().position(|byte| *byte == b'?');
                let query_at = query_at.filter(|_| removes(&[b"request.query_string"]));
                self.scrub.url(query_at.and_then(|at| text.get(..at)).unwrap_or(text))
            }
            Content::ClientAddress if self.scrub.sends_pii() && !removes(&[b"user.ip_address"]) => {
                if self.scrub.anonymizes() { anonymous_text(text) } else { Cow::Borrowed(text) }
            }
            Content::ClientAddress => hide(text, 0, text.iter().position(|byte| *byte == b' ')),
            Content::Fragment => match text.iter().position(|byte| b":=?@".contains(byte)) {
                Some(at) => hide(text, at + 1, None),
                None => self.scrub.text(text),
            },
        }
    }
}

/// The first reading, which takes note of what is taken out.
struct Noting<'n> {
    scrub: Scrub<'n>,
    removals: &'n Removals,
}

impl Noting<'_> {
    fn header<'r>(&self, field: Field<'r>) -> Option<Line<'r>> {
        let (name, value) = parse(field.value)?;
        if self.removals.leave(field).is_none() {
            self.scrub.take_secret(value);
            return None;
        }
        Some((name, self.scrub.header(name, value)))
    }

    fn url<'r>(&self, field: Field<'r>) -> Option<Cow<'r, [u8]>> {
        let Some(left) = self.removals.leave(field) else {
            self.scrub.take_secret(field.value);
            return None;
        };
        if left.value.len() < field.value.len() {
            self.scrub.take_secret(field.value.get(left.value.len() + 1..).unwrap_or_default());
            Pairs::of(field.value).for_each(|pair| self.scrub.take_personal(pair.value));
        }
        Some(self.scrub.url(left.value))
    }

    /// The client's address.
    fn client(&self, address: &[u8]) {
        let is_removed = self.removals.take(&[b"user.ip_address"]);
        if !self.scrub.sends_pii() || self.scrub.anonymizes() || is_removed {
            self.scrub.take_addresses(address);
        }
    }

    /// A record of a log.
    fn line(&self, content: Option<Content>, text: &[u8]) {
        match content {
            Some(Content::Header) => {
                if let Some((name, value)) = parse(text) {
                    if self.removals.take_header(name) {
                        self.scrub.take_secret(value);
                    } else {
                        self.scrub.header(name, value);
                    }
                }
            }
            Some(Content::Url) => drop(self.url(Field { kind: Kind::Url, name: b"", value: text })),
            Some(Content::ClientAddress) => self.client(text.split(|byte| *byte == b' ').next().unwrap_or_default()),
            _ => {}
        }
    }

    /// The parameters of a form, and the fields of JSON.
    fn body(&self, field: Field<'_>, lines: &[&[u8]]) {
        if self.removals.leave(field).is_none() {
            return;
        }
        let header = |wanted: &[u8]| {
            let mut lines = lines.iter().filter_map(|line| parse(line));
            lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map_or(&b""[..], |(_, value)| value)
        };
        let (content_type, content_encoding) = (header(b"content-type"), header(b"content-encoding"));
        let len = field.name.try_into().map_or(0, u64::from_le_bytes);
        self.scrub.body(Body { bytes: field.value, len, content_type, content_encoding });
    }
}

/// What a [`Kind::Match`] holds.
fn content_of(name: &[u8]) -> Option<Content> {
    Content::from_number(*name.first()?)
}

/// `text` with what is between `from` and `to`, or the end, hidden.
fn hide(text: &[u8], from: usize, to: Option<usize>) -> Cow<'_, [u8]> {
    let tail = to.and_then(|to| text.get(to..)).unwrap_or_default();
    Cow::Owned([text.get(..from).unwrap_or_default(), FILTERED, tail].concat())
}

#[cfg(test)]
mod tests;
