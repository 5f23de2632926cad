// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of a request, once its body is there.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use delivery::admission::throttle::Verdict;
use protocol::event_id::EventId;
use protocol::reason::Reason;

use super::admit::{Ticket, refusal_of};
use super::chosen::Chosen;
use super::gist::Gist;
use super::moment::Moment;
use super::state::Tunnel;
use crate::answer::{Answer, Outcome, Refusal};
use crate::body::Unpacked;
use crate::destinations::Listed;
use crate::envelope::{Header, Item, Problem, Reading, read};
use crate::forward::{Forward, Origin, Sorted, lines, tell};
use crate::request::{Endpoint, Named, Request};
use crate::settings::By;
use crate::sink::Sink;
use crate::store::{BadEvent, envelope_of_event, envelope_of_report};

/// A body as it came, or why there is none.
pub type Body = Result<Vec<u8>, NoBody>;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBody {
    /// It is larger than `max_body`, and was read to its end or not.
    TooLarge,
    /// It did not come within `body_timeout`.
    Late,
    /// It broke off.
    Failed,
    /// It had been taken before.
    Taken,
    /// The server had no storage for it.
    NoStorage,
}

/// Why something is not taken, in a word and in words.
struct Refused(Refusal, &'static str);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused(refusal, refusal.detail())
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        Refused(Refusal::Malformed, problem.as_str())
    }
}

/// An envelope that is known to be one.
struct Envelope {
    body: Vec<u8>,
    items: Vec<Item>,
    event_id: Option<EventId>,
    sent_at: Option<SystemTime>,
    members: Vec<u8>,
    trace: Vec<u8>,
}

impl Ticket<'_, '_> {
    /// Judges what came, and hands what is to be sent on to `sink`.
    pub fn accept(self, body: Body, at: Moment, sink: &mut dyn Sink) -> Answer {
        let Ticket { tunnel, request, is_get, .. } = self;
        let opened = self.unpack(body).and_then(|body| self.open(body));
        let answer = match opened {
            Ok((envelope, listed)) => Passage { tunnel, request: &request, listed: &listed, at, sink }.pass(envelope),
            Err(Refused(refusal, detail)) => Answer::refused(refusal, detail).at(self.listed.as_ref()),
        };
        tunnel.counted(answer.with_image(is_get))
    }

    /// The envelope in a body, or the one that is made of what is in it.
    fn unpack(&self, body: Body) -> Result<Vec<u8>, Refused> {
        let body = body.map_err(|no_body| match no_body {
            NoBody::TooLarge => Refusal::TooLarge,
            NoBody::Late | NoBody::Failed => Refusal::Unread,
            NoBody::Taken => Refusal::Taken,
            NoBody::NoStorage => Refusal::NoStorage,
        })?;
        let most = self.tunnel.settings.max_body;
        let body = match self.encoding.unpack(body, most) {
            Unpacked::Whole(body) => body,
            Unpacked::TooLarge => return Err(Refusal::TooLarge.into()),
            Unpacked::Broken => return Err(Refusal::Encoding.into()),
        };
        let id = || self.tunnel.new_id();
        match self.target.endpoint {
            Endpoint::Envelope => Ok(body),
            Endpoint::Store if self.holds_envelope() => Ok(body),
            Endpoint::Store => {
                let data = self.target.values("sentry_data").next().filter(|_| self.is_get);
                let event = data.map_or(body, |data| data.into_owned());
                envelope_of_event(event, most, id()).map_err(|bad| match bad {
                    BadEvent::TooLarge => Refusal::TooLarge.into(),
                    BadEvent::Text => Refused(Refusal::Malformed, "the event is neither JSON nor base64 of zlib"),
                    BadEvent::Json => {
                        Refused(Refusal::Malformed, "the event is not one JSON object, or its event_id is none")
                    }
                })
            }
            Endpoint::Security => {
                let made = envelope_of_report(&body, &self.target, id());
                made.ok_or(Refused(Refusal::Malformed, "the report is not one JSON object"))
            }
        }
    }

    /// SDKs between the two protocols posted envelopes to `store/`.
    fn holds_envelope(&self) -> bool {
        self.request.content_type.is_some_and(|kind| kind.starts_with(b"application/x-sentry-envelope"))
    }

    /// Reads an envelope, and finds out where it goes.
    fn open(&self, body: Vec<u8>) -> Result<(Envelope, Arc<Listed>), Refused> {
        let Reading { header, items } = read(&body)?;
        let listed = self.listed(header.dsn.as_deref())?;
        let Header { event_id, sent_at, members, trace, dsn: _ } = header;
        Ok((Envelope { items, event_id, sent_at, members, trace, body }, listed))
    }

    /// Where an envelope goes whose header has this `dsn`, or none.
    fn listed(&self, dsn: Option<&[u8]>) -> Result<Arc<Listed>, Refusal> {
        let named = match (dsn, &self.listed) {
            (None, Some(listed)) => return Ok(listed.clone()),
            (None, None) => Cow::Borrowed(&self.named),
            (Some(dsn), _) => {
                if self.named == Named::default()
                    && let Some(listed) = self.tunnel.find_by_dsn(dsn)
                {
                    return Ok(listed);
                }
                Cow::Owned(self.named.clone().and_by_dsn(dsn).map_err(refusal_of)?)
            }
        };
        self.tunnel.find(&named)?.ok_or(Refusal::NoKey)
    }
}

/// What an envelope passes on its way.
struct Passage<'p> {
    tunnel: &'p Tunnel,
    request: &'p Request<'p>,
    listed: &'p Arc<Listed>,
    at: Moment,
    sink: &'p mut dyn Sink,
}

impl Passage<'_> {
    /// What becomes of an envelope: by chance, by type, by limit, by rule, by key; and at last by the queue.
    fn pass(mut self, mut envelope: Envelope) -> Answer {
        let id = envelope.event_id;
        let items = std::mem::take(&mut envelope.items);
        let outcome = if self.is_sampled_out(&items, id) {
            self.refuse(&items, Reason::SampleRate);
            Outcome::Sampled
        } else {
            self.choose(items, envelope)
        };
        match outcome {
            Outcome::Refused(refusal) => Answer::refused(refusal, refusal.detail()).at(Some(self.listed)),
            outcome => Answer::taken(outcome, id, self.listed),
        }
    }

    fn choose(&mut self, items: Vec<Item>, envelope: Envelope) -> Outcome {
        let tunnel = self.tunnel;
        let Chosen { going, staying } = Chosen::by_type(items, &tunnel.settings.drop_items, &envelope.body);
        self.refuse(&staying, Reason::Ignored);
        if going.is_empty() {
            return Outcome::Dropped;
        }
        let Chosen { going, staying } = Chosen::by_limits(going, &self.listed.destination, self.at.now);
        self.refuse(&staying, Reason::RatelimitBackoff);
        if going.is_empty() {
            return Outcome::Limited;
        }
        let gist = if tunnel.reads() { Gist::read(&envelope.body, &going) } else { Gist::Nothing };
        if let Some(outcome) = self.ignored(&gist) {
            self.refuse(&going, Reason::Ignored);
            return outcome;
        }
        let key = gist.key(tunnel.settings.by, &tunnel.keys, self.listed.dsn.project(), self.request);
        let suppressed = match key.map(|key| tunnel.throttle.judge(key, self.at.now, || Ok(()))) {
            None => 0,
            Some(Verdict::Passed { suppressed }) => suppressed,
            Some(Verdict::Refused(_)) => {
                self.refuse(&going, Reason::Throttled);
                return Outcome::Throttled;
            }
        };
        let told = gist.place().filter(|_| suppressed > 0).map(|place| (place, suppressed));
        self.send(going, envelope, told)
    }

    /// Hands it over, with the number that its event at a place is to tell.
    fn send(&mut self, mut items: Vec<Item>, envelope: Envelope, told: Option<(usize, u64)>) -> Outcome {
        let Envelope { mut body, members, trace, sent_at, .. } = envelope;
        if let Some((place, suppressed)) = told {
            tell(suppressed, &mut body, &mut items, place);
        }
        let origin = Origin {
            dsn: self.listed.dsn.clone(),
            at: self.at.wall,
            id: self.tunnel.new_id(),
            lines: lines(self.request, self.tunnel.settings.client_ip),
            sent_at,
        };
        match self.sink.enqueue(Box::new(Forward::new(origin, members, trace, body, &items))) {
            Ok(()) => Outcome::Processed,
            Err(Reason::QueueOverflow) => Outcome::Refused(Refusal::TooLarge),
            Err(_) => Outcome::Refused(Refusal::Closed),
        }
    }

    /// Whether chance has it. A replay comes in many envelopes of one id: all of them or none.
    fn is_sampled_out(&self, items: &[Item], id: Option<EventId>) -> bool {
        let replay = id.filter(|_| items.iter().any(|item| item.kind.is_replay()));
        let chance = || replay.map_or_else(self.tunnel.random, |id| self.tunnel.keys.chance(id));
        !self.listed.share.keeps(chance)
    }

    /// Whether a rule says that it is not worth anything.
    fn ignored(&self, gist: &Gist<'_>) -> Option<Outcome> {
        let (rules, noise) = (&self.tunnel.rules, self.tunnel.noise.get());
        if rules.is_empty() && noise.is_none() {
            return None;
        }
        let seen = gist.seen(self.request);
        if rules.ignore(&seen.candidate()) {
            return Some(Outcome::Ignored(None));
        }
        noise?.noise(&seen.sight()).map(|noise| Outcome::Ignored(Some(noise)))
    }

    fn refuse(&mut self, items: &[Item], reason: Reason) {
        if !items.is_empty() {
            self.sink.refuse(&self.listed.dsn, &Sorted::of(items).parts, reason);
        }
    }
}

impl Tunnel {
    /// Whether what is in events counts for anything.
    fn reads(&self) -> bool {
        let throttles = self.settings.throttle > 0 && self.settings.by != By::None;
        throttles || !self.rules.is_empty() || self.noise.get().is_some()
    }

    fn new_id(&self) -> EventId {
        let (high, low) = ((self.random)(), (self.random)());
        EventId::from_random((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }
}
