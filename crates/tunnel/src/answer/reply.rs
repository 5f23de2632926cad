// SPDX-License-Identifier: BSD-2-Clause
//! What a client is told.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::category::Categories;
use protocol::event_id::EventId;

use super::outcome::{Outcome, Refusal};
use crate::count::Counts;
use crate::destinations::Listed;

/// One transparent pixel.
const PIXEL: [u8; 42] = *b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01\x44\x00\x3b";
/// For how long whoever asks too often is told to be quiet: as long as SDKs are after a bare 429.
const PAUSE: Duration = Duration::from_secs(60);

/// The answer to one request. Kept by the task that asked, for as long as VCL asks for what is in it.
#[derive(Debug)]
pub struct Answer {
    outcome: Outcome,
    /// What is wrong with what was refused.
    detail: &'static str,
    /// The id of the event that was taken, or was not worth it.
    id: Option<EventId>,
    /// Whether a browser waits for an image.
    wants_image: bool,
    /// Where it was to go, once that is known.
    listed: Option<Arc<Listed>>,
}

impl Answer {
    pub(crate) fn refused(refusal: Refusal, detail: &'static str) -> Answer {
        Answer { outcome: Outcome::Refused(refusal), detail, id: None, wants_image: false, listed: None }
    }

    pub(crate) fn taken(outcome: Outcome, id: Option<EventId>, listed: &Arc<Listed>) -> Answer {
        Answer { outcome, detail: "", id, wants_image: false, listed: Some(listed.clone()) }
    }

    #[must_use]
    pub(crate) fn at(self, listed: Option<&Arc<Listed>>) -> Answer {
        Answer { listed: listed.cloned().or(self.listed), ..self }
    }

    #[must_use]
    pub(crate) fn with_image(self, wants_image: bool) -> Answer {
        Answer { wants_image, ..self }
    }

    /// 200 for what was taken and for what is not worth it; 429 for what Sentry has limits on; a refusal's own.
    pub fn status(&self) -> u16 {
        match self.outcome {
            Outcome::Refused(refusal) => refusal.status(),
            Outcome::Limited => 429,
            _ => 200,
        }
    }

    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What became of it and why, for a header or the log: `processed`, `ignored: resize_observer`, `refused: there are no items`. Printable ASCII, never a key.
    pub fn result(&self) -> Cow<'static, str> {
        let word = self.outcome.as_str();
        match self.outcome {
            Outcome::Ignored(Some(noise)) => Cow::Owned(format!("{word}: {}", noise.as_str())),
            Outcome::Refused(_) => Cow::Owned(format!("{word}: {}", self.detail)),
            _ => Cow::Borrowed(word),
        }
    }

    /// The body: `{"id":"…"}`, `{}`, `{"detail":"…"}`, or the image that a GET of `store/` is answered with, in which there are zeros.
    pub fn response(&self) -> Cow<'static, [u8]> {
        match (self.outcome, self.id) {
            _ if self.has_image() => Cow::Borrowed(&PIXEL),
            // Details are ours, and need no escaping.
            (Outcome::Refused(_), _) => Cow::Owned(format!("{{\"detail\":\"{}\"}}", self.detail).into_bytes()),
            (Outcome::Limited, _) => Cow::Borrowed(b"{\"detail\":\"rate limited\"}"),
            (_, Some(id)) => Cow::Owned([&b"{\"id\":\""[..], &id.to_hex(), b"\"}"].concat()),
            (_, None) => Cow::Borrowed(b"{}"),
        }
    }

    /// `application/json` or `image/gif`.
    pub fn content_type(&self) -> &'static str {
        if self.has_image() { "image/gif" } else { "application/json" }
    }

    fn has_image(&self) -> bool {
        self.wants_image && self.status() == 200
    }

    /// The project it was for, once that is known.
    pub fn project(&self) -> Option<&str> {
        self.listed.as_ref().map(|listed| listed.dsn.project())
    }

    /// Where it counts besides.
    pub(crate) fn counts(&self) -> Option<&Counts> {
        self.listed.as_ref().map(|listed| &*listed.counts)
    }

    /// The value of `X-Sentry-Rate-Limits`: what Sentry has set for the DSN of this request, as it is now, and a minute for who asks too often. `None` if there is nothing to say.
    pub fn rate_limits(&self, now: Instant) -> Option<String> {
        let pause = matches!(self.outcome, Outcome::Refused(Refusal::PerClient | Refusal::MaxRate));
        let mut limits: Vec<String> = pause.then(|| limit("", PAUSE)).into_iter().collect();
        if let Some(listed) = &self.listed {
            let destination = &listed.destination;
            // Without a lock in nearly all cases.
            if destination.may_leave(Categories::ALL, now) != Categories::ALL {
                let in_force = destination.in_force(now);
                limits.extend(
                    in_force.into_iter().map(|(word, left)| limit(if word == "all" { "" } else { word }, left)),
                );
            }
        }
        (!limits.is_empty()).then(|| limits.join(", "))
    }
}

/// A limit as Sentry says it: seconds, categories, scope. An empty category is all of them.
fn limit(category: &str, left: Duration) -> String {
    let seconds = left.as_millis().div_ceil(1000).max(1);
    format!("{seconds}:{category}:key")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use delivery::admission::sample::SampleRate;
    use delivery::shared::Shared;
    use protocol::dsn::Dsn;
    use protocol::rate_limits::{LimitHeaders, RateLimits};

    use super::*;
    use crate::noise::Noise;

    fn listed(now: Instant) -> Arc<Listed> {
        let dsn = Arc::new(Dsn::parse("https://hunter2@h/42").unwrap());
        let destination = Shared::new(now).destination(&dsn, now);
        Arc::new(Listed { dsn, sdk_dsn: "".into(), destination, share: SampleRate::new(1.0), counts: Arc::default() })
    }

    #[test]
    fn each_outcome_has_its_status_result_and_body() {
        let listed = listed(Instant::now());
        let id = EventId::from_random([0; 16]);
        let own = format!("{{\"id\":\"{id}\"}}");
        let taken = |outcome| Answer::taken(outcome, Some(id), &listed);
        for (answer, status, result, body) in [
            (taken(Outcome::Processed), 200, "processed", own.as_str()),
            (taken(Outcome::Throttled), 200, "throttled", &own),
            (taken(Outcome::Ignored(None)), 200, "ignored", &own),
            (taken(Outcome::Ignored(Some(Noise::Crawler))), 200, "ignored: crawler", &own),
            (taken(Outcome::Sampled), 200, "sampled", &own),
            (taken(Outcome::Dropped), 200, "dropped", &own),
            (taken(Outcome::Limited), 429, "limited", "{\"detail\":\"rate limited\"}"),
            (Answer::taken(Outcome::Processed, None, &listed), 200, "processed", "{}"),
            (
                Answer::refused(Refusal::UnknownKey, "no such key"),
                403,
                "refused: no such key",
                "{\"detail\":\"no such key\"}",
            ),
        ] {
            assert_eq!(
                (answer.status(), &*answer.result(), answer.content_type()),
                (status, result, "application/json")
            );
            assert_eq!(String::from_utf8_lossy(&answer.response()), body);
            let answer = answer.with_image(true);
            let is_image = status == 200;
            assert_eq!(answer.content_type(), if is_image { "image/gif" } else { "application/json" });
            assert_eq!(answer.response().starts_with(b"GIF89a"), is_image);
        }
    }

    #[test]
    fn clients_are_told_the_limits_in_force_and_understand_them() {
        let now = Instant::now();
        let listed = listed(now);
        let answer = Answer::taken(Outcome::Processed, None, &listed);
        assert_eq!(answer.rate_limits(now), None);
        let headers = LimitHeaders { rate_limits: Some("60:error;transaction:org, 2.5:replay:org"), retry_after: None };
        listed.destination.update(200, headers, now, UNIX_EPOCH);
        let told = answer.rate_limits(now).unwrap();
        assert_eq!(told, "60:error:key, 3:replay:key, 60:transaction:key");
        let mut limits = RateLimits::default();
        limits.update(200, LimitHeaders { rate_limits: Some(&told), retry_after: None }, now, UNIX_EPOCH);
        assert_eq!(limits.in_force(now).count(), 3);
        assert_eq!(
            answer.rate_limits(now + Duration::from_secs(59)).as_deref(),
            Some("1:error:key, 1:transaction:key")
        );
        assert_eq!(answer.rate_limits(now + Duration::from_secs(60)), None);
        listed.destination.update(429, LimitHeaders::default(), now, UNIX_EPOCH);
        assert!(answer.rate_limits(now).unwrap().contains("60::key"));
        let refused = Answer::refused(Refusal::PerClient, "").rate_limits(now);
        assert_eq!(refused.as_deref(), Some("60::key"));
        assert_eq!(Answer::refused(Refusal::Busy, "").rate_limits(now), None);
    }
}
