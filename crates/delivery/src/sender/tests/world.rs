// SPDX-License-Identifier: BSD-2-Clause
//! The world of a machine under test: a clock that only the test turns, a server and a spool that do what it says, and a log. It checks in every step
//! what holds in all of them.

use std::collections::VecDeque;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flate2::read::GzDecoder;
use parking_lot::Mutex;
use privacy::settings::Privacy;
use protocol::category::{Categories, Category};
use protocol::dsn::Dsn;
use protocol::entry::Part;
use protocol::reason::Reason;

use crate::admission::sample::SampleRate;
use crate::clock::Clock;
use crate::connection::request::{Answer, Body, Failure, Outcome, Request};
use crate::counters::{Counter, Ledger, Tally};
use crate::epoch::Epoch;
use crate::journal::Notices;
use crate::journal::tests::Lines;
use crate::sender::machine::Machine;
use crate::sender::message::{Action, Message};
use crate::settings::{DsnSource, QueueBounds, Server, Settings, SpoolSettings};
use crate::shared::Shared;
use crate::spool::condition::Condition;
use crate::spool::entry::{Lease, SpooledEntry};
use crate::spool::operation::{Fate, Reply};
use crate::spool::written::Written;
use crate::state::{self, State};
use crate::test_entry::{MADE, TestEntry};

/// A clock that only the test turns.
pub struct Stopped(pub Mutex<(Instant, SystemTime)>);

impl Clock for Stopped {
    fn now(&self) -> Instant {
        self.0.lock().0
    }

    fn wall(&self) -> SystemTime {
        self.0.lock().1
    }
}

/// The default settings of a client of one DSN, as the manual has them.
pub fn settings() -> Settings {
    Settings {
        name: "default".to_owned(),
        dsn: DsnSource::Text(Dsn::parse("http://key@host/1").unwrap()),
        throttle: 10,
        window: Duration::from_secs(60),
        max_rate: 20,
        sample_rate: SampleRate::new(1.0),
        send_client_reports: true,
        debug: false,
        server: Server {
            connections: 2,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            max_interval: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(2),
            way: Default::default(),
        },
        queue: QueueBounds { entries: 1000, bytes: 16 << 20 },
        spool: None,
        spotlight: None,
        privacy: Privacy::default(),
    }
}

/// With a spool, and a queue of eight.
pub fn spooling() -> Settings {
    let (folder, age) = (PathBuf::from("/spool"), Duration::from_secs(86_400));
    let spool = Some(SpoolSettings { folder, bytes: 1 << 20, age });
    Settings { spool, queue: QueueBounds { entries: 8, bytes: 16 << 20 }, ..settings() }
}

pub fn status(status: u16) -> Result<Answer, Failure> {
    Ok(Answer { status, ..Answer::default() })
}

pub fn limited(status: u16, limits: &str) -> Result<Answer, Failure> {
    Ok(Answer { status, rate_limits: Some(limits.to_owned()), ..Answer::default() })
}

pub fn unreached() -> Result<Answer, Failure> {
    Err(Failure::Unreached("refused".to_owned()))
}

pub fn broken() -> Result<Answer, Failure> {
    Err(Failure::Broken("reset".to_owned()))
}

/// An entry in the spool.
pub struct Stored {
    pub parts: Vec<Part>,
    written: Vec<(Part, Vec<u8>)>,
    at: SystemTime,
    number: u64,
    ledger: Arc<Ledger>,
    lease: Option<Lease>,
}

/// The spool: what it was asked and has not replied to yet, and what is in it.
#[derive(Default)]
pub struct FakeSpool {
    pub dsn: Option<Arc<Dsn>>,
    pub is_open: bool,
    pub is_unusable: bool,
    pub is_failing: bool,
    pub keeps: VecDeque<(u64, Written)>,
    pub takes: usize,
    pub stored: Vec<Stored>,
    next: u64,
}

impl FakeSpool {
    fn condition(&self) -> Condition {
        let usable = self.is_open && !self.is_unusable;
        let ready = self.stored.iter().filter(|stored| stored.lease.is_none()).count();
        Condition { usable, failing: self.is_failing, ready: if usable { ready } else { 0 }, ..Condition::default() }
    }

    fn store(&mut self, written: Written) {
        let Written { at, id, parts: written, ledger, .. } = written;
        let parts: Vec<Part> = written.iter().filter(|(_, items)| !items.is_empty()).map(|(part, _)| *part).collect();
        ledger.add_parts(&parts, Tally::Spooled);
        let number = u64::from_str_radix(&id.to_string()[17..], 16).unwrap();
        self.stored.push(Stored { parts, written, at, number, ledger, lease: None });
    }

    fn take(&mut self) -> Option<SpooledEntry> {
        self.next += 1;
        let number = self.next;
        let stored = self.stored.iter_mut().find(|stored| stored.lease.is_none())?;
        let id = TestEntry::id_of(stored.number);
        let entry = SpooledEntry::leased(number, stored.at, id, &stored.written, stored.ledger.clone());
        stored.lease = Some(entry.lease());
        Some(entry)
    }

    fn settle(&mut self, lease: Lease, fate: Fate) {
        let place = self.stored.iter().position(|stored| stored.lease == Some(lease));
        let Some(place) = place else { return assert!(!self.is_open, "a lease") };
        let may = match fate {
            Fate::Kept { .. } => {
                self.stored[place].lease = None;
                return;
            }
            Fate::Sent => Categories::ALL,
            Fate::SentPartly { may, .. } => may,
            Fate::Dropped(_) => Categories::NONE,
        };
        let stored = self.stored.remove(place);
        stored.ledger.sub_parts(&stored.parts, Tally::Spooled);
        for part in &stored.parts {
            let tally = match fate {
                _ if part.goes(&stored.parts, may) => Tally::Sent,
                Fate::SentPartly { reason, .. } | Fate::Dropped(reason) => Tally::Dropped(reason),
                _ => unreachable!("all of it goes"),
            };
            stored.ledger.tell(part.category, tally, part.quantity);
        }
    }
}

/// All of it.
pub struct World {
    pub machine: Machine,
    pub state: Arc<State>,
    pub clock: Arc<Stopped>,
    pub lines: Arc<Lines>,
    /// At each place: no connection, an idle one, or one with a request.
    pub connections: Vec<Option<Option<Request>>>,
    /// Requests of connections that were given up.
    pub lost: Vec<Request>,
    pub aborted: Vec<usize>,
    pub posts: usize,
    pub starts: usize,
    pub start_fails: bool,
    /// What is found where the DSN is to be.
    pub found_dsn: Result<Dsn, String>,
    /// By their places.
    pub spools: Vec<FakeSpool>,
    /// What entries may name, until it is asked for, and the folders that there are in the spool's.
    pub listed: Option<Vec<Arc<Dsn>>>,
    pub folders: Vec<String>,
    /// Messages that came and were not looked at.
    pub unread: VecDeque<Message>,
    pub copies: usize,
    pub is_over: bool,
    /// For each answer of [`World::post`], and what it says before it says 200.
    pub takes: Duration,
    pub outcomes: VecDeque<Result<Answer, Failure>>,
}

impl World {
    pub fn new(settings: Settings, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> World {
        let now = Instant::now();
        World::beside(&Arc::new(Shared::new(now)), settings, outcomes, now)
    }

    /// A client of a process that has others.
    pub fn beside(
        shared: &Arc<Shared>,
        settings: Settings,
        outcomes: impl IntoIterator<Item = Result<Answer, Failure>>,
        now: Instant,
    ) -> World {
        let clock = Arc::new(Stopped(Mutex::new((now, SystemTime::UNIX_EPOCH + MADE))));
        let lines = Arc::new(Lines::default());
        let notices = Arc::new(Notices::new(lines.clone(), "default".to_owned(), Epoch::new(now)));
        let ledger = Arc::new(Ledger::new(None));
        let connections = (0..settings.server.connections).map(|_| None).collect();
        let shared = shared.clone();
        let (directory, spotlight) = (None, None);
        let world = state::World { clock: clock.clone(), random: || 0, ledger, shared, directory, notices, spotlight };
        let state = State::new(settings, world, Box::new(|| {}));
        let state = Arc::new(state);
        World {
            machine: Machine::new(state.clone(), now),
            state,
            clock,
            lines,
            connections,
            lost: Vec::new(),
            aborted: Vec::new(),
            posts: 0,
            starts: 0,
            start_fails: false,
            found_dsn: Err("dsn_file /x: gone".to_owned()),
            spools: (0..8).map(|_| FakeSpool::default()).collect(),
            listed: None,
            folders: Vec::new(),
            unread: VecDeque::new(),
            copies: 0,
            is_over: false,
            takes: Duration::from_millis(100),
            outcomes: outcomes.into_iter().collect(),
        }
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    pub fn turn(&self, seconds: f64) {
        let by = Duration::from_secs_f64(seconds);
        let mut time = self.clock.0.lock();
        *time = (time.0 + by, time.1 + by);
    }

    /// Captures an error.
    pub fn push(&self, number: u64) {
        self.capture(TestEntry { at: self.clock.wall(), ..TestEntry::new(number, Category::Error) });
    }

    pub fn capture(&self, entry: TestEntry) {
        let entry = entry.boxed();
        let ledger = self.state.ledger_of(entry.dsn());
        ledger.add_parts(entry.parts(), Tally::Captured);
        match self.state.queue.push(entry, ledger) {
            Ok(evicted) => self.state.lose_all(Reason::QueueOverflow, &evicted, self.now()),
            Err((_, entry)) => self.state.lose_entry(&*entry, Reason::Closed),
        }
    }

    pub fn wake(&mut self) {
        self.step(Message::Wake);
    }

    /// Hands a message over, and goes on until there is nothing more to do but wait.
    pub fn step(&mut self, message: Message) {
        let mut messages = VecDeque::from([message]);
        for _ in 0..10_000 {
            for (place, spool) in self.spools.iter().enumerate().filter(|(_, spool)| spool.is_open) {
                self.machine.see_spool(place, &spool.condition());
            }
            let message = messages.pop_front().or_else(|| self.unread.pop_front()).unwrap_or(Message::Wake);
            let actions = self.step_once(message);
            if actions.is_empty() && messages.is_empty() && self.unread.is_empty() {
                assert!(self.is_over || self.machine.alarm() > self.now(), "it waits for something that is ahead");
                return;
            }
            actions.into_iter().for_each(|action| messages.extend(self.perform(action)));
        }
        panic!("it never rests");
    }

    /// As the sender's thread does, which survives a panic.
    fn step_once(&mut self, message: Message) -> Vec<Action> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let machine = &mut self.machine;
        let stepped = catch_unwind(AssertUnwindSafe(|| machine.step(message, now, wall)));
        stepped.unwrap_or_else(|_| self.machine.recover(now))
    }

    fn perform(&mut self, action: Action) -> Vec<Message> {
        assert!(!self.is_over, "nothing comes after the end: {action:?}");
        match action {
            Action::Start(place) => {
                assert!(self.connections[place].is_none());
                self.starts += 1;
                let started = if self.start_fails { Err("as told".to_owned()) } else { Ok(()) };
                self.connections[place] = started.is_ok().then_some(None);
                return vec![Message::Started(place, started)];
            }
            Action::Post(place, request) => {
                let connection = self.connections[place].as_mut().expect("a connection");
                assert!(connection.is_none(), "an idle one");
                assert!(!request.body.bytes.is_empty() && request.timeout >= Duration::from_millis(1));
                *connection = Some(request);
                self.posts += 1;
            }
            Action::Abort(place) => self.aborted.push(place),
            Action::Stop(place) => self.lost.extend(self.connections[place].take().flatten()),
            Action::FindDsn => return vec![Message::Dsn(self.found_dsn.clone())],
            Action::Look => return self.listed.take().map(Message::Listed).into_iter().collect(),
            Action::FindSpools => return vec![Message::Folders(self.folders.clone())],
            Action::OpenSpool(place, dsn) => {
                let spool = &mut self.spools[place];
                assert!(!spool.is_open && spool.dsn.as_ref().is_none_or(|before| before.is_of_same_project(&dsn)));
                (spool.is_open, spool.dsn) = (true, Some(dsn));
            }
            Action::LeaveSpool(place) => return self.leave_spool(place),
            Action::Keep(place, ticket, written) => {
                let spool = &mut self.spools[place];
                assert!(spool.keeps.len() < 4, "not too many at a time");
                spool.keeps.push_back((ticket, written));
            }
            Action::Take(place) => self.spools[place].takes += 1,
            Action::Settle(place, lease, fate) => self.spools[place].settle(lease, fate),
            Action::Copy(_) => self.copies += 1,
            Action::End => {
                self.is_over = true;
                (0..self.spools.len()).for_each(|place| drop(self.leave_spool(place)));
            }
        }
        Vec::new()
    }

    /// What is not done is not, which is said; leases end.
    fn leave_spool(&mut self, place: usize) -> Vec<Message> {
        let spool = &mut self.spools[place];
        spool.is_open = false;
        spool.takes = 0;
        spool.stored.iter_mut().for_each(|stored| stored.lease = None);
        let keeps = std::mem::take(&mut spool.keeps);
        keeps.iter().map(|(ticket, _)| refusal(place, *ticket)).collect()
    }

    /// The places with a request under way, the oldest first.
    pub fn busy(&self) -> Vec<usize> {
        let tickets = self.connections.iter().enumerate();
        let tickets = tickets.filter_map(|(place, connection)| Some((connection.as_ref()?.as_ref()?.ticket, place)));
        let mut tickets: Vec<_> = tickets.collect();
        tickets.sort();
        tickets.into_iter().map(|(_, place)| place).collect()
    }

    pub fn body(&self, place: usize) -> String {
        let request = self.connections[place].as_ref().and_then(Option::as_ref).expect("a request");
        text(&request.body)
    }

    /// The request at that place gets its outcome.
    pub fn answer(&mut self, place: usize, result: Result<Answer, Failure>, took: Duration) {
        let request = self.connections[place].as_mut().and_then(Option::take).expect("a request");
        self.outcome(request, result, took);
    }

    pub fn outcome(&mut self, request: Request, result: Result<Answer, Failure>, took: Duration) {
        let Request { ticket, body, .. } = request;
        self.step(Message::Outcome(Outcome { ticket, result, reconnects: 0, took, body }));
    }

    /// The oldest request, which there is at once, with the outcome that was set down for it.
    pub fn post(&mut self) -> String {
        if self.busy().is_empty() {
            self.wake();
        }
        let place = *self.busy().first().expect("a request");
        let body = self.body(place);
        self.turn(self.takes.as_secs_f64());
        let result = self.outcomes.pop_front().unwrap_or_else(|| status(200));
        self.answer(place, result, self.takes);
        self.settle_spool(true);
        body
    }

    /// The spools reply to all that they were asked.
    pub fn settle_spool(&mut self, kept: bool) {
        while self.reply(kept) {}
    }

    /// A spool replies to one thing; whether there was one.
    pub fn reply(&mut self, kept: bool) -> bool {
        for place in 0..self.spools.len() {
            let spool = &mut self.spools[place];
            if let Some((ticket, written)) = spool.keeps.pop_front() {
                let reply = if kept {
                    spool.store(written);
                    Message::Spool(place, Reply::Kept { ticket, kept })
                } else {
                    refusal(place, ticket)
                };
                self.step(reply);
                return true;
            }
            if spool.takes > 0 {
                spool.takes -= 1;
                let taken = spool.take();
                self.step(Message::Spool(place, Reply::Taken(taken)));
                return true;
            }
        }
        false
    }

    /// A spool has put an entry in, and nobody has looked at its reply.
    pub fn keep_unread(&mut self) {
        for (place, spool) in self.spools.iter_mut().enumerate() {
            if let Some((ticket, written)) = spool.keeps.pop_front() {
                spool.store(written);
                return self.unread.push_back(Message::Spool(place, Reply::Kept { ticket, kept: true }));
            }
        }
    }

    /// Something that an earlier process has left.
    pub fn find(&mut self, number: u64) {
        let ledger = self.state.ledger.clone();
        self.find_in(0, number, ledger);
    }

    /// The same in the spool at that place.
    pub fn find_in(&mut self, place: usize, number: u64, ledger: Arc<Ledger>) {
        let parts = vec![(Part::new(Category::Error, 1), b"found\n".to_vec())];
        let (at, id) = (self.clock.wall(), TestEntry::id_of(number));
        let parts_of: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
        ledger.add_parts(&parts_of, Tally::Found);
        let (author, headers) = Default::default();
        self.spools[place].store(Written { at, id, author, headers, members: Vec::new(), parts, ledger });
    }

    pub fn is_keeping(&self) -> bool {
        self.spools.iter().any(|spool| !spool.keeps.is_empty())
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.state.ledger.get(counter)
    }

    pub fn told(&self, category: Category, tally: Tally) -> u64 {
        self.state.ledger.told(category, tally)
    }

    pub fn sent(&self) -> u64 {
        self.told(Category::Error, Tally::Sent)
    }

    pub fn dropped(&self, reason: Reason) -> u64 {
        self.told(Category::Error, Tally::Dropped(reason))
    }

    pub fn waiting(&self) -> usize {
        self.state.queue.load().0
    }

    /// How long nothing is sent, in seconds; `None` if something could be.
    pub fn shut_for(&self) -> Option<f64> {
        let (waiter, now) = (self.state.queue.look().waiter, self.now());
        let home = self.machine.routes.servers().first().expect("a server");
        let rest = if waiter.is_none() { home.pacer.until(now) } else { None };
        let until = home.breaker.look(now, waiter).until.max(rest);
        until.map(|until| until.duration_since(now).as_secs_f64())
    }

    pub fn report_due_in(&self) -> Option<f64> {
        let now = self.now();
        self.machine.report_due(0, now).map(|due| due.saturating_duration_since(now).as_secs_f64())
    }

    pub fn refuse(&self, reason: Reason, quantity: u64) {
        self.state.refuse(Category::Error, reason, quantity);
    }

    pub fn drain(&self, last_send: f64, end: f64) {
        let at = |seconds| self.now() + Duration::from_secs_f64(seconds);
        self.state.close();
        self.state.queue.drain(at(last_send), at(end));
    }
}

fn refusal(place: usize, ticket: u64) -> Message {
    Message::Spool(place, Reply::Kept { ticket, kept: false })
}

pub fn text(body: &Body) -> String {
    let mut text = String::new();
    match body.encoding {
        None => text.push_str(&String::from_utf8_lossy(&body.bytes)),
        Some(_) => drop(GzDecoder::new(&*body.bytes).read_to_string(&mut text).unwrap()),
    }
    text
}

/// Whether `body` is of the entry with that number.
pub fn is_of(body: &str, number: u64) -> bool {
    body.starts_with(&format!("{{\"event_id\":\"{}", TestEntry::id_of(number)))
}
