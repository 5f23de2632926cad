// SPDX-License-Identifier: BSD-2-Clause
//! What is asked of a request before its body is read.

use std::sync::Arc;
use std::time::Instant;

use super::state::Tunnel;
use crate::admission::Reader;
use crate::answer::{Answer, Refusal};
use crate::body::Encoding;
use crate::destinations::Listed;
use crate::request::{Endpoint, Named, Nameless, Request, Target};

/// A request whose body may be read. While it lives it is one of `max_readers`.
pub struct Ticket<'t, 'r> {
    pub(super) tunnel: &'t Tunnel,
    pub(super) request: Request<'r>,
    pub(super) target: Target<'r>,
    pub(super) encoding: Encoding,
    pub(super) named: Named<'r>,
    /// Where it goes, if the head says so much.
    pub(super) listed: Option<Arc<Listed>>,
    /// It brings what it has in its URL.
    pub(super) is_get: bool,
    pub(super) _reader: Reader<'t>,
}

impl Tunnel {
    /// Asks whether the body of a request may be read, by all that is known before: method, encoding, length, key, readers, rates. The answer if not, without a look at the body.
    pub fn admit<'t, 'r>(&'t self, request: &Request<'r>, now: Instant) -> Result<Ticket<'t, 'r>, Answer> {
        self.examine(request, now).map_err(|answer| self.counted(answer))
    }

    fn examine<'t, 'r>(&'t self, request: &Request<'r>, now: Instant) -> Result<Ticket<'t, 'r>, Answer> {
        let refused = |refusal: Refusal| Answer::refused(refusal, refusal.detail());
        let target = Target::of(request.url);
        let has_data = || target.endpoint == Endpoint::Store && target.values("sentry_data").next().is_some();
        let is_get = request.method == b"GET";
        if request.method != b"POST" && !(is_get && has_data()) {
            return Err(refused(Refusal::Method));
        }
        let encoding = Encoding::of(request.content_encoding).ok_or_else(|| refused(Refusal::Encoding))?;
        let length = usize::try_from(request.content_length.unwrap_or_default()).unwrap_or(usize::MAX);
        if length > self.settings.max_body {
            return Err(refused(Refusal::TooLarge));
        }
        let named = Named::by_head(request, &target).map_err(|nameless| refused(refusal_of(nameless)))?;
        let listed = match &named.key {
            Some(_) => self.find(&named).map_err(refused)?,
            None => None,
        };
        let refused = |refusal| refused(refusal).at(listed.as_ref());
        let reader = self.readers.enter().ok_or_else(|| refused(Refusal::Busy))?;
        self.gate.enter(self.keys.client("", request.client), now).map_err(refused)?;
        Ok(Ticket { tunnel: self, request: *request, target, encoding, named, listed, is_get, _reader: reader })
    }
}

impl Ticket<'_, '_> {
    /// Whether there is a body to read: a GET of `store/` is accepted with an empty one.
    pub fn wants_body(&self) -> bool {
        !self.is_get
    }
}

pub(super) fn refusal_of(nameless: Nameless) -> Refusal {
    match nameless {
        Nameless::Differ => Refusal::KeysDiffer,
        Nameless::NoDsn => Refusal::NoKey,
    }
}
