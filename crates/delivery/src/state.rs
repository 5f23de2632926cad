// SPDX-License-Identifier: BSD-2-Clause
//! What a client and its sender share.
//!
//! Locks: the queue, the view, the spools and the parts each have their own; none of them is taken while another is held.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard, RwLock};
use protocol::category::{Categories, Category};
use protocol::client_report::ClientReport;
use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part};
use protocol::reason::Reason;

use crate::clock::Clock;
use crate::counters::{Counter, Ledger, Tally};
use crate::directory::Directory;
use crate::journal::{Notices, Topic};
use crate::queue::{Queue, Queued};
use crate::sender::answer_times::AnswerTimes;
use crate::settings::{DsnSource, Settings};
use crate::shared::Shared;
use crate::shared::breaker::Breaker;
use crate::shared::destination::Destination;
use crate::spool::handle::SpoolHandle;
use crate::spotlight::Spotlight;

/// Whether captures are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Availability {
    Ready = 0,
    /// There is no DSN, or one that is none, and there will be none.
    NoDsn = 1,
    /// There is a `dsn_file` that gave none so far.
    DsnAwaited = 2,
    Closed = 3,
}

/// Where a client sends to, once that is known.
pub struct Home {
    pub dsn: Arc<Dsn>,
    pub destination: Arc<Destination>,
    pub breaker: Arc<Breaker>,
}

/// What the sender lets the status say.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub width: usize,
    pub interval: Duration,
    pub times: AnswerTimes,
    pub last_error: Option<String>,
}

/// What a client has of the world.
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub random: fn() -> u64,
    pub ledger: Arc<Ledger>,
    pub shared: Arc<Shared>,
    pub directory: Option<Box<dyn Directory>>,
    pub notices: Arc<Notices>,
    pub spotlight: Option<Spotlight>,
}

/// What there is for a DSN that entries name.
struct Named {
    /// The numbers of its project.
    ledger: Arc<Ledger>,
    destination: Arc<Destination>,
}

/// By the sender's places for them.
type Spools = Vec<Option<Arc<SpoolHandle>>>;

/// One client's.
pub struct State {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub random: fn() -> u64,
    pub ledger: Arc<Ledger>,
    pub shared: Arc<Shared>,
    /// For the sender to ask.
    pub directory: Mutex<Option<Box<dyn Directory>>>,
    pub notices: Arc<Notices>,
    pub queue: Queue,
    pub spotlight: Option<Spotlight>,
    /// The sender's, while it has some.
    spools: Mutex<Spools>,
    /// By the DSNs that entries name.
    parts: RwLock<HashMap<Arc<Dsn>, Named>>,
    availability: AtomicU8,
    home: OnceLock<Home>,
    /// What is to be reported as soon as there is somebody to report it to.
    early: Arc<ClientReport>,
    view: Mutex<View>,
}

impl State {
    /// A `dsn_file` is not read yet. `wake` wakes the sender.
    pub fn new(settings: Settings, world: World, wake: Box<dyn Fn() + Send + Sync>) -> State {
        let World { clock, random, ledger, shared, directory, notices, spotlight } = world;
        let (availability, dsn) = match &settings.dsn {
            DsnSource::None if settings.works_without_dsn() => (Availability::Ready, None),
            DsnSource::None | DsnSource::Unusable(_) => (Availability::NoDsn, None),
            DsnSource::Text(dsn) => (Availability::Ready, Some(Arc::new(dsn.clone()))),
            DsnSource::Entries => (Availability::Ready, None),
            DsnSource::File(_) => (Availability::DsnAwaited, None),
        };
        let state = State {
            queue: Queue::new(settings.queue, wake),
            availability: AtomicU8::new(availability as u8),
            home: OnceLock::new(),
            early: Arc::default(),
            view: Mutex::new(View { width: 1, ..View::default() }),
            settings,
            clock,
            random,
            ledger,
            shared,
            directory: Mutex::new(directory),
            notices,
            spotlight,
            spools: Mutex::default(),
            parts: RwLock::default(),
        };
        state.ledger.add(Counter::QueueMaxEntries, state.settings.queue.entries as u64);
        state.ledger.add(Counter::QueueMaxBytes, state.settings.queue.bytes as u64);
        if let Some(dsn) = dsn {
            state.settle_at(dsn, state.clock.now());
        }
        state
    }

    pub fn availability(&self) -> Availability {
        match self.availability.load(Ordering::Relaxed) {
            0 => Availability::Ready,
            1 => Availability::NoDsn,
            2 => Availability::DsnAwaited,
            _ => Availability::Closed,
        }
    }

    /// Takes no captures from now on.
    pub fn close(&self) {
        self.availability.store(Availability::Closed as u8, Ordering::SeqCst);
    }

    pub fn home(&self) -> Option<&Home> {
        self.home.get()
    }

    pub fn dsn(&self) -> Option<&Arc<Dsn>> {
        self.home().map(|home| &home.dsn)
    }

    /// Sends to that DSN from now on; the first one counts.
    pub fn settle_at(&self, dsn: Arc<Dsn>, now: Instant) {
        let destination = self.shared.destination(&dsn, now);
        let breaker = self.shared.breaker(&dsn, &self.settings.server.way, now);
        let _ = self.home.set(Home { dsn, destination, breaker });
        let (awaited, ready) = (Availability::DsnAwaited as u8, Availability::Ready as u8);
        // Not if it was closed in the meantime.
        let _ = self.availability.compare_exchange(awaited, ready, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The spool that the sender has at that place.
    pub fn spool(&self, place: usize) -> Option<Arc<SpoolHandle>> {
        self.spools.lock().get(place).cloned().flatten()
    }

    /// All that the sender has, with their places.
    pub fn spools(&self) -> Vec<(usize, Arc<SpoolHandle>)> {
        let spools = self.spools.lock();
        spools.iter().enumerate().filter_map(|(place, spool)| Some((place, spool.clone()?))).collect()
    }

    pub fn set_spool(&self, place: usize, spool: Option<Arc<SpoolHandle>>) {
        let mut spools = self.spools.lock();
        let len = spools.len().max(place + 1);
        spools.resize(len, None);
        let before = spools.get_mut(place).and_then(|at| mem::replace(at, spool));
        // It is let go of under no lock.
        drop(spools);
        drop(before);
    }

    /// Lets go of all of them.
    pub fn leave_spools(&self) {
        let before = mem::take(&mut *self.spools.lock());
        drop(before);
    }

    /// Where an entry counts that names that DSN, or none.
    pub fn ledger_of(&self, dsn: Option<&Arc<Dsn>>) -> Arc<Ledger> {
        dsn.map_or_else(|| self.ledger.clone(), |dsn| self.with_named(dsn, |named| named.ledger.clone()))
    }

    /// Lends what there is for a DSN that an entry names to `body`, which takes no lock.
    fn with_named<R>(&self, dsn: &Arc<Dsn>, body: impl FnOnce(&Named) -> R) -> R {
        if let Some(named) = self.parts.read().get(dsn) {
            return body(named);
        }
        let ledger = self.shared.part(&self.settings.name, &self.ledger, dsn);
        let named = Named { ledger, destination: self.shared.destination(dsn, self.clock.now()) };
        let result = body(&named);
        self.parts.write().insert(dsn.clone(), named);
        result
    }

    /// The DSNs that entries have named, and those that they may name as far as the sender was told, in no order, each with its project's numbers.
    pub fn parts(&self) -> Vec<(Arc<Dsn>, Arc<Ledger>)> {
        self.parts.read().iter().map(|(dsn, named)| (dsn.clone(), named.ledger.clone())).collect()
    }

    /// Hands over what there was to report before anybody was there.
    pub fn forward_early_losses(&self) {
        if let Some(home) = self.home()
            && self.early.is_pending()
            && let Some(taken) = self.early.take(self.clock.wall())
        {
            home.destination.report.put_back(&taken);
        }
    }

    /// Where losses are reported of what the client sends to its own DSN; `None` if Sentry is not told.
    pub fn report(&self) -> Option<&Arc<ClientReport>> {
        let report = self.home().map_or(&self.early, |home| &home.destination.report);
        self.settings.send_client_reports.then_some(report)
    }

    /// Counts what is not captured, here and for Sentry.
    pub fn refuse(&self, category: Category, reason: Reason, quantity: u64) {
        self.ledger.tell(category, Tally::Refused(reason), quantity);
        if let Some(report) = self.report() {
            report.record(category, reason, quantity);
        }
    }

    /// As [`State::refuse`], of what came for a DSN that entries name.
    pub fn refuse_for(&self, dsn: &Arc<Dsn>, category: Category, reason: Reason, quantity: u64) {
        self.with_named(dsn, |named| {
            named.ledger.tell(category, Tally::Refused(reason), quantity);
            if self.settings.send_client_reports {
                named.destination.report.record(category, reason, quantity);
            }
        });
    }

    /// Counts what was captured and is lost: what is left of `queued`.
    pub fn lose(&self, queued: &Queued, reason: Reason) {
        queued.left().for_each(|part| self.lose_part(queued, part, reason));
    }

    /// Counts an entry that was lost before it was in the queue.
    pub fn lose_entry(&self, entry: &dyn Entry, reason: Reason) {
        let (ledger, report) = (self.ledger_of(entry.dsn()), self.report_of(entry.dsn()));
        entry.parts().iter().for_each(|part| drop_part(&ledger, report.as_deref(), part, reason));
    }

    /// Counts the parts of `queued`, which is on its way, that are left and do not go if only these categories may, and leaves them out for good.
    pub fn narrow(&self, queued: &mut Queued, may: Categories, reason: Reason) {
        let parts = queued.entry.parts();
        let lost = queued.left().filter(|part| !part.goes(parts, may));
        lost.for_each(|part| self.lose_part(queued, part, reason));
        queued.narrow(may);
    }

    /// Counts entries that had to leave the queue.
    pub fn lose_all(&self, reason: Reason, entries: &[Queued], now: Instant) {
        entries.iter().for_each(|queued| self.lose(queued, reason));
        if reason == Reason::QueueOverflow && !entries.is_empty() {
            self.note(Topic::QueueFull, now, format_args!("queue full, dropped the oldest event"));
        }
    }

    pub fn lose_part(&self, queued: &Queued, part: &Part, reason: Reason) {
        drop_part(&queued.ledger, self.report_of(queued.dsn()).as_deref(), part, reason);
    }

    /// Where the losses are reported of an entry that names that DSN, or none; `None` if Sentry is not told.
    pub fn report_of(&self, dsn: Option<&Arc<Dsn>>) -> Option<Arc<ClientReport>> {
        let Some(dsn) = dsn else { return self.report().cloned() };
        let tells = self.settings.send_client_reports;
        tells.then(|| self.with_named(dsn, |named| named.destination.report.clone()))
    }

    /// Writes a line to the log, at most one a minute and topic.
    pub fn note(&self, topic: Topic, now: Instant, text: fmt::Arguments<'_>) {
        self.notices.note(topic, now, text);
    }

    /// Says what there was at the end.
    pub fn note_end(&self, spooled: usize, lost: usize, now: Instant) {
        match (spooled, lost) {
            (0, 0) => {}
            (0, _) => self.note(Topic::Ended, now, format_args!("closed with {lost} events not sent")),
            (_, 0) => self.note(Topic::Ended, now, format_args!("closed with {spooled} events in the spool")),
            (_, _) => {
                let text = format_args!("closed with {spooled} events in the spool, {lost} not sent");
                self.note(Topic::Ended, now, text);
            }
        }
    }

    /// What the status says.
    pub fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock()
    }

    /// Keeps `error` for the status.
    pub fn fault(&self, error: String) {
        self.view().last_error = Some(error);
    }

    /// Takes in what was found where the DSN is to be.
    pub fn take_dsn(&self, found: Result<Dsn, String>, now: Instant) {
        match found {
            Ok(dsn) => {
                let dsn = Arc::new(dsn);
                self.settle_at(dsn.clone(), now);
                // Last: whoever reads it may count on it.
                self.note(Topic::DsnFound, now, format_args!("sending to {dsn}"));
            }
            Err(error) => {
                self.ledger.add(Counter::DsnFailures, 1);
                self.note(Topic::DsnUnusable, now, format_args!("{error}, events are dropped until there is one"));
                self.fault(error);
            }
        }
    }

    /// One thread that could not be started.
    pub fn count_thread_failure(&self, now: Instant, text: fmt::Arguments<'_>) {
        self.ledger.add(Counter::ThreadFailures, 1);
        self.note(Topic::ThreadFailed, now, text);
        self.fault(text.to_string());
    }

    /// One panic of the client's threads, caught.
    pub fn count_panic(&self, now: Instant) {
        self.ledger.add(Counter::Panics, 1);
        self.note(Topic::Panic, now, format_args!("sender panicked, going on"));
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.ledger.sub(Counter::QueueMaxEntries, self.settings.queue.entries as u64);
        self.ledger.sub(Counter::QueueMaxBytes, self.settings.queue.bytes as u64);
    }
}

fn drop_part(ledger: &Ledger, report: Option<&ClientReport>, part: &Part, reason: Reason) {
    ledger.tell(part.category, Tally::Dropped(reason), part.quantity);
    if let Some(report) = report {
        report.record(part.category, reason, part.quantity);
    }
}
