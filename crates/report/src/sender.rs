// SPDX-License-Identifier: BSD-2-Clause
//! The thread that takes events out of the queue, posts them, and obeys what the server says.
//!
//! It runs under `catch_unwind` and ends when the queue is drained after [`Queue::drain`](crate::queue::Queue::drain).

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::client_report::{Reason, Taken};
use crate::dsn::Dsn;
use crate::identity::SDK;
use crate::journal::Topic;
use crate::limits::{Category, LimitHeaders};
use crate::outbox::Outbox;
use crate::packer::Packer;
use crate::queue::{Entry, Gate, Next};
use crate::scrub::Scrub;
use crate::spool::{Fate, Letter, Spool};
use crate::stats::Counter;
use crate::transport::{Answer, Failure, Post};

/// Posts of an event that may fail at the server. Those that never reach it are not counted: then it is
/// not the event's fault, and the queue is bounded anyway.
const MAX_TRIES: u32 = 10;
/// Sentry takes no event older than 30 days.
const MAX_AGE: Duration = Duration::from_secs(29 * 24 * 60 * 60);
/// Between two client reports that travel alone.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// Between two looks at a `dsn_file` that gave no DSN.
const DSN_INTERVAL: Duration = Duration::from_secs(10);

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
struct Target {
    dsn: Arc<Dsn>,
    url: String,
    auth: String,
}

impl Target {
    fn new(dsn: Arc<Dsn>) -> Target {
        Target { url: dsn.envelope_url(), auth: dsn.auth_header(SDK), dsn }
    }

    /// `text` without the keys, should the server have said them.
    fn redact(&self, text: &str) -> String {
        let keys = [Some(self.dsn.public_key()), self.dsn.secret()];
        // A key of a letter or two is a test's, and would make any text unreadable.
        let keys = keys.into_iter().flatten().filter(|key| key.len() >= 8);
        keys.fold(text.to_owned(), |text, key| text.replace(key, "[Filtered]"))
    }
}

/// The sender of one client.
pub struct Sender {
    outbox: Arc<Outbox>,
    target: Option<Target>,
    packer: Packer,
    /// When to look at the `dsn_file` again.
    dsn_at: Instant,
    /// When the last client report left, on its own or with an event.
    reported_at: Instant,
    /// What is on its way; kept here, so that a panic does not lose count of it.
    entry: Option<Entry>,
    letter: Option<Letter>,
    taken: Option<Taken>,
    spool: Option<Spool>,
}

impl Sender {
    pub fn new(outbox: Arc<Outbox>) -> Sender {
        let now = outbox.clock.now();
        let packer = packer_for(&outbox);
        let spool = Spool::new(&outbox);
        Sender {
            outbox,
            target: None,
            packer,
            dsn_at: now,
            reported_at: now,
            entry: None,
            letter: None,
            taken: None,
            spool,
        }
    }

    /// Sends until the queue has ended. A panic is counted, costs the event that was being sent, and is
    /// followed by a pause as after any failure.
    pub fn run(mut self) {
        while panic::catch_unwind(AssertUnwindSafe(|| self.send_all())).is_err() {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.recover()));
        }
        let drained = panic::catch_unwind(AssertUnwindSafe(|| self.finish())).unwrap_or(false);
        let outbox = self.outbox.clone();
        // Whoever waits for the end may want the spool's folder.
        drop(self);
        outbox.queue.end(drained);
    }

    fn send_all(&mut self) {
        while self.step() {}
    }

    /// Does what is due, or waits until something is; `false` at the end.
    fn step(&mut self) -> bool {
        let outbox = self.outbox.clone();
        let now = outbox.clock.now();
        self.find_target(now);
        let gate = self.gate(now);
        self.relieve_queue(gate, now);
        let can_ride = gate == Gate::Open && outbox.queue.load().0 > 0;
        if !can_ride && self.target.is_some() && self.report_due(now).is_some_and(|due| due <= now) {
            self.send_report(now);
            return true;
        }
        let mut alarm = self.alarm(now);
        if gate == Gate::Open
            && let Some(due) = self.spool_due()
        {
            if due <= now {
                self.deliver_spooled(now);
                return true;
            }
            alarm = alarm.min(due);
        }
        match outbox.queue.next(gate, alarm, &*outbox.clock) {
            Next::Send(entry) => self.deliver(entry),
            Next::Look => {}
            Next::End => return false,
        }
        true
    }

    fn find_target(&mut self, now: Instant) {
        if self.target.is_none() && now >= self.dsn_at {
            self.target = self.outbox.read_dsn(now).map(Target::new);
            self.dsn_at = now + DSN_INTERVAL;
        }
    }

    /// When the next event may be sent. Without a DSN or under a limit events are dropped, not kept.
    fn gate(&self, now: Instant) -> Gate {
        let outbox = &self.outbox;
        if self.target.is_none() {
            outbox.lose_all(Reason::NoDsn, outbox.queue.clear(), now);
            return Gate::ShutUntil(self.dsn_at);
        }
        let limit = outbox.pace().limits.until(Category::Error, now);
        if let Some(until) = limit {
            outbox.lose_all(Reason::RatelimitBackoff, outbox.queue.clear(), now);
            return Gate::ShutUntil(until);
        }
        let waiter = outbox.queue.waiter();
        match outbox.pace().backoff.until(now, waiter) {
            Some(until) => Gate::ShutUntil(until),
            None => Gate::Open,
        }
    }

    /// When to look again, even if nothing happens: captures that are refused do not wake the sender, so
    /// it comes by itself to see whether there is something to report.
    fn alarm(&self, now: Instant) -> Instant {
        let due = self.report_due(now).unwrap_or(now + REPORT_INTERVAL);
        if self.target.is_none() {
            return due.max(self.dsn_at);
        }
        let spool = self.spool.as_ref().and_then(|spool| spool.alarm(now));
        spool.map_or(due, |at| due.min(at))
    }

    /// When a client report may travel alone; `None` if there is nothing to report.
    fn report_due(&self, now: Instant) -> Option<Instant> {
        if !self.outbox.report.is_pending() {
            return None;
        }
        let pace = self.outbox.pace();
        let pauses = [pace.limits.until(Category::Internal, now), pace.backoff.until(now, None)];
        Some(pauses.into_iter().flatten().fold(self.reported_at + REPORT_INTERVAL, Instant::max))
    }

    /// Posts what was lost, alone. Its counts come back if it does not arrive.
    fn send_report(&mut self, now: Instant) {
        self.reported_at = now;
        self.taken = self.outbox.report.take(self.outbox.clock.wall());
        if self.taken.is_some() {
            self.outbox.stats.add(Counter::Reports, 1);
            let outcome = self.post(now);
            self.settle_report(&outcome);
        }
    }

    fn deliver(&mut self, mut entry: Entry) {
        let outbox = self.outbox.clone();
        let now = outbox.clock.now();
        entry.posts += 1;
        if entry.posts > 1 {
            outbox.stats.add(Counter::Retries, 1);
        }
        self.entry = Some(entry);
        self.taken = outbox.report.take(outbox.clock.wall());
        if self.taken.is_some() {
            self.reported_at = now;
        }
        let outcome = self.post(now);
        self.settle_report(&outcome);
        self.settle(Verdict::of(&outcome), is_untaken(&outcome));
    }

    /// When to send an event from the spool. While the server fails it is tried with a fresh one, if there is
    /// one; and at the end what is on disk stays there.
    fn spool_due(&self) -> Option<Instant> {
        let queue = &self.outbox.queue;
        if queue.drain_deadline().is_some() || queue.is_fuller_than(1, 2) {
            return None;
        }
        let is_quiet = queue.load().0 == 0;
        if !is_quiet && self.outbox.pace().backoff.is_failing() {
            return None;
        }
        self.spool.as_ref()?.due(is_quiet)
    }

    fn deliver_spooled(&mut self, now: Instant) {
        let outbox = self.outbox.clone();
        self.letter = self.spool.as_mut().and_then(|spool| spool.take(now));
        if self.letter.is_none() {
            return;
        }
        outbox.stats.add(Counter::Retries, 1);
        self.taken = outbox.report.take(outbox.clock.wall());
        if self.taken.is_some() {
            self.reported_at = now;
        }
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

    fn settle_spooled(&mut self, fate: Fate) {
        if let (Some(letter), Some(spool)) = (self.letter.take(), &mut self.spool) {
            spool.settle(&letter, fate, self.outbox.clock.now());
        }
    }

    /// Whether events can go to the spool now; one whose folder could not be had is tried again.
    fn can_spool(&mut self, now: Instant) -> bool {
        let (Some(spool), Some(target)) = (&mut self.spool, &self.target) else { return false };
        spool.is_usable(&target.dsn, now)
    }

    /// Puts a copy of an event into the spool; `false` if it has to stay in memory.
    fn spool(&mut self, entry: &Entry, now: Instant) -> bool {
        if !self.can_spool(now) {
            return false;
        }
        let (Some(spool), Some(json)) = (&mut self.spool, self.packer.event(&entry.record)) else { return false };
        spool.keep(entry.record.at, entry.record.id, json, now)
    }

    /// While the server fails, makes room in a queue that is three quarters full: the older half goes to disk.
    fn relieve_queue(&mut self, gate: Gate, now: Instant) {
        if self.spool.is_none() {
            return;
        }
        let can_spool = self.can_spool(now);
        let is_failing = gate != Gate::Open && self.outbox.pace().backoff.is_failing();
        self.outbox.queue.watch(can_spool && is_failing);
        if can_spool && is_failing && self.outbox.queue.is_fuller_than(3, 4) {
            while self.outbox.queue.is_fuller_than(1, 2) && self.spool_oldest(now) {}
        }
    }

    /// Moves the oldest event of the queue to the spool; `false` if there is none, or no room for it.
    fn spool_oldest(&mut self, now: Instant) -> bool {
        let Some(entry) = self.outbox.queue.take_oldest() else { return false };
        let spooled = self.spool(&entry, now);
        if spooled {
            self.outbox.queue.settle(&entry, false);
        } else {
            let evicted = self.outbox.queue.put_back(entry);
            self.outbox.lose_all(Reason::QueueOverflow, evicted, now);
        }
        spooled
    }

    /// Makes one request of the event and the report in hand, and takes in what the answer says about
    /// the pace.
    fn post(&mut self, now: Instant) -> Result<Answer, Failure> {
        let outbox = self.outbox.clone();
        let Some(target) = &self.target else { return Err(Failure::Unreached("no dsn".to_owned())) };
        let report = self.taken.as_ref().map(Taken::payload);
        let record = self.entry.as_ref().map(|entry| &entry.record);
        let wall = outbox.clock.wall();
        let body = match &self.letter {
            Some(letter) => self.packer.pack_json(letter.id, &letter.json, report, wall),
            None => self.packer.pack(record, report, wall),
        };
        let timeout = match outbox.queue.drain_deadline() {
            Some(deadline) => outbox.settings.timeout.min(deadline.saturating_duration_since(now)),
            None => outbox.settings.timeout,
        };
        outbox.stats.add(Counter::Requests, 1);
        outbox.stats.add(Counter::BodyBytes, body.bytes.len() as u64);
        let post = Post { url: &target.url, auth: &target.auth, content_encoding: body.encoding, body: body.bytes };
        let outcome = outbox.transport.post(&post, timeout.max(Duration::from_millis(1)));
        let after = outbox.clock.now();
        match &outcome {
            Ok(answer) => self.take_in(answer, after.saturating_duration_since(now), after),
            Err(Failure::Unreached(text) | Failure::Broken(text)) => {
                self.fail(text, after);
                outbox.stats.add(Counter::Unanswered, 1);
            }
        }
        outcome
    }

    fn take_in(&self, answer: &Answer, took: Duration, now: Instant) {
        let outbox = &self.outbox;
        outbox.stats.add(counter_of(answer.status), 1);
        outbox.stats.add(Counter::AnswerMicros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let headers =
            LimitHeaders { rate_limits: answer.rate_limits.as_deref(), retry_after: answer.retry_after.as_deref() };
        let limited = {
            let mut pace = outbox.pace();
            pace.times.add(took);
            pace.limits.update(answer.status, headers, now, outbox.clock.wall());
            outbox.publish_limits(&pace, now);
            pace.limits.until(Category::Error, now)
        };
        if let Some(until) = limited {
            let left = (until - now).as_secs_f64().ceil();
            outbox.note(Topic::RateLimited, now, format_args!("rate limited for {left} s, dropping events"));
        }
        let complaint = answer.complaint.as_deref().unwrap_or("no explanation");
        let complaint = self.target.as_ref().map_or_else(String::new, |target| target.redact(complaint));
        match answer.status {
            200..=299 | 429 => self.succeed(now),
            500..=599 => self.fail(&format!("http {}: {complaint}", answer.status), now),
            status => {
                self.succeed(now);
                let text = format!("http {status}: {complaint}");
                outbox.note(Topic::Refused, now, format_args!("event refused, {text}"));
                outbox.fault(&text);
            }
        }
    }

    fn succeed(&self, now: Instant) {
        let failures = self.outbox.pace().backoff.succeed();
        if failures > 0 {
            let text = format_args!("server answers again, after {failures} failed tries");
            self.outbox.note(Topic::Answered, now, text);
        }
    }

    fn fail(&self, text: &str, now: Instant) {
        let pause = self.outbox.pace().backoff.fail(now, (self.outbox.random)());
        self.outbox.fault(&text);
        let seconds = pause.as_secs_f64();
        self.outbox.note(Topic::Unanswered, now, format_args!("sending failed, {text}, next try in {seconds:.1} s"));
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
        let Some(mut entry) = self.entry.take() else { return };
        match verdict {
            Verdict::Sent => {
                self.outbox.stats.add(Counter::Sent, 1);
                self.outbox.queue.settle(&entry, true);
            }
            Verdict::Drop(reason) => self.drop_entry(&entry, reason),
            Verdict::Retry { counts, reason } => {
                entry.tries += u32::from(counts);
                let age = self.outbox.clock.wall().duration_since(entry.record.at).unwrap_or_default();
                if entry.tries >= MAX_TRIES || age > MAX_AGE {
                    self.drop_entry(&entry, reason);
                } else if untaken && self.spool(&entry, self.outbox.clock.now()) {
                    self.outbox.queue.settle(&entry, false);
                } else {
                    let evicted = self.outbox.queue.put_back(entry);
                    self.outbox.lose_all(Reason::QueueOverflow, evicted, self.outbox.clock.now());
                }
            }
        }
    }

    fn drop_entry(&self, entry: &Entry, reason: Reason) {
        self.outbox.lose(reason, 1);
        self.outbox.queue.settle(entry, false);
    }

    /// After a panic: whatever was half done is given up.
    fn recover(&mut self) {
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
        self.packer = packer_for(&self.outbox);
        self.outbox.pace().backoff.fail(now, (self.outbox.random)());
        // Should it do nothing but panic, it must not do so without end at full speed.
        thread::sleep(Duration::from_millis(100));
    }

    /// The end: what is left in the queue goes to the spool or is counted, and one last report leaves if there
    /// is time. Returns whether nothing was lost.
    fn finish(&mut self) -> bool {
        let now = self.outbox.clock.now();
        let limited = self.outbox.pace().limits.until(Category::Error, now).is_some();
        let mut spooled = 0_u64;
        while !limited && self.can_spool(now) && self.spool_oldest(now) {
            spooled += 1;
        }
        if spooled > 0 {
            self.outbox.note(Topic::Ended, now, format_args!("closed with {spooled} events in the spool"));
        }
        let left = self.outbox.queue.clear();
        let drained = left.is_empty();
        if !drained {
            self.outbox.note(Topic::Ended, now, format_args!("closed with {} events not sent", left.len()));
        }
        self.outbox.lose_all(Reason::Closed, left, now);
        let in_time = self.outbox.queue.drain_deadline().is_some_and(|deadline| now < deadline);
        let free = {
            let pace = self.outbox.pace();
            pace.limits.until(Category::Internal, now).is_none() && pace.backoff.until(now, None).is_none()
        };
        if in_time && free && self.target.is_some() && self.outbox.report.is_pending() {
            self.send_report(now);
        }
        drained
    }
}

fn packer_for(outbox: &Outbox) -> Packer {
    Packer::new(outbox.settings.identity.clone(), Scrub::new(outbox.settings.send_default_pii))
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
    use std::collections::VecDeque;
    use std::path::PathBuf;
    use std::time::SystemTime;

    use parking_lot::Mutex;

    use super::*;
    use crate::clock::Clock;
    use crate::environment::Environment;
    use crate::event_id::EventId;
    use crate::journal::Journal;
    use crate::level::Level;
    use crate::record::Record;
    use crate::settings::{Arguments, DsnSource, Settings};
    use crate::spool::folder::tests::Scratch;
    use crate::transport::Transport;

    /// A clock that only the test turns.
    struct Stopped(Mutex<(Instant, SystemTime)>);

    impl Clock for Stopped {
        fn now(&self) -> Instant {
            self.0.lock().0
        }

        fn wall(&self) -> SystemTime {
            self.0.lock().1
        }
    }

    /// Answers by script, then 200; takes 100 ms for each.
    #[derive(Default)]
    struct Script {
        outcomes: Mutex<VecDeque<Result<Answer, Failure>>>,
        posts: Mutex<Vec<(String, Duration)>>,
        clock: Mutex<Option<Arc<Stopped>>>,
    }

    impl Transport for Script {
        fn post(&self, post: &Post<'_>, timeout: Duration) -> Result<Answer, Failure> {
            self.posts.lock().push((String::from_utf8_lossy(post.body).into_owned(), timeout));
            if let Some(clock) = &*self.clock.lock() {
                clock.0.lock().0 += Duration::from_millis(100);
            }
            self.outcomes.lock().pop_front().unwrap_or_else(|| status(200))
        }

        fn abort(&self) {}
    }

    struct Silent;

    impl Journal for Silent {
        fn log(&self, _: &str) {}
    }

    fn status(status: u16) -> Result<Answer, Failure> {
        Ok(Answer { status, ..Answer::default() })
    }

    fn limited(status: u16, limits: &str) -> Result<Answer, Failure> {
        Ok(Answer { status, rate_limits: Some(limits.to_owned()), ..Answer::default() })
    }

    fn unreached() -> Result<Answer, Failure> {
        Err(Failure::Unreached("refused".to_owned()))
    }

    struct Bench {
        sender: Sender,
        script: Arc<Script>,
        clock: Arc<Stopped>,
    }

    fn bench_with(dsn: DsnSource, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
        bench_of(Arguments { dsn, ..Arguments::default() }, outcomes)
    }

    fn bench_of(arguments: Arguments, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
        let clock = Arc::new(Stopped(Mutex::new((Instant::now(), SystemTime::now()))));
        let script = Arc::new(Script { clock: Mutex::new(Some(clock.clone())), ..Script::default() });
        script.outcomes.lock().extend(outcomes);
        let environment = Environment {
            clock: clock.clone(),
            random: || 0,
            journal: Arc::new(Silent),
            mirror: None,
            transport: script.clone(),
            spawn: |_, _| Ok(()),
        };
        let settings = Settings::new(arguments).unwrap();
        let sender = Sender::new(Arc::new(Outbox::new(settings, environment)));
        Bench { sender, script, clock }
    }

    fn bench(outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
        bench_with(DsnSource::Text(Dsn::parse("http://key@host/1").unwrap()), outcomes)
    }

    impl Bench {
        fn turn(&self, seconds: f64) {
            let by = Duration::from_secs_f64(seconds);
            let mut time = self.clock.0.lock();
            *time = (time.0 + by, time.1 + by);
        }

        fn push(&self, number: u8) {
            let at = self.clock.wall();
            let record = Record::new(EventId::from_random([number; 16]), at, Level::Error, Arc::default(), |_| {});
            assert!(self.sender.outbox.queue.push(record).unwrap().is_empty());
        }

        /// Steps until a request is made, which must be at once.
        fn post(&mut self) -> String {
            let before = self.script.posts.lock().len();
            assert!(self.sender.step());
            let posts = self.script.posts.lock();
            assert_eq!(posts.len(), before + 1, "one request");
            posts.last().unwrap().0.clone()
        }

        fn posts(&self) -> usize {
            self.script.posts.lock().len()
        }

        fn gate(&mut self) -> Gate {
            let now = self.clock.now();
            self.sender.find_target(now);
            self.sender.gate(now)
        }

        fn shut_for(&mut self) -> Option<f64> {
            match self.gate() {
                Gate::Open => None,
                Gate::ShutUntil(until) => Some(until.duration_since(self.clock.now()).as_secs_f64()),
            }
        }

        fn report_due_in(&self) -> Option<f64> {
            let now = self.clock.now();
            self.sender.report_due(now).map(|due| due.saturating_duration_since(now).as_secs_f64())
        }

        fn count(&self, counter: Counter) -> u64 {
            self.sender.outbox.stats.get(counter)
        }
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
            (unreached(), retry(false, Reason::NetworkError)),
            (Err(Failure::Broken(String::new())), retry(true, Reason::NetworkError)),
        ];
        for (outcome, verdict) in table {
            assert_eq!(Verdict::of(&outcome), verdict, "{outcome:?}");
        }
    }

    #[test]
    fn a_failing_server_gets_one_probe_per_pause_whatever_waits() {
        let mut bench = bench(vec![unreached(); 4]);
        for number in 0..20 {
            bench.push(number);
        }
        for pause in [1.0, 2.0, 4.0, 8.0] {
            bench.post();
            assert_eq!(bench.shut_for(), Some(pause));
            bench.turn(pause);
        }
        assert_eq!(bench.gate(), Gate::Open);
        bench.post();
        bench.post();
        assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Retries)), (2, 4));
        assert_eq!(bench.gate(), Gate::Open);
    }

    #[test]
    fn an_event_the_server_fails_on_lets_the_others_pass_and_is_given_up_at_last() {
        let mut bench = bench(vec![status(500); 10]);
        bench.push(1);
        bench.push(2);
        assert!(bench.post().contains("0101"));
        bench.turn(60.0);
        assert!(bench.post().contains("0202"), "the other one first");
        for _ in 2..10 {
            bench.turn(60.0);
            bench.post();
        }
        bench.turn(60.0);
        assert!(bench.post().contains("0101"), "answered 200 now, in its sixth try");
        assert_eq!(bench.count(Counter::Sent), 1);

        let mut bench = self::bench(vec![status(500); 10]);
        bench.push(1);
        for _ in 0..10 {
            bench.turn(60.0);
            bench.post();
        }
        assert_eq!(bench.count(Counter::DroppedSendError), 1);
        assert_eq!(bench.sender.outbox.queue.load(), (0, 0));
    }

    #[test]
    fn an_event_that_never_reached_the_server_is_kept_until_sentry_would_not_take_it() {
        let mut bench = bench(vec![unreached(); 60]);
        bench.push(1);
        for _ in 0..50 {
            bench.post();
            bench.turn(60.0);
        }
        assert_eq!(bench.count(Counter::DroppedNetworkError), 0);
        bench.turn(30.0 * 86_400.0);
        bench.post();
        assert_eq!(bench.count(Counter::DroppedNetworkError), 1);
    }

    #[test]
    fn a_limit_on_errors_empties_the_queue_and_a_report_a_half_minute_goes_on() {
        let mut bench = bench([limited(200, "100:error:key")]);
        bench.push(1);
        bench.push(2);
        bench.post();
        assert!(bench.sender.outbox.is_limited(bench.clock.now()));
        assert_eq!(bench.shut_for(), Some(100.0));
        assert_eq!(bench.count(Counter::DroppedRatelimitBackoff), 1);
        assert_eq!(bench.report_due_in(), Some(29.9), "the clock stood still but for the request");
        bench.turn(29.9);
        let report = bench.post();
        assert!(report.contains(r#"{"reason":"ratelimit_backoff","category":"error","quantity":1}"#), "{report}");
        assert!(!report.contains("event_id"));
        assert_eq!(bench.count(Counter::Reports), 1);
        bench.sender.outbox.lose(Reason::RatelimitBackoff, 5);
        assert_eq!(bench.report_due_in(), Some(29.9));
        bench.turn(70.0);
        assert_eq!(bench.gate(), Gate::Open);
        assert!(!bench.sender.outbox.is_limited(bench.clock.now()));
    }

    #[test]
    fn a_limit_on_everything_holds_reports_back_too() {
        let mut bench = bench([limited(429, "100::key")]);
        bench.push(1);
        bench.push(2);
        bench.post();
        assert_eq!(bench.shut_for(), Some(100.0));
        assert_eq!(bench.report_due_in(), Some(100.0));
    }

    #[test]
    fn no_report_travels_in_a_pause() {
        let mut bench = bench(vec![status(503); 7]);
        bench.push(1);
        bench.sender.outbox.lose(Reason::Throttled, 3);
        for _ in 0..7 {
            bench.turn(60.0);
            let body = bench.post();
            assert!(body.contains(r#""reason":"event_processor","category":"error","quantity":3"#), "{body}");
        }
        assert_eq!(bench.shut_for(), Some(60.0));
        assert_eq!(bench.report_due_in(), Some(60.0), "not after 30 s");
    }

    #[test]
    fn a_report_rides_with_an_event_or_travels_alone_every_half_minute() {
        let mut bench = bench([]);
        bench.sender.outbox.lose(Reason::MaxRate, 2);
        assert_eq!(bench.report_due_in(), Some(30.0));
        bench.turn(40.0);
        bench.push(1);
        let body = bench.post();
        assert!(body.contains("sample_rate") && body.contains("event_id"), "it rides although it is due");
        assert_eq!(bench.report_due_in(), None);
        bench.sender.outbox.lose(Reason::MaxRate, 1);
        bench.turn(29.9);
        let body = bench.post();
        assert!(body.contains("sample_rate") && !body.contains("event_id"));
        assert_eq!((bench.count(Counter::Reports), bench.count(Counter::Sent)), (1, 1));
    }

    #[test]
    fn a_report_in_a_refused_envelope_is_put_back() {
        for refusal in [status(429), status(400), status(413), status(500), unreached()] {
            let mut bench = bench([refusal.clone()]);
            bench.push(1);
            bench.sender.outbox.lose(Reason::Throttled, 3);
            bench.post();
            let taken = bench.sender.outbox.report.take(SystemTime::now()).unwrap();
            let payload = String::from_utf8_lossy(taken.payload()).into_owned();
            assert!(payload.contains(r#""reason":"event_processor","category":"error","quantity":3"#), "{refusal:?}");
        }
    }

    #[test]
    fn a_missing_dsn_file_is_looked_for_every_ten_seconds() {
        let mut bench = bench_with(DsnSource::File(PathBuf::from("/nonexistent/dsn")), []);
        bench.push(1);
        assert_eq!(bench.shut_for(), Some(10.0));
        assert_eq!(bench.count(Counter::DroppedNoDsn), 1);
        for (turned, looks) in [(9.9, 1), (0.2, 2), (5.0, 2), (5.0, 3)] {
            bench.turn(turned);
            bench.gate();
            assert_eq!(bench.count(Counter::DsnFailures), looks);
        }
        assert_eq!(bench.posts(), 0);
    }

    #[test]
    fn while_it_drains_a_request_gets_the_time_that_is_left() {
        let mut bench = bench([]);
        bench.push(1);
        bench.push(2);
        bench.post();
        bench.sender.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
        assert!(bench.sender.step(), "looks at the deadline first");
        bench.turn(0.5);
        bench.post();
        let timeouts: Vec<_> = bench.script.posts.lock().iter().map(|(_, timeout)| timeout.as_millis()).collect();
        assert_eq!(timeouts, [10_000, 1_500]);
        assert!(!bench.sender.step());
    }

    #[test]
    fn the_end_sends_a_last_report_and_counts_what_is_left() {
        let mut bench = bench([]);
        bench.push(1);
        bench.post();
        bench.sender.outbox.lose(Reason::Throttled, 1);
        bench.sender.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
        let Bench { sender, script, .. } = bench;
        let outbox = sender.outbox.clone();
        sender.run();
        assert_eq!(script.posts.lock().len(), 2);
        assert_eq!(outbox.stats.get(Counter::Reports), 1);

        let late = self::bench([]);
        late.push(1);
        late.sender.outbox.lose(Reason::Throttled, 1);
        late.sender.outbox.queue.drain(late.clock.now());
        let Bench { sender, script, .. } = late;
        let outbox = sender.outbox.clone();
        sender.run();
        assert_eq!(script.posts.lock().len(), 0, "the time was over");
        assert_eq!(outbox.stats.get(Counter::DroppedClosed), 1);
    }
    /// With a spool, and a queue of eight.
    fn spooling(scratch: &Scratch, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
        let dsn = DsnSource::Text(Dsn::parse("http://key@host/1").unwrap());
        bench_of(Arguments { dsn, queue: 8, spool: Some(scratch.0.clone()), ..Arguments::default() }, outcomes)
    }

    impl Bench {
        fn spooled(&self) -> u64 {
            self.count(Counter::SpoolEvents)
        }
    }

    #[test]
    fn what_the_server_never_took_is_spooled_after_its_first_failure_and_nothing_else() {
        let broken = || Err(Failure::Broken("reset".to_owned()));
        let spools = [unreached(), broken(), status(502), status(503), status(504)];
        let others = [status(200), status(429), status(400), status(500), status(501)];
        for (outcomes, expected) in [(spools, 1), (others, 0)] {
            for outcome in outcomes {
                let scratch = Scratch::new();
                let mut bench = spooling(&scratch, [outcome.clone()]);
                bench.push(1);
                bench.post();
                assert_eq!(bench.spooled(), expected, "{outcome:?}");
            }
        }
    }

    #[test]
    fn three_quarters_of_the_queue_make_the_older_half_go_to_disk_while_the_server_fails() {
        let scratch = Scratch::new();
        let mut bench = spooling(&scratch, [status(500)]);
        for number in 0..7 {
            bench.push(number);
        }
        bench.sender.find_target(bench.clock.now());
        let relieve = |bench: &mut Bench| {
            let gate = bench.gate();
            bench.sender.relieve_queue(gate, bench.clock.now());
            bench.spooled()
        };
        assert_eq!(relieve(&mut bench), 0, "the server does not fail");
        bench.post();
        assert_eq!((bench.sender.outbox.queue.load().0, relieve(&mut bench)), (7, 3));
        assert_eq!(bench.sender.outbox.queue.load().0, 4);
        bench.push(7);
        bench.push(8);
        assert_eq!(relieve(&mut bench), 3, "six of eight are not more than three quarters");
        bench.turn(1.0);
        let id = |number: u8| EventId::from_random([number; 16]).to_string();
        assert!(bench.post().contains(&id(8)), "fresh events first, and of a full queue the newest");
    }

    #[test]
    fn spooled_events_go_oldest_first_ten_a_second_and_after_fresh_ones() {
        let scratch = Scratch::new();
        let mut bench = spooling(&scratch, vec![unreached(); 3]);
        for number in 1..=3 {
            bench.push(number);
            bench.post();
            bench.turn(60.0);
        }
        assert_eq!(bench.spooled(), 3);
        let id = |number: u8| EventId::from_random([number; 16]).to_string();
        bench.push(9);
        assert!(bench.post().contains(&id(9)), "a fresh one to try the server");
        assert!(bench.post().contains(&id(1)));
        assert_eq!(bench.spooled(), 2);
        let due = bench.sender.spool_due().unwrap();
        assert_eq!(due, bench.clock.now(), "100 ms after the last one, which took that long");
        bench.push(10);
        assert!(bench.sender.spool_due().unwrap() > bench.clock.now());
        assert!(bench.post().contains(&id(10)));
        for number in 11..=15 {
            bench.push(number);
        }
        assert_eq!(bench.sender.spool_due(), None, "not while the queue is more than half full");
        for _ in 0..5 {
            bench.post();
        }
        bench.turn(1.0);
        assert!(bench.post().contains(&id(2)));
        bench.sender.outbox.queue.drain(bench.clock.now() + Duration::from_secs(2));
        assert_eq!(bench.sender.spool_due(), None, "at the end what is on disk stays there");
        assert_eq!((bench.count(Counter::Sent), bench.count(Counter::SpoolSent)), (9, 2));
    }

    #[test]
    fn a_limit_or_a_pause_keeps_spooled_events_where_they_are() {
        for (answer, kept) in [(limited(200, "100:error:key"), 1), (unreached(), 2), (status(503), 2)] {
            let scratch = Scratch::new();
            let mut bench = spooling(&scratch, [unreached(), unreached(), answer]);
            bench.push(1);
            bench.post();
            bench.turn(60.0);
            bench.push(2);
            bench.sender.deliver_spooled(bench.clock.now());
            bench.turn(60.0);
            bench.sender.outbox.queue.clear();
            bench.push(3);
            bench.sender.step();
            bench.turn(1.0);
            let posts = bench.posts();
            assert!(bench.shut_for().is_some());
            assert_eq!((bench.spooled(), bench.posts()), (kept, posts));
        }
    }

    #[test]
    fn a_long_outage_costs_no_spooled_event_but_one_that_the_server_chokes_on_is_given_up() {
        let scratch = Scratch::new();
        let mut bench = spooling(&scratch, vec![status(503); 40]);
        bench.push(1);
        for _ in 0..40 {
            bench.post();
            bench.turn(60.0);
        }
        assert_eq!((bench.spooled(), bench.count(Counter::DroppedSendError)), (1, 0));

        // Now the server takes others, and fails on this one.
        bench.post();
        assert_eq!(bench.spooled(), 0);
        bench.push(1);
        bench.script.outcomes.lock().push_back(status(503));
        bench.post();
        for number in 2..=11 {
            assert_eq!(bench.spooled(), 1);
            bench.turn(60.0);
            bench.sender.outbox.pace().backoff.succeed();
            bench.script.outcomes.lock().push_back(status(503));
            bench.sender.deliver_spooled(bench.clock.now());
            assert_eq!(bench.count(Counter::DroppedSendError), u64::from(number == 11), "try {number}");
        }
        assert_eq!((bench.spooled(), bench.count(Counter::SpoolDropped)), (0, 1));
    }

    #[test]
    fn a_panic_over_a_spooled_event_costs_that_event() {
        let scratch = Scratch::new();
        let mut bench = spooling(&scratch, [unreached()]);
        bench.push(1);
        bench.post();
        bench.turn(60.0);
        bench.sender.letter = bench.sender.spool.as_mut().unwrap().take(bench.clock.now());
        bench.sender.recover();
        assert_eq!((bench.spooled(), bench.count(Counter::DroppedInternalSdkError)), (0, 1));
    }

    #[test]
    fn the_gauges_are_zero_when_the_spool_is_somebody_elses() {
        let scratch = Scratch::new();
        let mut bench = spooling(&scratch, [unreached()]);
        bench.push(1);
        bench.post();
        assert_eq!((bench.spooled(), bench.count(Counter::SpoolBytes)), (1, 4096));
        let Bench { sender, .. } = bench;
        let outbox = sender.outbox.clone();
        drop(sender);
        assert_eq!((outbox.stats.get(Counter::SpoolEvents), outbox.stats.get(Counter::SpoolBytes)), (0, 0));
    }
}
