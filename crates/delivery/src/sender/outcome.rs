// SPDX-License-Identifier: BSD-2-Clause
//! What comes back: outcomes of requests, and what they mean for the server and for what was sent.

use std::time::{Duration, Instant, SystemTime};

use protocol::category::Categories;
use protocol::entry::Entry;
use protocol::rate_limits::LimitHeaders;
use protocol::reason::Reason;

use super::cargo::Cargo;
use super::connections::InFlight;
use super::machine::Machine;
use super::message::Action;
use super::verdict::{Verdict, counter_of, is_untaken};
use crate::connection::request::{Answer, Failure, Outcome};
use crate::counters::{Counter, Tally};
use crate::journal::Topic;
use crate::queue::{Queued, going};
use crate::spool::operation::Fate;

/// Posts of an entry that may fail at the server. Those that never reach it are not counted: then it is not the entry's fault, and the queue
/// is bounded anyway.
const MAX_TRIES: u32 = 10;
/// Sentry takes no event older than 30 days.
const MAX_AGE: Duration = Duration::from_secs(29 * 24 * 60 * 60);

impl Machine {
    /// Takes in what came of a request, unless that was given up before.
    pub(super) fn land(&mut self, outcome: Outcome, now: Instant, wall: SystemTime) {
        let Outcome { ticket, result, reconnects, took, body } = outcome;
        let Some(in_flight) = self.connections.land(ticket, now) else { return };
        // Each is one more request, which had no answer.
        for counter in [Counter::Reconnects, Counter::Requests, Counter::Unanswered] {
            self.state.ledger.add(counter, reconnects.into());
        }
        if body.bytes.is_empty() {
            self.fall(in_flight, now);
            return;
        }
        let is_final = !matches!(Verdict::of(&result), Verdict::Retry { .. });
        self.conclude(in_flight, &result, took, now, wall);
        // A try that comes again is none to copy.
        if is_final && self.state.settings.spotlight.is_some() {
            self.actions.push(Action::Copy(body));
        } else {
            self.reuse(body);
        }
    }

    /// Gives up what has had its time and brought no outcome: their connections are broken.
    pub(super) fn expire(&mut self, now: Instant, wall: SystemTime) {
        while let Some((place, in_flight)) = self.connections.expired(now) {
            self.actions.extend([Action::Abort(place), Action::Stop(place)]);
            let took = now.saturating_duration_since(in_flight.began);
            self.conclude(in_flight, &Err(Failure::Broken("no answer in time".to_owned())), took, now, wall);
        }
    }

    /// A connection has panicked.
    fn fall(&mut self, in_flight: InFlight, now: Instant) {
        self.state.count_panic(now);
        self.state.ledger.add(Counter::Unanswered, 1);
        if let Some(server) = self.routes.server_mut(in_flight.load.route) {
            server.breaker.fail(in_flight.began, now, (self.state.random)());
            server.pacer.failed();
        }
        self.discard(in_flight.load, Reason::InternalSdkError);
    }

    fn conclude(
        &mut self,
        in_flight: InFlight,
        result: &Result<Answer, Failure>,
        took: Duration,
        now: Instant,
        wall: SystemTime,
    ) {
        self.is_ahead_spent = false;
        let route = in_flight.load.route;
        let was_failing = self.routes.look(route, now, None).is_failing;
        match result {
            Ok(answer) => self.take_in(&in_flight, answer, took, now, wall),
            Err(Failure::Unreached(text) | Failure::Broken(text)) => {
                self.state.ledger.add(Counter::Unanswered, 1);
                self.fail(&in_flight, text, now);
            }
        }
        let verdict = Verdict::of(result);
        if verdict != Verdict::Sent {
            self.put_report_back(&in_flight.load);
        }
        match in_flight.load.cargo {
            Cargo::Queued(queued) => self.settle(queued, verdict, is_untaken(result), now, wall),
            Cargo::Spooled(spooled) => {
                let (may, parts) = (in_flight.load.may, spooled.parts());
                let fate = match verdict {
                    Verdict::Sent if going(parts, may).count() == parts.len() => Fate::Sent,
                    Verdict::Sent => Fate::SentPartly { may, reason: Reason::RatelimitBackoff },
                    Verdict::Drop(reason) => Fate::Dropped(reason),
                    Verdict::Retry { counts, reason } => Fate::Kept { counts: counts && !was_failing, reason },
                };
                self.settle_spooled(route, spooled.lease(), fate);
            }
            Cargo::Report => {}
        }
        let paces = self.routes.servers().iter().map(|server| (server.pacer.width(), server.pacer.interval()));
        let (widths, intervals): (Vec<_>, Vec<_>) = paces.unzip();
        let mut view = self.state.view();
        view.width = widths.into_iter().max().unwrap_or(1);
        view.interval = intervals.into_iter().max().unwrap_or_default();
    }

    fn take_in(&mut self, in_flight: &InFlight, answer: &Answer, took: Duration, now: Instant, wall: SystemTime) {
        let ledger = &self.state.ledger;
        ledger.add(counter_of(answer.status), 1);
        ledger.add(Counter::AnswerMicros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.state.view().times.add(took);
        if (200..300).contains(&answer.status) {
            // A refusal is often quicker than a server that works.
            let place = self.routes.get(in_flight.load.route).map(|route| route.server);
            let goes_there = |route: usize| self.routes.get(route).map(|route| route.server) == place;
            let waiting = self.state.queue.count(&|dsn| self.routes.find(dsn).is_some_and(goes_there));
            if let Some(server) = self.routes.server_mut(in_flight.load.route) {
                server.pacer.answered(took, waiting, now);
            }
        }
        self.obey(in_flight, answer, now, wall);
        let complaint = answer.complaint.as_deref().unwrap_or("no explanation");
        match answer.status {
            429 => self.succeed(in_flight, now),
            200..=299 => {
                self.succeed(in_flight, now);
                if answer.complaint.is_some() {
                    let text = format!("http {}: {complaint}", answer.status);
                    self.state.note(Topic::SlowAnswer, now, format_args!("sent, {text}"));
                    self.state.fault(text);
                }
            }
            500..=599 => {
                let text = format!("http {}: {complaint}", answer.status);
                self.fail(in_flight, &text, now);
            }
            status => {
                let text = format!("http {status}: {complaint}");
                self.succeed(in_flight, now);
                self.state.note(Topic::Refused, now, format_args!("event refused, {text}"));
                self.state.fault(text);
            }
        }
    }

    /// Takes in the limits that an answer sets, and drops what waits and may not leave any more.
    fn obey(&mut self, in_flight: &InFlight, answer: &Answer, now: Instant, wall: SystemTime) {
        let Some(route) = self.routes.get(in_flight.load.route) else { return };
        let Some(destination) = &route.destination else { return };
        let headers =
            LimitHeaders { rate_limits: answer.rate_limits.as_deref(), retry_after: answer.retry_after.as_deref() };
        let newly = destination.update(answer.status, headers, now, wall);
        if let Some(until) = destination.until(in_flight.load.cargo.category(), now) {
            let left = (until - now).as_secs_f64().ceil();
            self.state.note(Topic::RateLimited, now, format_args!("rate limited for {left} s, dropping events"));
        }
        if newly == Categories::NONE {
            return;
        }
        let stays = |queued: &Queued| going(queued.entry.parts(), destination.may_leave(queued.may, now)).count() > 0;
        let is_home = self.routes.home() == Some(in_flight.load.route);
        let swept = if is_home { self.state.queue.sweep(None, &|queued| !stays(queued)) } else { Vec::new() };
        self.state.lose_all(Reason::RatelimitBackoff, &swept, now);
        let swept = self.state.queue.sweep(route.dsn.as_ref(), &|queued| !stays(queued));
        self.state.lose_all(Reason::RatelimitBackoff, &swept, now);
    }

    fn succeed(&self, in_flight: &InFlight, now: Instant) {
        let Some(server) = self.routes.server(in_flight.load.route) else { return };
        let failures = server.breaker.succeed(in_flight.began);
        if failures > 0 {
            let text = format_args!("server answers again, after {failures} failed tries");
            self.state.note(Topic::Answered, now, text);
        }
    }

    /// A request that we have ended ourselves says nothing of the server.
    fn fail(&mut self, in_flight: &InFlight, text: &str, now: Instant) {
        let server = self.routes.server_mut(in_flight.load.route);
        let Some(server) = server.filter(|_| !in_flight.is_aborted) else { return };
        server.pacer.failed();
        let pause = server.breaker.fail(in_flight.began, now, (self.state.random)());
        self.state.fault(text.to_owned());
        if let Some(pause) = pause {
            let text = format_args!("sending failed, {text}, next try in {:.1} s", pause.as_secs_f64());
            self.state.note(Topic::Unanswered, now, text);
        }
    }

    /// Brings an entry that was sent to its end, to the spool, or back into the queue.
    fn settle(&mut self, mut queued: Queued, verdict: Verdict, is_untaken: bool, now: Instant, wall: SystemTime) {
        let lost = match verdict {
            Verdict::Sent => None,
            Verdict::Drop(reason) => Some(reason),
            Verdict::Retry { counts, reason } => {
                queued.tries += u32::from(counts);
                let age = wall.duration_since(queued.entry.at()).unwrap_or_default();
                (queued.tries >= MAX_TRIES || age > MAX_AGE).then_some(reason)
            }
        };
        if let Some(reason) = lost {
            self.state.lose(&queued, reason);
            self.state.queue.settle(&queued, false);
        } else if verdict == Verdict::Sent {
            queued.left().for_each(|part| queued.ledger.tell(part.category, Tally::Sent, part.quantity));
            self.state.queue.settle(&queued, true);
        } else {
            let kept = if is_untaken { self.keep(queued, now, wall) } else { Err(queued) };
            kept.unwrap_or_else(|queued| self.put_back(queued));
        }
    }
}
