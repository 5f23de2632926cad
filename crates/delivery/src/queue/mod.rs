// SPDX-License-Identifier: BSD-2-Clause
//! The entries that wait to be sent, bounded in number and bytes, and those who wait for the entries.
//!
//! One lock guards everything here; request threads hold it for a few moves, and no other lock is taken under it. Any thread pushes and flushes;
//! the sender takes, settles and puts back. What it has on its way counts against the bounds.
//!
//! The order: projects take turns; of one it is oldest first as long as the queue is less than half full, newest first above, so that under pressure Sentry sees what happens now; whatever the
//! weight. At the bound the oldest of the least weight goes, of the project that holds most: so each has a share that no other one can take, the bound divided by how many there are.

mod lanes;
mod queued;
mod waiters;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use protocol::dsn::Dsn;
use protocol::entry::Entry;

use crate::clock::Clock;
use crate::counters::{Counter, Ledger, Tally};
use crate::settings::QueueBounds;
use lanes::Lanes;
pub use lanes::Passage;
pub use queued::{Queued, going};
use waiters::Waiters;

/// Few entries take less, in bytes: a lane with places for so many of them seldom grows.
const USUAL: usize = 1024;

/// Where the queue is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Open,
    /// Takes nothing new; what is left may be sent until `last_send`, and has reached its end at `end`.
    Draining {
        last_send: Instant,
        end: Instant,
    },
    /// There is no sender any more, and all was delivered or kept, or not.
    Ended {
        drained: bool,
    },
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Closed,
    TooLarge,
}

/// What the sender wants to be woken for, besides what concerns it in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appetite {
    /// So many entries that may be sent.
    pub now: usize,
    /// So many that may be made ready at least.
    pub next: usize,
    /// A queue that is three quarters full.
    pub crowd: bool,
}

/// What the sender has to know of the queue before it decides.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    pub phase: Phase,
    /// Entries that wait.
    pub waiting: usize,
    pub under_way: usize,
    pub is_half_full: bool,
    pub is_crowded: bool,
    /// The deadline of whoever waits for delivery and gives up first: a flush, or the end of the client.
    pub waiter: Option<Instant>,
}

/// How many entries may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Those that may be sent.
    pub now: usize,
    /// Those that may be made ready at least.
    pub next: usize,
}

struct State {
    phase: Phase,
    lanes: Lanes,
    under_way: usize,
    bytes_under_way: usize,
    next_seq: u64,
    waiters: Waiters,
    /// What the sender sleeps for; `None` while it is awake.
    asleep: Option<Appetite>,
    /// Something has happened that the sender has not looked at.
    is_stirred: bool,
    /// After the end: all that was left is counted and said.
    is_told: bool,
}

/// The queue of one client.
pub struct Queue {
    state: Mutex<State>,
    /// Flushes and the end of the process wait here.
    settled: Condvar,
    bounds: QueueBounds,
    /// Wakes the sender.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Queue {
    /// An empty queue. `wake` is called at most once for each time that the sender sleeps, and under no lock.
    pub fn new(bounds: QueueBounds, wake: Box<dyn Fn() + Send + Sync>) -> Queue {
        // The places are memory that nothing counts: no more of them than the bytes are enough for.
        let room = bounds.entries.min(bounds.bytes / USUAL);
        let state = State {
            phase: Phase::Open,
            lanes: Lanes::new(room + 1),
            under_way: 0,
            bytes_under_way: 0,
            next_seq: 0,
            waiters: Waiters::default(),
            asleep: None,
            is_stirred: false,
            is_told: false,
        };
        Queue { state: Mutex::new(state), settled: Condvar::new(), bounds, wake }
    }

    /// Takes an entry in that counts in `ledger`; returns those that had to go for it, maybe itself.
    pub fn push(&self, entry: Box<dyn Entry>, ledger: Arc<Ledger>) -> Result<Vec<Queued>, (Refused, Box<dyn Entry>)> {
        let mut queued = Queued::new(entry, ledger);
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err((Refused::Closed, queued.entry));
        }
        if queued.size > self.bounds.bytes {
            return Err((Refused::TooLarge, queued.entry));
        }
        queued.seq = state.next_seq;
        state.next_seq += 1;
        self.hold(&mut state, queued);
        let evicted = self.evict(&mut state);
        let is_wanted = state.asleep.is_some_and(|appetite| self.is_there(&state, appetite));
        if is_wanted {
            state.asleep = None;
        }
        drop(state);
        if is_wanted {
            (self.wake)();
        }
        Ok(evicted)
    }

    /// Takes the next entry out that may pass as far as that; it is on its way then.
    pub fn take(&self, least: Passage) -> Option<Queued> {
        let mut state = self.state.lock();
        let newest = self.fills(&state, 1, 2);
        let queued = state.lanes.take(newest, least)?;
        Some(self.launch(&mut state, queued))
    }

    /// Takes the oldest entry out whose destination `is_meant`, whether it may pass or not; it is on its way then. `is_meant` takes no lock.
    pub fn take_oldest(&self, is_meant: &dyn Fn(Option<&Arc<Dsn>>) -> bool) -> Option<Queued> {
        let mut state = self.state.lock();
        let queued = state.lanes.take_oldest(is_meant)?;
        Some(self.launch(&mut state, queued))
    }

    /// An entry that was on its way has reached its end: delivered, or not.
    pub fn settle(&self, queued: &Queued, delivered: bool) {
        let mut state = self.state.lock();
        self.land(&mut state, queued);
        self.leave(&mut state, queued.seq, delivered);
    }

    /// An entry comes back to be tried again. One that the server has failed on waits behind the others, one it never saw takes its
    /// old place. `Err` after the end: nobody would take it again.
    pub fn put_back(&self, queued: Queued) -> Result<(), Queued> {
        let mut state = self.state.lock();
        self.land(&mut state, &queued);
        if matches!(state.phase, Phase::Ended { .. }) {
            self.leave(&mut state, queued.seq, false);
            return Err(queued);
        }
        self.hold(&mut state, queued);
        Ok(())
    }

    /// Takes the entries of one destination out that `goes` names: they are dropped.
    pub fn sweep(&self, dsn: Option<&Arc<Dsn>>, goes: &dyn Fn(&Queued) -> bool) -> Vec<Queued> {
        let mut state = self.state.lock();
        let swept = state.lanes.sweep(dsn, goes);
        swept.iter().for_each(|queued| self.let_go(&mut state, queued));
        swept
    }

    /// Has `judge` say for each destination with entries how far they may pass. It takes no lock.
    pub fn judge(&self, judge: &mut dyn FnMut(Option<&Arc<Dsn>>) -> Passage) -> Open {
        let lanes = &mut self.state.lock().lanes;
        lanes.judge(judge);
        Open { now: lanes.open(Passage::Now), next: lanes.open(Passage::Next) }
    }

    /// Whether an entry waits for that destination that may be made ready at least.
    pub fn is_open_for(&self, dsn: Option<&Arc<Dsn>>) -> bool {
        self.state.lock().lanes.is_open_for(dsn)
    }

    /// The sender looks: it is awake, and knows of all that has happened.
    pub fn look(&self) -> Outlook {
        let mut state = self.state.lock();
        state.asleep = None;
        state.is_stirred = false;
        let drain = match state.phase {
            Phase::Draining { last_send, .. } => Some(last_send),
            Phase::Open | Phase::Ended { .. } => None,
        };
        Outlook {
            phase: state.phase,
            waiting: state.lanes.len(),
            under_way: state.under_way,
            is_half_full: self.fills(&state, 1, 2),
            is_crowded: self.is_crowded(&state),
            waiter: state.waiters.deadlines().chain(drain).min(),
        }
    }

    /// The sender is about to sleep, to be woken for that. `false` if it must not: what it waits for is there, or something has
    /// happened since its last [`Queue::look`].
    pub fn rest(&self, appetite: Appetite) -> bool {
        let mut state = self.state.lock();
        let rests = !self.is_there(&state, appetite) && !state.is_stirred;
        state.asleep = rests.then_some(appetite);
        rests
    }

    /// Waits until every entry that is in the queue or on its way now has reached its end. `true` if all were delivered; `false` if one of them was dropped, or one
    /// before them that no flush was told of, if `deadline` is reached, or at once if two others wait already.
    pub fn flush(&self, deadline: Instant, clock: &dyn Clock) -> bool {
        let mut state = self.state.lock();
        let left = state.lanes.len() + state.under_way;
        if left == 0 {
            return !state.waiters.take_lost();
        }
        if state.waiters.is_full() || matches!(state.phase, Phase::Ended { .. }) || clock.now() >= deadline {
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
            if wait.is_zero() || matches!(state.phase, Phase::Ended { .. }) {
                break false;
            }
            self.settled.wait_for(&mut state, wait);
        };
        state.waiters.part(id);
        delivered
    }

    /// Takes nothing new from now on; what is left may be sent until `last_send`, and ends at `end`. Of two times the
    /// earlier one counts.
    pub fn drain(&self, last_send: Instant, end: Instant) {
        let mut state = self.state.lock();
        state.phase = match state.phase {
            Phase::Open => Phase::Draining { last_send, end },
            Phase::Draining { last_send: earlier, end: ends } => {
                Phase::Draining { last_send: earlier.min(last_send), end: ends.min(end) }
            }
            ended @ Phase::Ended { .. } => ended,
        };
        self.stir(&mut state);
    }

    /// No sender any more: flushes are told. Returns what is left in the queue and how many are on their way; `None` if the end was before.
    /// Who has counted that calls [`Queue::tell_end`].
    pub fn end(&self, drained: bool) -> Option<(Vec<Queued>, usize)> {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Ended { .. }) {
            return None;
        }
        let left = self.clear(&mut state);
        let under_way = state.under_way;
        state.phase = Phase::Ended { drained: drained && left.is_empty() && under_way == 0 };
        self.settled.notify_all();
        self.stir(&mut state);
        Some((left, under_way))
    }

    /// Who waits for the end may go on: with the process, what is not counted and said by now never would be.
    pub fn tell_end(&self) {
        self.state.lock().is_told = true;
        self.settled.notify_all();
    }

    /// Waits for [`Queue::tell_end`], at most until `deadline`; whether all was delivered or kept by then, `None` if the end has not come.
    pub fn wait_for_end(&self, deadline: Instant, clock: &dyn Clock) -> Option<bool> {
        let mut state = self.state.lock();
        loop {
            if let Phase::Ended { drained } = state.phase
                && state.is_told
            {
                return Some(drained);
            }
            let wait = deadline.saturating_duration_since(clock.now());
            if wait.is_zero() {
                return None;
            }
            self.settled.wait_for(&mut state, wait);
        }
    }

    /// Entries in the queue, and their bytes.
    pub fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.lanes.len(), state.lanes.bytes())
    }

    /// What counts against the bounds: entries in the queue and on their way, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.lanes.len() + state.under_way, state.lanes.bytes() + state.bytes_under_way)
    }

    /// Entries in the queue whose destination `is_meant`. It takes no lock.
    pub fn count(&self, is_meant: &dyn Fn(Option<&Arc<Dsn>>) -> bool) -> usize {
        self.state.lock().lanes.count(is_meant)
    }

    /// Entries on their way.
    pub fn under_way(&self) -> usize {
        self.state.lock().under_way
    }

    /// Has a sender that sleeps look at what has happened.
    fn stir(&self, state: &mut MutexGuard<'_, State>) {
        state.is_stirred = true;
        if state.asleep.take().is_some() {
            MutexGuard::unlocked(state, || (self.wake)());
        }
    }

    fn launch(&self, state: &mut State, queued: Queued) -> Queued {
        release(&queued);
        state.under_way += 1;
        state.bytes_under_way += queued.size;
        queued.ledger.add(Counter::UnderWay, 1);
        queued.count_in(Tally::UnderWay);
        queued
    }

    fn land(&self, state: &mut State, queued: &Queued) {
        state.under_way = state.under_way.saturating_sub(1);
        state.bytes_under_way = state.bytes_under_way.saturating_sub(queued.size);
        queued.ledger.sub(Counter::UnderWay, 1);
        queued.count_out(Tally::UnderWay);
    }

    /// Whether what the sender sleeps for is there.
    fn is_there(&self, state: &State, appetite: Appetite) -> bool {
        let has = |least, wanted| wanted < usize::MAX && state.lanes.open(least) >= wanted;
        has(Passage::Now, appetite.now)
            || has(Passage::Next, appetite.next)
            || (appetite.crowd && self.is_crowded(state))
    }

    fn fills(&self, state: &State, parts: usize, whole: usize) -> bool {
        let (len, bytes) = (state.lanes.len(), state.lanes.bytes());
        len * whole > self.bounds.entries * parts || bytes * whole > self.bounds.bytes * parts
    }

    fn is_crowded(&self, state: &State) -> bool {
        self.fills(state, 3, 4)
    }

    /// Drops as many as it takes for the bounds to hold.
    fn evict(&self, state: &mut State) -> Vec<Queued> {
        let mut evicted = Vec::new();
        loop {
            let is_over = state.lanes.len() + state.under_way > self.bounds.entries;
            let is_too_large = state.lanes.bytes() + state.bytes_under_way > self.bounds.bytes;
            if !is_over && !is_too_large {
                return evicted;
            }
            let Some(queued) = state.lanes.evict(!is_over) else { return evicted };
            self.let_go(state, &queued);
            evicted.push(queued);
        }
    }

    fn clear(&self, state: &mut State) -> Vec<Queued> {
        let cleared = state.lanes.clear();
        cleared.iter().for_each(|queued| self.let_go(state, queued));
        cleared
    }

    /// An entry has left the queue, and is dropped.
    fn let_go(&self, state: &mut State, queued: &Queued) {
        release(queued);
        self.leave(state, queued.seq, false);
    }

    fn hold(&self, state: &mut State, queued: Queued) {
        let ledger = &queued.ledger;
        ledger.add(Counter::QueueEntries, 1);
        ledger.add(Counter::QueueBytes, queued.size as u64);
        queued.count_in(Tally::Waiting);
        state.lanes.add(queued);
    }

    /// Tells those who wait for the entry `seq`.
    fn leave(&self, state: &mut State, seq: u64, delivered: bool) {
        if state.waiters.tell(seq, delivered) {
            self.settled.notify_all();
        }
    }
}

/// It does not wait in the queue any more.
fn release(queued: &Queued) {
    let ledger = &queued.ledger;
    ledger.sub(Counter::QueueEntries, 1);
    ledger.sub(Counter::QueueBytes, queued.size as u64);
    queued.count_out(Tally::Waiting);
}

#[cfg(test)]
mod tests;
