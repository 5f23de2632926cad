// SPDX-License-Identifier: BSD-2-Clause
//! The events that wait to be sent, bounded in number and bytes, and those who wait for the events.
//!
//! One lock guards everything here; it is held for a few moves and never while anything is sent, and no
//! other lock is taken under it. Any thread pushes and flushes; the sender and its assistants take, settle
//! and put back.
//!
//! The order: oldest first as long as the queue is less than half full, newest first above, so that
//! under pressure Sentry sees what happens now. At the bound the oldest goes. Events that have failed
//! once wait behind all others: one that the server cannot digest must not hold up the rest.

mod waiters;

use std::collections::VecDeque;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::record::Record;
use crate::stats::{Counter, Stats};
use waiters::Waiters;

/// Events are taken ahead while at least so many wait: with fewer there is nothing to gain.
const MIN_AHEAD: usize = 16;

/// An event in the queue, or on its way. In a box, for a queue has room for as many as it may ever hold.
#[derive(Debug)]
pub struct Entry(Box<Event>);

/// What an [`Entry`] is.
#[derive(Debug)]
pub struct Event {
    pub record: Record,
    /// How often it was posted.
    pub posts: u32,
    /// How many of those posts reached the server, and failed there.
    pub tries: u32,
    /// Its place among all events of this queue, from 0 on.
    seq: u64,
}

impl Deref for Entry {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0
    }
}

impl DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut Event {
        &mut self.0
    }
}

impl Event {
    /// The memory it takes: its place in the queue, and two pieces from the allocator.
    fn size(&self) -> usize {
        size_of::<Entry>() + allocated(size_of::<Event>()) + allocated(self.record.buffer_len())
    }
}

/// What an allocator takes for a piece of so many bytes: sizes come in classes, four to a doubling in
/// jemalloc, which varnishd brings along; others waste less.
fn allocated(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 8).max(16);
    bytes.next_multiple_of(step)
}

/// When the sender may take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// Not before that time.
    ShutUntil(Instant),
}

/// Who asks for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The sender: there is one, it has to know of everything, and is the last to end.
    Sender,
    /// Who sends on a further connection: wants events, and nothing else.
    Assistant,
}

/// What the one who asked has to do next.
#[derive(Debug)]
pub enum Next {
    /// Send it, then [`Queue::settle`] or [`Queue::put_back`] it. `short_handed` if others could be sent at
    /// the same time and nobody is there to do it.
    Send { entry: Entry, short_handed: bool },
    /// Look at the time and at who waits, and ask again.
    Look,
    /// Nothing more: the queue is drained, or the time to do so is over.
    End,
}

/// Where the queue is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes nothing new; what is left may be sent until then.
    Draining(Instant),
    /// The sender has ended, and has `drained` the queue or not.
    Ended {
        drained: bool,
    },
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Closed,
    TooLarge,
}

struct State {
    phase: Phase,
    fresh: VecDeque<Entry>,
    failed: VecDeque<Entry>,
    bytes: usize,
    in_flight: usize,
    /// Those of them that were taken ahead, and are not being sent yet.
    ahead: usize,
    next_seq: u64,
    waiters: Waiters,
    /// How many events may be sent at a time.
    width: usize,
    /// The sender sleeps and would take an event at once.
    hungry: bool,
    /// Assistants that sleep and would take an event at once.
    idle: usize,
    /// The sender wants to know when the queue is three quarters full.
    watched: bool,
    /// Something has happened that the sender has not looked at.
    stirred: bool,
}

/// The queue of one client.
pub struct Queue {
    state: Mutex<State>,
    /// The sender waits here.
    wake: Condvar,
    /// Its assistants wait here.
    assist: Condvar,
    /// Flushes and the end of the process wait here.
    settled: Condvar,
    max_events: usize,
    max_bytes: usize,
    stats: Arc<Stats>,
}

impl Queue {
    /// An empty queue that holds at most so many events and bytes.
    pub fn new(max_events: usize, max_bytes: usize, stats: Arc<Stats>) -> Queue {
        let state = State {
            phase: Phase::Open,
            fresh: VecDeque::new(),
            failed: VecDeque::new(),
            bytes: 0,
            in_flight: 0,
            ahead: 0,
            next_seq: 0,
            waiters: Waiters::default(),
            width: 1,
            hungry: false,
            idle: 0,
            watched: false,
            stirred: false,
        };
        let (wake, assist, settled) = (Condvar::new(), Condvar::new(), Condvar::new());
        Queue { state: Mutex::new(state), wake, assist, settled, max_events, max_bytes, stats }
    }

    /// Takes an event in; returns the oldest ones that had to go for it.
    pub fn push(&self, record: Record) -> Result<Vec<Entry>, Refused> {
        let mut entry = Entry(Box::new(Event { record, posts: 0, tries: 0, seq: 0 }));
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(Refused::Closed);
        }
        if entry.size() > self.max_bytes {
            return Err(Refused::TooLarge);
        }
        if state.fresh.capacity() == 0 {
            // Once and for all, so that a push under the lock never moves the whole queue.
            state.fresh.reserve_exact(self.max_events + 1);
        }
        entry.seq = state.next_seq;
        state.next_seq += 1;
        self.hold(&mut state, &entry);
        state.fresh.push_back(entry);
        let evicted = self.evict(&mut state);
        let crowded = state.watched && self.fills(&state, 3, 4);
        // Also for a sender that is not asleep yet.
        state.stirred |= crowded;
        let wake = mem::take(&mut state.hungry) || crowded;
        let assist = !wake && state.idle > 0 && state.has_width();
        drop(state);
        if wake {
            self.wake.notify_one();
        } else if assist {
            self.assist.notify_one();
        }
        Ok(evicted)
    }

    /// Waits for something to do, at most until `alarm` and the time the gate opens.
    pub fn next(&self, asker: Asker, gate: Gate, alarm: Instant, clock: &dyn Clock) -> Next {
        let is_sender = asker == Asker::Sender;
        let mut state = self.state.lock();
        let now = clock.now();
        let mut until = alarm;
        match state.phase {
            Phase::Draining(deadline) if now >= deadline => return Next::End,
            // What an assistant has on its way may come back to the sender.
            Phase::Draining(_) if state.is_empty() && !(is_sender && state.in_flight > 0) => return Next::End,
            Phase::Draining(deadline) => until = until.min(deadline),
            Phase::Ended { .. } => return Next::End,
            Phase::Open => {}
        }
        if is_sender && mem::take(&mut state.stirred) {
            return Next::Look;
        }
        match gate {
            Gate::Open if state.has_width() => {
                if let Some(entry) = self.take(&mut state) {
                    return self.send(&state, entry);
                }
            }
            Gate::Open => {}
            Gate::ShutUntil(opening) => until = until.min(opening),
        }
        let wait = until.saturating_duration_since(now);
        if !wait.is_zero() {
            if is_sender {
                state.hungry = gate == Gate::Open;
                self.wake.wait_for(&mut state, wait);
            } else {
                state.idle += 1;
                self.assist.wait_for(&mut state, wait);
                state.idle = state.idle.saturating_sub(1);
            }
        }
        if is_sender {
            state.hungry = false;
        }
        Next::Look
    }

    /// Takes the next event while the answer to another one is awaited, if many wait. It is on its way then, but
    /// not one that is being sent: [`Queue::resume`] says what becomes of it.
    pub fn take_ahead(&self) -> Option<Entry> {
        let mut state = self.state.lock();
        if state.has_ended() || state.len() < MIN_AHEAD {
            return None;
        }
        let entry = self.take(&mut state)?;
        state.ahead += 1;
        Some(entry)
    }

    /// Has an event sent that was taken ahead. If none may be sent now it goes back as by [`Queue::put_back`]; then
    /// returns the events that had to go for it, maybe itself.
    pub fn resume(&self, entry: Entry, gate: Gate, clock: &dyn Clock) -> Result<Next, Vec<Entry>> {
        let mut state = self.state.lock();
        state.ahead = state.ahead.saturating_sub(1);
        let in_time = match state.phase {
            Phase::Open => true,
            Phase::Draining(deadline) => clock.now() < deadline,
            Phase::Ended { .. } => false,
        };
        // It is one of those on their way itself.
        if in_time && gate == Gate::Open && state.sending() <= state.width {
            return Ok(self.send(&state, entry));
        }
        let evicted = self.take_in(&mut state, entry);
        if state.waiters.len() > 0 {
            // The sender may know already what is to become of all that wait.
            self.stir(&mut state);
        }
        Err(evicted)
    }

    /// Sets how many events may be sent at a time.
    pub fn set_width(&self, width: usize) {
        self.state.lock().width = width;
    }

    /// An event has reached its end: delivered, or dropped.
    pub fn settle(&self, entry: &Entry, delivered: bool) {
        let mut state = self.state.lock();
        self.land(&mut state);
        self.leave(&mut state, entry.seq, delivered);
    }

    /// An event comes back to be tried again. One that the server has failed on waits behind the others,
    /// one it never saw takes its old place. Returns the events that had to go for it, maybe itself.
    pub fn put_back(&self, entry: Entry) -> Vec<Entry> {
        self.take_in(&mut self.state.lock(), entry)
    }

    /// Whether a push that fills the queue to three quarters wakes the sender, be the gate open or shut.
    pub fn watch(&self, watched: bool) {
        self.state.lock().watched = watched;
    }

    /// Whether the queue is filled to more than `parts` of `whole`, in events or bytes.
    pub fn is_fuller_than(&self, parts: usize, whole: usize) -> bool {
        self.fills(&self.state.lock(), parts, whole)
    }

    /// Takes the oldest event out, whatever gate there is: to be settled or put back as one to send.
    pub fn take_oldest(&self) -> Option<Entry> {
        let mut state = self.state.lock();
        let entry = state.failed.pop_front().or_else(|| state.fresh.pop_front())?;
        self.release(&mut state, &entry);
        self.launch(&mut state);
        Some(entry)
    }

    /// Empties the queue: all events in it are dropped.
    pub fn clear(&self) -> Vec<Entry> {
        let mut state = self.state.lock();
        let mut cleared = Vec::new();
        while let Some(entry) = self.draw(&mut state) {
            self.leave(&mut state, entry.seq, false);
            cleared.push(entry);
        }
        cleared
    }

    /// Waits until every event that is in the queue or on its way now has reached its end. `true` if all
    /// were delivered; `false` if one of them was dropped, or one before them that no flush was told of, if
    /// `deadline` is reached, or at once if two others wait already.
    pub fn flush(&self, deadline: Instant, clock: &dyn Clock) -> bool {
        let mut state = self.state.lock();
        let left = state.len() + state.in_flight;
        if left == 0 {
            return !state.waiters.take_lost();
        }
        if state.waiters.is_full() || state.has_ended() || clock.now() >= deadline {
            return false;
        }
        let below = state.next_seq;
        let id = state.waiters.join(below, left, deadline);
        self.stir(&mut state);
        let delivered = loop {
            if let Some(delivered) = state.waiters.outcome(id) {
                break delivered;
            }
            let wait = deadline.saturating_duration_since(clock.now());
            if wait.is_zero() || state.has_ended() {
                break false;
            }
            self.settled.wait_for(&mut state, wait);
        };
        state.waiters.part(id);
        delivered
    }

    /// The deadline of whoever waits for delivery and gives up first: a flush, or the end of the client.
    pub fn waiter(&self) -> Option<Instant> {
        let state = self.state.lock();
        let drain = match state.phase {
            Phase::Draining(deadline) => Some(deadline),
            Phase::Open | Phase::Ended { .. } => None,
        };
        state.waiters.deadlines().chain(drain).min()
    }

    /// Takes nothing new from now on; what is left may be sent until `deadline`. Of two deadlines the
    /// earlier one counts.
    pub fn drain(&self, deadline: Instant) {
        let mut state = self.state.lock();
        state.phase = match state.phase {
            Phase::Open => Phase::Draining(deadline),
            Phase::Draining(earlier) => Phase::Draining(earlier.min(deadline)),
            ended @ Phase::Ended { .. } => ended,
        };
        self.stir(&mut state);
    }

    /// The end of the drain, if it has begun.
    pub fn drain_deadline(&self) -> Option<Instant> {
        match self.state.lock().phase {
            Phase::Draining(deadline) => Some(deadline),
            Phase::Open | Phase::Ended { .. } => None,
        }
    }

    /// No sender any more: whoever waits is told. The first call counts. Returns the events that came back too
    /// late for the sender to see them.
    pub fn end(&self, drained: bool) -> Vec<Entry> {
        let mut state = self.state.lock();
        if !state.has_ended() {
            state.phase = Phase::Ended { drained };
        }
        self.settled.notify_all();
        drop(state);
        self.clear()
    }

    /// Whether there is no sender any more.
    pub fn has_ended(&self) -> bool {
        self.state.lock().has_ended()
    }

    /// Waits for [`Queue::end`], at most until `deadline`; whether the queue was drained by then, `None` if
    /// the end has not come.
    pub fn wait_for_end(&self, deadline: Instant, clock: &dyn Clock) -> Option<bool> {
        let mut state = self.state.lock();
        loop {
            if let Phase::Ended { drained } = state.phase {
                return Some(drained);
            }
            let wait = deadline.saturating_duration_since(clock.now());
            if wait.is_zero() {
                return None;
            }
            self.settled.wait_for(&mut state, wait);
        }
    }

    /// Waits until no event is on its way, at most until `deadline`.
    pub fn wait_until_landed(&self, deadline: Instant, clock: &dyn Clock) {
        let mut state = self.state.lock();
        while state.in_flight > 0 {
            let wait = deadline.saturating_duration_since(clock.now());
            if wait.is_zero() || self.wake.wait_for(&mut state, wait).timed_out() {
                return;
            }
        }
    }

    /// Whether an event is on its way.
    pub fn is_sending(&self) -> bool {
        self.state.lock().in_flight > 0
    }

    /// Events in the queue, and their bytes.
    pub fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.len(), state.bytes)
    }

    fn take_in(&self, state: &mut State, entry: Entry) -> Vec<Entry> {
        if state.has_ended() {
            // Of an assistant that was late: nobody would take it again.
            self.land(state);
            self.leave(state, entry.seq, false);
            return vec![entry];
        }
        self.hold(state, &entry);
        if entry.tries > 0 {
            state.failed.push_back(entry);
        } else {
            let place = state.fresh.partition_point(|other| other.seq < entry.seq);
            state.fresh.insert(place, entry);
        }
        self.land(state);
        self.evict(state)
    }

    /// What to do with an event that is on its way, and whether somebody could help.
    fn send(&self, state: &State, entry: Entry) -> Next {
        let more = !state.is_empty() && state.has_width();
        if more && state.idle > 0 {
            self.assist.notify_one();
        }
        Next::Send { entry, short_handed: more && state.idle == 0 }
    }

    fn launch(&self, state: &mut State) {
        state.in_flight += 1;
        self.stats.add(Counter::Sending, 1);
    }

    /// One event less is on its way: the sender may have waited for that, to send or to end.
    fn land(&self, state: &mut State) {
        state.in_flight = state.in_flight.saturating_sub(1);
        self.stats.sub(Counter::Sending, 1);
        if state.in_flight == 0 && matches!(state.phase, Phase::Draining(_)) {
            state.stirred = true;
            self.wake.notify_one();
        } else if state.hungry && !state.is_empty() {
            self.wake.notify_one();
        }
    }

    fn stir(&self, state: &mut MutexGuard<'_, State>) {
        state.stirred = true;
        self.wake.notify_all();
    }

    /// Takes the next event to send out of the queue, and has it on its way.
    fn take(&self, state: &mut State) -> Option<Entry> {
        let entry = self.draw(state)?;
        self.launch(state);
        Some(entry)
    }

    fn draw(&self, state: &mut State) -> Option<Entry> {
        let fresh = if self.fills(state, 1, 2) { state.fresh.pop_back() } else { state.fresh.pop_front() };
        let entry = fresh.or_else(|| state.failed.pop_front())?;
        self.release(state, &entry);
        Some(entry)
    }

    fn fills(&self, state: &State, parts: usize, whole: usize) -> bool {
        state.len() * whole > self.max_events * parts || state.bytes * whole > self.max_bytes * parts
    }

    /// Drops the oldest until the bounds hold; events that have failed are older than all others.
    fn evict(&self, state: &mut State) -> Vec<Entry> {
        let mut evicted = Vec::new();
        while state.len() > self.max_events || state.bytes > self.max_bytes {
            let Some(entry) = state.failed.pop_front().or_else(|| state.fresh.pop_front()) else { break };
            self.release(state, &entry);
            self.leave(state, entry.seq, false);
            evicted.push(entry);
        }
        evicted
    }

    fn hold(&self, state: &mut State, entry: &Entry) {
        state.bytes += entry.size();
        self.stats.add(Counter::QueueEvents, 1);
        self.stats.add(Counter::QueueBytes, entry.size() as u64);
    }

    fn release(&self, state: &mut State, entry: &Entry) {
        state.bytes = state.bytes.saturating_sub(entry.size());
        self.stats.sub(Counter::QueueEvents, 1);
        self.stats.sub(Counter::QueueBytes, entry.size() as u64);
    }

    /// Tells those who wait for the event `seq`.
    fn leave(&self, state: &mut State, seq: u64, delivered: bool) {
        if state.waiters.tell(seq, delivered) {
            self.settled.notify_all();
        }
    }
}

impl State {
    fn len(&self) -> usize {
        self.fresh.len() + self.failed.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// How many events are being sent.
    fn sending(&self) -> usize {
        self.in_flight.saturating_sub(self.ahead)
    }

    /// Whether one more may be sent at the same time.
    fn has_width(&self) -> bool {
        self.sending() < self.width
    }
}

#[cfg(test)]
mod tests;
