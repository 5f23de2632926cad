// SPDX-License-Identifier: BSD-2-Clause
//! The loop: reads what there is, waits for more, and finds the log again when it is gone or has run away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use transaction::consumer::Consumer;
use transaction::counters::Counters;
use transaction::group::Incomplete;
use transaction::source::{Lost, SourceEvent};
use vapi::log::{From, Log, Outcome};

use super::memory::Memory;
use super::opening::{Opened, prepare};
use super::progress::{Ending, Progress, add};
use super::remembering::{Memo, StateFile};
use super::settings::{Input, Settings};
use super::telling::{Tally, Telling, note_reading};
use super::watching::Watch;
use super::whereabouts::LogFile;
use crate::cli::Cli;

/// Records, or batches of them, that are read before anything else is looked at.
const STEPS: u32 = 64;
/// Until more is looked for where there was nothing.
const PAUSE: Duration = Duration::from_millis(10);
/// The same for a log that is not there, and how often it is looked whether the one that is read still is.
const LOOK: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_secs(1);
/// Two overruns within this, and reading is too slow for this server: then more is let go at once, so that what is read is whole.
const OFTEN: Duration = Duration::from_secs(10);
/// How long the manager may take to say what a child's panic was.
const CLI: Duration = Duration::from_secs(3);

/// What others have a reader do.
pub enum Order {
    Replace(Box<dyn Consumer>),
    Flush,
    Stop,
}

enum Turn {
    On,
    Wait(Duration),
    Over(Ending),
}

/// Follows a log.
pub struct Follower {
    settings: Settings,
    log: Log,
    consumer: Box<dyn Consumer>,
    orders: Receiver<Order>,
    progress: Arc<Progress>,
    tally: Tally,
    is_server: bool,
    /// Whether there is something to read in `log`.
    is_open: bool,
    /// Which log it is; for a server only.
    file: Option<LogFile>,
    /// The name of the log that was left: it may be found again as long as there is no other.
    left: Option<String>,
    /// The child that writes it is gone, and nothing more will come.
    is_over: bool,
    /// Whether a server was looked for and no child of it found.
    has_waited: bool,
    state: Option<StateFile>,
    /// What an earlier process remembered, until a log is found.
    memo: Option<Memo>,
    cli: Option<Cli>,
    watch: Watch,
    counters: Counters,
    memory: Memory,
    /// Since the last look at the memory.
    has_read: bool,
    last_overrun: Option<Instant>,
    /// Somebody wants what is under way, at the end of the log or by then.
    flush_by: Option<Instant>,
    /// The next record that is read shows whether some are missing.
    may_have_gap: bool,
    next_look: Instant,
    next_tick: Instant,
}

impl Follower {
    pub fn new(
        opened: Opened,
        consumer: Box<dyn Consumer>,
        orders: Receiver<Order>,
        progress: Arc<Progress>,
    ) -> Follower {
        let Opened { settings, log } = opened;
        let is_file = matches!(settings.input, Input::File(_));
        let state = settings.state.as_deref().filter(|_| !is_file).map(StateFile::new);
        let now = Instant::now();
        Follower {
            log,
            watch: Watch::new(consumer.counters()),
            consumer,
            orders,
            progress,
            tally: Tally::new(settings.limit),
            settings,
            is_server: !is_file,
            is_open: is_file,
            file: None,
            left: None,
            is_over: false,
            has_waited: false,
            state,
            memo: None,
            cli: None,
            counters: Counters::default(),
            memory: Memory::new(),
            has_read: false,
            last_overrun: None,
            flush_by: None,
            may_have_gap: false,
            next_look: now,
            next_tick: now + TICK,
        }
    }

    pub fn run(mut self) -> Ending {
        self.recall();
        let ending = loop {
            add(&self.progress.beats, 1);
            if let Ok(order) = self.orders.try_recv()
                && self.obey(order)
            {
                break Ending::Stopped;
            }
            let now = Instant::now();
            self.keep_house(now);
            match self.turn(now) {
                Turn::On => {}
                Turn::Over(ending) => break ending,
                Turn::Wait(pause) => {
                    let is_to_end = match self.orders.recv_timeout(pause) {
                        Ok(order) => self.obey(order),
                        Err(RecvTimeoutError::Timeout) => false,
                        // Whoever could give orders is gone.
                        Err(RecvTimeoutError::Disconnected) => true,
                    };
                    if is_to_end {
                        break Ending::Stopped;
                    }
                }
            }
        };
        // What is under way will be read again from the place that is remembered.
        if ending == Ending::Stopped && self.state.is_none() {
            self.flush(Incomplete::EndOfLog);
        }
        self.tell_lost();
        self.remember();
        ending
    }

    /// Whether it is to end.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Replace(consumer) => {
                self.consumer = consumer;
                self.log.forget_counters();
                self.watch.name(self.consumer.counters());
            }
            Order::Flush => self.flush_by = Some(Instant::now() + TICK),
            Order::Stop => return true,
        }
        false
    }

    fn turn(&mut self, now: Instant) -> Turn {
        if !self.is_open && !self.find() {
            return Turn::Wait(LOOK);
        }
        let outcome = self.read();
        // What is in the log already is part of what is under way; a log that is never read to its end is not waited for.
        if self.flush_by.is_some_and(|by| outcome != Outcome::More || now >= by) {
            self.flush_by = None;
            self.flush(Incomplete::Flushed);
        }
        match outcome {
            Outcome::More => Turn::On,
            Outcome::End if self.is_over => self.leave(),
            Outcome::End => Turn::Wait(PAUSE),
            Outcome::EndOfFile => {
                self.flush(Incomplete::EndOfLog);
                Turn::Over(Ending::EndOfLog)
            }
            Outcome::Overrun => {
                self.catch_up(now);
                Turn::On
            }
            Outcome::Stopped => Turn::Over(Ending::Limit),
            Outcome::Abandoned | Outcome::Broken => match &self.settings.input {
                Input::Server(_) => self.leave(),
                Input::File(path) => {
                    let trouble = format!("{}: the log file is damaged, or its end is missing", path.display());
                    self.flush(Incomplete::EndOfLog);
                    self.happened(&SourceEvent::Trouble(trouble));
                    Turn::Over(Ending::Broken)
                }
            },
        }
    }

    fn read(&mut self) -> Outcome {
        let steps = if self.may_have_gap { 1 } else { STEPS };
        let mut telling = Telling::new(&mut *self.consumer, &mut self.tally, &self.progress);
        let (outcome, steps) = self.log.dispatch(steps, &mut telling);
        if steps > 0 {
            self.has_read = true;
            note_reading(&self.progress);
            self.see_gap();
        }
        outcome
    }

    /// What was read last is the oldest record that there is: it should be no newer than the one that was read last by an earlier process.
    fn see_gap(&mut self) {
        if !std::mem::take(&mut self.may_have_gap) {
            return;
        }
        if let (Some(told), Some(position)) = (self.tally.told, self.log.position())
            && position.is_after(told)
        {
            self.tally.lost.gaps += 1;
        }
    }

    fn flush(&mut self, why: Incomplete) {
        let mut telling = Telling::new(&mut *self.consumer, &mut self.tally, &self.progress).flushing(why);
        self.log.flush(&mut telling);
    }

    /// The server was faster: goes on with the oldest records that are left, or if that happens often with the newest.
    fn catch_up(&mut self, now: Instant) {
        self.flush(Incomplete::Overrun);
        self.tally.lost.overruns += 1;
        self.tally.told = self.log.position();
        let is_often = self.last_overrun.is_some_and(|last| now.duration_since(last) < OFTEN);
        self.last_overrun = Some(now);
        let from = match (self.settings.old_only, is_often) {
            (true, _) => From::HeadToTail,
            (false, true) => From::Tail,
            (false, false) => From::Head,
        };
        self.is_open = self.log.open(from);
    }

    /// Looks for a log that was not read yet.
    fn find(&mut self) -> bool {
        if !self.log.attach() {
            self.has_waited = true;
            return false;
        }
        self.log.running();
        let is_first = self.file.is_none() && self.left.is_none();
        let from = match (self.settings.old_only, is_first && self.memo.is_none() && !self.has_waited) {
            (true, _) => From::HeadToTail,
            (false, true) => From::Tail,
            // Nothing of a new child's log was read yet.
            (false, false) => From::Head,
        };
        if !self.log.open(from) {
            self.has_waited = true;
            return false;
        }
        let file = self.log.address().and_then(LogFile::at);
        let name = file.as_ref().map(|file| &*file.name);
        if name.is_some() && name == self.left.as_deref() {
            self.log.close();
            return false;
        }
        let is_same = file.is_some() && file == self.file;
        self.is_open = true;
        self.is_over = false;
        self.file = file;
        self.log.hold_panic();
        if !is_same {
            self.found(is_first);
        }
        true
    }

    fn found(&mut self, is_first: bool) {
        self.tally.told = None;
        let listen = self.log.argument("-T").unwrap_or_default();
        self.cli = Some(Cli::new(&listen, self.log.argument("-S").as_deref()));
        self.log.count(self.watch.patterns(), &mut self.counters);
        if let Some(memo) = self.memo.take() {
            self.resume(&memo);
        }
        self.watch.see(&self.counters);
        let child = self.file.as_ref().and_then(|file| file.child);
        self.progress.reads(child);
        let is_new = !is_first || self.has_waited;
        let identity = self.log.argument("-i");
        self.happened(&SourceEvent::ChildSeen { child, is_new, identity });
    }

    /// Goes on where an earlier process has ended.
    fn resume(&mut self, memo: &Memo) {
        let Some(file) = &self.file else { return };
        if file.name == memo.log {
            self.tally.told = Some(memo.position);
            self.may_have_gap = true;
        }
        let is_same_manager = file.manager.is_some() && file.manager == memo.manager;
        self.watch.knew(memo.panics);
        if is_same_manager && self.watch.has_panicked(&self.counters) {
            let panic = Some(self.ask_for_panic());
            self.happened(&SourceEvent::ChildGone { child: memo.child, panic });
        }
    }

    /// The log is at its end, and the child that wrote it is gone. The next one is read by a new handle: what the library thinks of the old one is of no
    /// use to it.
    fn leave(&mut self) -> Turn {
        self.flush(Incomplete::Abandoned);
        self.progress.is_reading.store(false, std::sync::atomic::Ordering::Relaxed);
        self.log.running();
        self.log.count(self.watch.patterns(), &mut self.counters);
        let has_panicked = self.watch.has_panicked(&self.counters);
        let panic = self.log.panic().or_else(|| has_panicked.then(|| self.ask_for_panic()));
        let file = self.file.take();
        let child = file.as_ref().and_then(|file| file.child);
        self.left = file.map(|file| file.name).or(self.left.take());
        self.happened(&SourceEvent::ChildGone { child, panic });
        self.tell_lost();
        self.is_open = false;
        self.is_over = false;
        self.tally.told = None;
        match prepare(&self.settings) {
            Ok(log) => {
                self.log = log;
                Turn::On
            }
            Err(trouble) => {
                self.happened(&SourceEvent::Trouble(trouble));
                Turn::Over(Ending::Broken)
            }
        }
    }

    /// What the last child that panicked said, by its manager; empty if that does not tell.
    fn ask_for_panic(&self) -> String {
        let answer = self.cli.as_ref().and_then(|cli| cli.ask("panic.show", CLI).ok());
        // Its first line says which child and when.
        answer.and_then(|answer| Some(answer.split_once('\n')?.1.trim_end().to_owned())).unwrap_or_default()
    }

    fn keep_house(&mut self, now: Instant) {
        if std::mem::take(&mut self.has_read) && self.memory.is_scarce(now) {
            self.flush(Incomplete::OutOfMemory);
            self.memory.was_freed();
        }
        if self.is_open && self.is_server && now >= self.next_look {
            self.next_look = now + LOOK;
            self.log.running();
            self.is_over |= !self.log.has_child();
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.is_over |= self.file.as_ref().is_some_and(|file| !file.is_there());
        self.log.count(self.watch.patterns(), &mut self.counters);
        if self.watch.see(&self.counters) {
            self.happened(&SourceEvent::ManagerGone);
        }
        self.tell_lost();
        let Follower { consumer, counters, progress, .. } = self;
        guarded(progress, || consumer.tick(counters, SystemTime::now()));
        self.remember();
    }

    fn tell_lost(&mut self) {
        let lost = std::mem::take(&mut self.tally.lost);
        if lost != Lost::default() {
            self.progress.lose(&lost);
            self.happened(&SourceEvent::Lost(lost));
        }
    }

    fn happened(&mut self, event: &SourceEvent) {
        let Follower { consumer, progress, .. } = self;
        guarded(progress, || consumer.happened(event, SystemTime::now()));
    }

    /// Reads what an earlier process has remembered.
    fn recall(&mut self) {
        match self.state.as_mut().map(StateFile::read) {
            Some(Ok(memo)) => self.memo = memo,
            Some(Err(trouble)) => self.happened(&SourceEvent::Trouble(trouble)),
            None => {}
        }
    }

    fn remember(&mut self) {
        let (Some(state), Some(file)) = (&mut self.state, &self.file) else { return };
        // What an earlier process has told is told, even if this one has not come so far.
        let told = self.tally.told;
        let position = self.log.position().filter(|position| told.is_none_or(|told| position.is_after(told)));
        let Some(position) = position.or(told) else { return };
        let (child, manager, panics) = (file.child, file.manager, self.watch.panics());
        let memo = Memo { log: file.name.clone(), child, manager, position, panics };
        if let Err(trouble) = state.write(&memo) {
            self.happened(&SourceEvent::Trouble(trouble));
        }
    }
}

/// Calls a consumer. What it leaves half done when it panics is its own; it is called again.
fn guarded(progress: &Progress, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        add(&progress.panics, 1);
        // The payload's own Drop may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    }
}
