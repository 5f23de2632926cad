// SPDX-License-Identifier: BSD-2-Clause
//! One request after the other: packs an event, a client report or both, posts them, obeys what the server
//! says, and brings to its end what was on its way.
//!
//! Each connection of a client has a courier of its own, on a thread of its own: the sender's, and one for
//! each assistant. They share the outbox and the spool. Locks: the spool's may be held while `pace` is taken.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::client_report::{Reason, Taken};
use crate::desk::{Desk, Load, Prepared};
use crate::dsn::Dsn;
use crate::identity::SDK;
use crate::journal::Topic;
use crate::limits::{Category, LimitHeaders};
use crate::meanwhile::Meanwhile;
use crate::outbox::Outbox;
use crate::packer::Parcel;
use crate::queue::{Asker, Entry, Gate, Next};
use crate::spool::{Fate, Letter, Spool};
use crate::stats::Counter;
use crate::transport::{Answer, Failure, Post};

/// Posts of an event that may fail at the server. Those that never reach it are not counted: then it is
/// not the event's fault, and the queue is bounded anyway.
const MAX_TRIES: u32 = 10;
/// Sentry takes no event older than 30 days.
const MAX_AGE: Duration = Duration::from_secs(29 * 24 * 60 * 60);

/// Between two client reports that ride with events packed ahead.
const RIDE_INTERVAL: Duration = Duration::from_secs(1);

/// The spool of a client, for all its couriers; `None` without one, and after the sender's end.
pub type SharedSpool = Arc<Mutex<Option<Spool>>>;

/// What an answer, or the lack of one, means for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Sent,
    Drop(Reason),
    /// Keep it and try again after a pause. `counts` if the server may be failing on this very event;
    /// when it has failed too often, it is dropped for `reason`.
    Retry {
        counts: bool,
        reason: Reason,
    },
}

impl Verdict {
    /// 2xx is taken, 429 and everything else that is no 5xx is final, 5xx and no answer may pass.
    fn of(outcome: &Result<Answer, Failure>) -> Verdict {
        match outcome {
            Ok(answer) => match answer.status {
                200..=299 => Verdict::Sent,
                429 => Verdict::Drop(Reason::RateLimited),
                500..=599 => Verdict::Retry { counts: true, reason: Reason::SendError },
                _ => Verdict::Drop(Reason::SendError),
            },
            Err(Failure::Unreached(_)) => Verdict::Retry { counts: false, reason: Reason::NetworkError },
            Err(Failure::Broken(_)) => Verdict::Retry { counts: true, reason: Reason::NetworkError },
        }
    }
}

/// Whether the server never took the event, which is then one for the spool: a 500 may be the event's fault.
fn is_untaken(outcome: &Result<Answer, Failure>) -> bool {
    outcome.as_ref().map_or(true, |answer| (502..=504).contains(&answer.status))
}

/// Where envelopes go.
#[derive(Default)]
struct Target {
    /// `None` if they need no server.
    dsn: Option<Arc<Dsn>>,
    url: String,
    auth: String,
}

impl Target {
    fn new(dsn: Arc<Dsn>) -> Target {
        Target { url: dsn.envelope_url(), auth: dsn.auth_header(SDK), dsn: Some(dsn) }
    }

    /// `text` without the keys, should the server have said them.
    fn redact(&self, text: &str) -> String {
        let keys = self.dsn.iter().flat_map(|dsn| [Some(dsn.public_key()), dsn.secret()]);
        // A key of a letter or two is a test's, and would make any text unreadable.
        let keys = keys.flatten().filter(|key| key.len() >= 8);
        keys.fold(text.to_owned(), |text, key| text.replace(key, "[Filtered]"))
    }
}

/// Makes requests for one connection.
pub struct Courier {
    pub outbox: Arc<Outbox>,
    pub spool: SharedSpool,
    target: Option<Target>,
    desk: Arc<Desk>,
    /// Packs the next event.
    meanwhile: Meanwhile,
    /// The body of the event in hand, if it was packed ahead.
    prepared: Option<Prepared>,
    /// What is on its way; kept here, so that a panic does not lose count of it.
    entry: Option<Entry>,
    letter: Option<Letter>,
    taken: Option<Taken>,
    /// When the last client report left, on its own or with an event.
    pub reported_at: Instant,
}

impl Courier {
    pub fn new(outbox: Arc<Outbox>, spool: SharedSpool) -> Courier {
        let (desk, reported_at) = (Arc::new(Desk::new(outbox.clone())), outbox.clock.now());
        let ahead = desk.clone();
        let meanwhile = Meanwhile::new(move || ahead.prepare());
        let (target, prepared, entry, letter, taken) = Default::default();
        Courier { outbox, spool, target, desk, meanwhile, prepared, entry, letter, taken, reported_at }
    }

    /// Whether it knows where to send to.
    pub fn has_target(&self) -> bool {
        self.target.is_some()
    }

    /// Sends to that DSN from now on; without one, to what needs none.
    pub fn aim(&mut self, dsn: Option<Arc<Dsn>>) {
        self.desk.aim(dsn.clone());
        self.target = Some(dsn.map_or_else(Target::default, Target::new));
    }

    /// What to do next: the event that was packed ahead, or what the queue says, as [`Queue::next`].
    ///
    /// [`Queue::next`]: crate::queue::Queue::next
    pub fn next(&mut self, asker: Asker, gate: Gate, alarm: Instant) -> Next {
        self.prepared = None;
        if let Some((entry, prepared)) = self.desk.take_held() {
            match self.outbox.queue.resume(entry, gate, &*self.outbox.clock) {
                Ok(next) => {
                    self.prepared = prepared;
                    return next;
                }
                Err(evicted) => self.lose_evicted(evicted, self.outbox.clock.now()),
            }
        }
        self.outbox.queue.next(asker, gate, alarm, &*self.outbox.clock)
    }

    /// Whether it has an event that was packed ahead.
    pub fn holds(&self) -> bool {
        self.desk.holds()
    }

    /// Puts what was packed ahead back into the queue.
    pub fn release(&self, now: Instant) {
        if let Some((entry, _)) = self.desk.take_held()
            && let Err(evicted) = self.outbox.queue.resume(entry, Gate::ShutUntil(now), &*self.outbox.clock)
        {
            self.lose_evicted(evicted, now);
        }
    }

    /// Posts an event, and with it what there is to report.
    pub fn deliver(&mut self, mut entry: Entry) {
        let outbox = self.outbox.clone();
        let now = outbox.clock.now();
        entry.posts += 1;
        if entry.posts > 1 {
            outbox.stats.add(Counter::Retries, 1);
        }
        self.entry = Some(entry);
        self.take_report(now);
        let outcome = self.post(now);
        self.settle_report(&outcome);
        self.settle(Verdict::of(&outcome), is_untaken(&outcome));
    }

    /// Posts the oldest event of the spool.
    pub fn deliver_spooled(&mut self, now: Instant) {
        let outbox = self.outbox.clone();
        self.letter = self.spool.lock().as_mut().and_then(|spool| spool.take(now));
        if self.letter.is_none() {
            return;
        }
        outbox.stats.add(Counter::Retries, 1);
        self.take_report(now);
        let was_failing = outbox.pace().backoff.is_failing();
        let outcome = self.post(now);
        self.settle_report(&outcome);
        let fate = match Verdict::of(&outcome) {
            Verdict::Sent => Fate::Sent,
            Verdict::Drop(reason) => Fate::Dropped(reason),
            Verdict::Retry { counts, reason } => Fate::Kept { counts: counts && !was_failing, reason },
        };
        self.settle_spooled(fate);
    }

    /// Posts what was lost, alone. Its counts come back if it does not arrive.
    pub fn send_report(&mut self, now: Instant) {
        self.reported_at = now;
        self.taken = self.outbox.report.take(self.outbox.clock.wall());
        if self.taken.is_some() {
            self.outbox.stats.add(Counter::Reports, 1);
            let outcome = self.post(now);
            self.settle_report(&outcome);
        }
    }

    /// Takes along what there is to report. A body that is packed already would have to be packed anew for it, so
    /// then only now and then: in a flood there is something with every event.
    fn take_report(&mut self, now: Instant) {
        if self.prepared.is_some() && now.saturating_duration_since(self.reported_at) < RIDE_INTERVAL {
            return;
        }
        self.taken = self.outbox.report.take(self.outbox.clock.wall());
        if self.taken.is_some() {
            self.reported_at = now;
        }
    }

    fn settle_spooled(&mut self, fate: Fate) {
        if let (Some(letter), Some(spool)) = (self.letter.take(), &mut *self.spool.lock()) {
            spool.settle(&letter, fate, self.outbox.clock.now());
        }
    }

    /// Whether events can go to the spool now; one whose folder could not be had is tried again.
    pub fn can_spool(&self, now: Instant) -> bool {
        let Some(dsn) = self.target.as_ref().and_then(|target| target.dsn.as_ref()) else { return false };
        self.spool.lock().as_mut().is_some_and(|spool| spool.is_usable(dsn, now))
    }

    /// Puts a copy of the event in hand into the spool; `false` if it has to stay in memory.
    fn spool(&mut self, now: Instant) -> bool {
        if !self.can_spool(now) {
            return false;
        }
        let Some(entry) = &self.entry else { return false };
        let (at, id) = (entry.record.at, entry.record.id);
        let keep = |json: &[u8]| self.spool.lock().as_mut().is_some_and(|spool| spool.keep(at, id, json, now));
        self.desk.event(entry, keep).unwrap_or_default()
    }

    /// Moves the oldest event of the queue to the spool; `false` if there is none, or no room for it.
    pub fn spool_oldest(&mut self, now: Instant) -> bool {
        self.entry = self.outbox.queue.take_oldest();
        let spooled = self.spool(now);
        match self.entry.take() {
            Some(entry) if spooled => self.outbox.queue.settle(&entry, false),
            Some(entry) => self.put_back(entry, now),
            None => {}
        }
        spooled
    }

    fn put_back(&self, entry: Entry, now: Instant) {
        self.lose_evicted(self.outbox.queue.put_back(entry), now);
    }

    /// Counts what had to go for an event that came back.
    fn lose_evicted(&self, evicted: Vec<Entry>, now: Instant) {
        let reason = if self.outbox.queue.has_ended() { Reason::Closed } else { Reason::QueueOverflow };
        self.outbox.lose_all(reason, evicted, now);
    }

    /// Makes one request of the event and the report in hand, and takes in what the answer says about
    /// the pace.
    fn post(&mut self, now: Instant) -> Result<Answer, Failure> {
        let outbox = self.outbox.clone();
        let Some(target) = &self.target else { return Err(Failure::Unreached("no dsn".to_owned())) };
        let report = self.taken.as_ref().map(Taken::payload);
        let load = match (&self.letter, &self.entry) {
            (Some(letter), _) => Load::Letter(letter),
            (None, Some(entry)) => Load::Event(entry),
            (None, None) => Load::Report,
        };
        let parcel = self.desk.pack(load, report, self.prepared.take(), outbox.clock.wall());
        let timeout = match outbox.queue.drain_deadline() {
            Some(deadline) => outbox.settings.server.timeout.min(deadline.saturating_duration_since(now)),
            None => outbox.settings.server.timeout,
        };
        outbox.stats.add(Counter::Requests, 1);
        outbox.stats.add(Counter::BodyBytes, parcel.bytes.len() as u64);
        let Parcel { bytes: body, encoding: content_encoding } = &parcel;
        let meanwhile = Some(&self.meanwhile);
        let post = Post { url: &target.url, auth: &target.auth, content_encoding: *content_encoding, body, meanwhile };
        let outcome = outbox.transport.post(&post, timeout.max(Duration::from_millis(1)));
        let after = outbox.clock.now();
        // A try that comes again is none to copy.
        if let Some(spotlight) = &outbox.spotlight
            && !matches!(Verdict::of(&outcome), Verdict::Retry { .. })
        {
            spotlight.copy(&parcel, &outbox);
        }
        self.desk.give_back(parcel);
        match &outcome {
            Ok(answer) => self.take_in(answer, now, after),
            Err(Failure::Unreached(text) | Failure::Broken(text)) => {
                self.fail(text, now, after);
                outbox.stats.add(Counter::Unanswered, 1);
            }
        }
        outcome
    }

    fn take_in(&self, answer: &Answer, began: Instant, now: Instant) {
        let outbox = &self.outbox;
        let took = now.saturating_duration_since(began);
        outbox.stats.add(counter_of(answer.status), 1);
        outbox.stats.add(Counter::AnswerMicros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let headers =
            LimitHeaders { rate_limits: answer.rate_limits.as_deref(), retry_after: answer.retry_after.as_deref() };
        let (waiting, _) = outbox.queue.load();
        let (limited, width) = {
            let mut pace = outbox.pace();
            pace.times.add(took);
            if (200..300).contains(&answer.status) {
                // A refusal is often quicker than a server that works.
                pace.pacer.answered(took, waiting, now);
            }
            pace.limits.update(answer.status, headers, now, outbox.clock.wall());
            outbox.publish_limits(&pace, now);
            (pace.limits.until(Category::Error, now), pace.pacer.width())
        };
        outbox.queue.set_width(width);
        if let Some(until) = limited {
            let left = (until - now).as_secs_f64().ceil();
            outbox.note(Topic::RateLimited, now, format_args!("rate limited for {left} s, dropping events"));
        }
        let complaint = || {
            let complaint = answer.complaint.as_deref().unwrap_or("no explanation");
            self.target.as_ref().map_or_else(String::new, |target| target.redact(complaint))
        };
        match answer.status {
            200..=299 | 429 => self.succeed(began, now),
            500..=599 => self.fail(&format!("http {}: {}", answer.status, complaint()), began, now),
            status => {
                self.succeed(began, now);
                let text = format!("http {status}: {}", complaint());
                outbox.note(Topic::Refused, now, format_args!("event refused, {text}"));
                outbox.fault(&text);
            }
        }
    }

    fn succeed(&self, began: Instant, now: Instant) {
        let failures = self.outbox.pace().backoff.succeed(began);
        if failures > 0 {
            let text = format_args!("server answers again, after {failures} failed tries");
            self.outbox.note(Topic::Answered, now, text);
        }
    }

    fn fail(&self, text: &str, began: Instant, now: Instant) {
        let pause = {
            let mut pace = self.outbox.pace();
            pace.pacer.failed();
            pace.backoff.fail(began, now, (self.outbox.random)())
        };
        self.outbox.queue.set_width(1);
        // What failed comes first again.
        self.release(now);
        self.outbox.fault(&text);
        if let Some(pause) = pause {
            let text = format_args!("sending failed, {text}, next try in {:.1} s", pause.as_secs_f64());
            self.outbox.note(Topic::Unanswered, now, text);
        }
    }

    /// A report that has arrived is done; any other is put back.
    fn settle_report(&mut self, outcome: &Result<Answer, Failure>) {
        let arrived = Verdict::of(outcome) == Verdict::Sent;
        if let Some(taken) = self.taken.take()
            && !arrived
        {
            self.outbox.report.put_back(&taken);
        }
    }

    fn settle(&mut self, verdict: Verdict, untaken: bool) {
        let now = self.outbox.clock.now();
        let lost = match verdict {
            Verdict::Sent => None,
            Verdict::Drop(reason) => Some(reason),
            Verdict::Retry { counts, reason } => self.fails_for_good(counts).then_some(reason),
        };
        let retried = lost.is_none() && verdict != Verdict::Sent;
        let spooled = retried && untaken && self.spool(now);
        let Some(entry) = self.entry.take() else { return };
        if let Some(reason) = lost {
            self.drop_entry(&entry, reason);
        } else if retried && !spooled {
            self.put_back(entry, now);
        } else {
            self.outbox.stats.add(Counter::Sent, u64::from(!spooled));
            self.outbox.queue.settle(&entry, !spooled);
        }
    }

    /// Whether the event in hand, not taken once more, is not to be tried again.
    fn fails_for_good(&mut self, counts: bool) -> bool {
        let Some(entry) = &mut self.entry else { return false };
        entry.tries += u32::from(counts);
        let age = self.outbox.clock.wall().duration_since(entry.record.at).unwrap_or_default();
        entry.tries >= MAX_TRIES || age > MAX_AGE
    }

    fn drop_entry(&self, entry: &Entry, reason: Reason) {
        self.outbox.lose(reason, 1);
        self.outbox.queue.settle(entry, false);
    }

    /// After a panic: whatever was half done is given up.
    pub fn recover(&mut self) {
        let now = self.outbox.clock.now();
        self.outbox.stats.add(Counter::Panics, 1);
        self.outbox.note(Topic::Panic, now, format_args!("sender panicked, going on"));
        if let Some(entry) = self.entry.take() {
            self.drop_entry(&entry, Reason::InternalSdkError);
        }
        self.settle_spooled(Fate::Dropped(Reason::InternalSdkError));
        if let Some(taken) = self.taken.take() {
            self.outbox.report.put_back(&taken);
        }
        self.prepared = None;
        self.desk.tidy();
        self.release(now);
        self.outbox.pace().backoff.fail(now, now, (self.outbox.random)());
        // Should it do nothing but panic, it must not do so without end at full speed.
        thread::sleep(Duration::from_millis(100));
    }
}

fn counter_of(status: u16) -> Counter {
    match status {
        200..=299 => Counter::Answers2xx,
        429 => Counter::Answers429,
        400..=499 => Counter::Answers4xx,
        500..=599 => Counter::Answers5xx,
        _ => Counter::AnswersOther,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Result<Answer, Failure> {
        Ok(Answer { status, ..Answer::default() })
    }

    #[test]
    fn each_outcome_has_its_verdict() {
        let retry = |counts, reason| Verdict::Retry { counts, reason };
        let table = [
            (status(200), Verdict::Sent),
            (status(299), Verdict::Sent),
            (status(429), Verdict::Drop(Reason::RateLimited)),
            (status(400), Verdict::Drop(Reason::SendError)),
            (status(413), Verdict::Drop(Reason::SendError)),
            (status(302), Verdict::Drop(Reason::SendError)),
            (status(101), Verdict::Drop(Reason::SendError)),
            (status(500), retry(true, Reason::SendError)),
            (status(503), retry(true, Reason::SendError)),
            (Err(Failure::Unreached(String::new())), retry(false, Reason::NetworkError)),
            (Err(Failure::Broken(String::new())), retry(true, Reason::NetworkError)),
        ];
        for (outcome, verdict) in table {
            assert_eq!(Verdict::of(&outcome), verdict, "{outcome:?}");
        }
    }
}
