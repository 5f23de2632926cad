// SPDX-License-Identifier: BSD-2-Clause
//! What an envelope says, as far as throttle and rules ask: its event or report, and who sent it.

use std::borrow::Cow;

use event::rules::ignore::Candidate;

use crate::envelope::{Item, Kind};
use crate::grouping::{Fields, Keys, Report};
use crate::json::Text;
use crate::noise::Sight;
use crate::request::Request;
use crate::settings::By;

/// Bytes of a text that rules see.
const LIMIT: usize = 8192;

/// What is read of an envelope.
pub enum Gist<'e> {
    Event {
        /// Among the items.
        place: usize,
        fields: Box<Fields<'e>>,
    },
    Report(Report<'e>),
    /// A transaction: rules see it, and it is not throttled.
    Transaction(Box<Fields<'e>>),
    /// Sessions, replays, logs: only who sent it is known.
    Nothing,
}

/// What rules see, in memory of its own where it had to be put together.
pub struct Seen<'e> {
    text: Cow<'e, [u8]>,
    file: Cow<'e, [u8]>,
    has_place: bool,
    url: Cow<'e, [u8]>,
    user_agent: Cow<'e, [u8]>,
    level: Cow<'e, [u8]>,
}

impl<'e> Gist<'e> {
    /// Reads the first event of an envelope, else its first report, else its first transaction.
    pub fn read(body: &'e [u8], items: &[Item]) -> Gist<'e> {
        let first = |kinds: &[Kind]| {
            let (place, item) = items.iter().enumerate().find(|(_, item)| kinds.contains(&item.kind))?;
            Some((place, body.get(item.payload.clone())?))
        };
        if let Some((place, json)) = first(&[Kind::Event, Kind::Security]) {
            Gist::Event { place, fields: Box::new(Fields::read(json)) }
        } else if let Some((_, json)) = first(&[Kind::RawSecurity]) {
            Gist::Report(Report::read(json))
        } else if let Some((_, json)) = first(&[Kind::Transaction]) {
            Gist::Transaction(Box::new(Fields::read(json)))
        } else {
            Gist::Nothing
        }
    }

    /// What it is throttled by; `None` for what is not.
    pub fn key(&self, by: By, keys: &Keys, project: &str, request: &Request<'_>) -> Option<u64> {
        let own = match (by, self) {
            (By::None, _) | (_, Gist::Transaction(_) | Gist::Nothing) => return None,
            (By::Url, _) => keys.page(project, &self.url(request)),
            (By::Fingerprint, Gist::Event { fields, .. }) => keys.event(project, fields),
            (By::Fingerprint, Gist::Report(report)) => keys.report(project, report),
        };
        Some(own.unwrap_or_else(|| keys.client(project, request.client)))
    }

    /// The place of the event among the items.
    pub fn place(&self) -> Option<usize> {
        match self {
            Gist::Event { place, .. } => Some(*place),
            _ => None,
        }
    }

    fn fields(&self) -> Option<&Fields<'e>> {
        match self {
            Gist::Event { fields, .. } | Gist::Transaction(fields) => Some(fields),
            Gist::Report(_) | Gist::Nothing => None,
        }
    }

    /// The page: what the event says, else what the browser says.
    fn url<'a>(&self, request: &Request<'a>) -> Cow<'a, [u8]>
    where
        'e: 'a,
    {
        let said = match self {
            Gist::Report(report) => report.document,
            _ => self.fields().map_or(Text::default(), |fields| fields.url),
        };
        if said.is_empty() { Cow::Borrowed(request.referer.unwrap_or_default()) } else { said.decoded(LIMIT) }
    }

    /// All that rules ask for.
    pub fn seen<'a>(&self, request: &Request<'a>) -> Seen<'a>
    where
        'e: 'a,
    {
        let agent = self.fields().map_or(Text::default(), |fields| fields.user_agent);
        let agent =
            if agent.is_empty() { Cow::Borrowed(request.user_agent.unwrap_or_default()) } else { agent.decoded(LIMIT) };
        let mut seen = Seen {
            text: Cow::Borrowed(b""),
            file: Cow::Borrowed(b""),
            has_place: false,
            url: self.url(request),
            user_agent: agent,
            level: Cow::Borrowed(b""),
        };
        match self {
            Gist::Event { fields, .. } => {
                // What says no level is an error.
                seen.level =
                    if fields.level.is_empty() { Cow::Borrowed(b"error") } else { fields.level.decoded(LIMIT) };
                seen.text = text(fields);
                if let Some(exception) = &fields.exception {
                    seen.file = exception.source.decoded(LIMIT);
                    // What a browser keeps to itself is in line 0.
                    let is_known = |line: &[u8]| !matches!(line, b"" | b"0" | b"null");
                    seen.has_place = exception.frame.is_some_and(|frame| is_known(frame.line));
                }
            }
            Gist::Report(report) => seen.text = joined(report.directive, report.subject),
            Gist::Transaction(_) | Gist::Nothing => {}
        }
        seen
    }
}

/// What happened, in one line.
fn text<'e>(fields: &Fields<'e>) -> Cow<'e, [u8]> {
    if let Some(exception) = &fields.exception {
        return joined(exception.kind, exception.value);
    }
    let said = [fields.formatted, fields.message, fields.template].into_iter().find(|text| !text.is_empty());
    said.map_or(Cow::Borrowed(b""), |text| text.decoded(LIMIT))
}

/// `TypeError: x is undefined`.
fn joined<'e>(kind: Text<'e>, value: Text<'e>) -> Cow<'e, [u8]> {
    match (kind.is_empty(), value.is_empty()) {
        (_, true) => kind.decoded(LIMIT),
        (true, false) => value.decoded(LIMIT),
        (false, false) => Cow::Owned([&kind.decoded(LIMIT), &b": "[..], &value.decoded(LIMIT)].concat()),
    }
}

impl Seen<'_> {
    pub fn candidate(&self) -> Candidate<'_> {
        let some = |text: &'_ [u8]| !text.is_empty();
        Candidate {
            message: &self.text,
            url: Some(&*self.url).filter(|url| some(url)),
            status: None,
            user_agent: Some(&*self.user_agent).filter(|agent| some(agent)),
            level: &self.level,
        }
    }

    pub fn sight(&self) -> Sight<'_> {
        Sight {
            text: &self.text,
            file: &self.file,
            has_place: self.has_place,
            url: &self.url,
            user_agent: &self.user_agent,
        }
    }
}
