// SPDX-License-Identifier: BSD-2-Clause
//! The events that wait for the sender, bounded in number and bytes, and those who wait for the events.
//!
//! One lock guards everything here; it is held for a few moves and never while anything is sent, and no
//! other lock is taken under it. Any thread pushes and flushes; senders take, settle and put back.
//!
//! The order: oldest first as long as the queue is less than half full, newest first above, so that
//! under pressure Sentry sees what happens now. At the bound the oldest goes. Events that have failed
//! once wait behind all others: one that the server cannot digest must not hold up the rest.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::record::Record;
use crate::stats::{Counter, Stats};

/// Flushes that may wait at a time; further ones return at once, or a stall would park the thread pool.
const MAX_WAITERS: usize = 2;

/// An event in the queue, or on its way.
#[derive(Debug)]
pub struct Entry {
    pub record: Record,
    /// How often it was posted.
    pub posts: u32,
    /// How many of those posts reached the server, and failed there.
    pub tries: u32,
    /// Its place among all events of this queue, from 0 on.
    seq: u64,
}

impl Entry {
    fn size(&self) -> usize {
        size_of::<Entry>() - size_of::<Record>() + self.record.size()
    }
}

/// When the sender may take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// Not before that time.
    ShutUntil(Instant),
}

/// What the sender has to do next.
#[derive(Debug)]
pub enum Next {
    /// Send it, then [`Queue::settle`] or [`Queue::put_back`] it.
    Send(Entry),
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

/// A flush in progress.
struct Waiter {
    id: u64,
    /// It waits for the events with lower numbers.
    below: u64,
    /// How many of those are still on their way.
    left: usize,
    /// One of them was dropped.
    lost: bool,
    deadline: Instant,
}

struct State {
    phase: Phase,
    fresh: VecDeque<Entry>,
    failed: VecDeque<Entry>,
    bytes: usize,
    in_flight: usize,
    next_seq: u64,
    waiters: Vec<Waiter>,
    next_waiter: u64,
    /// An event was dropped that no flush was waiting for: the next one is told.
    lost: bool,
    /// The sender sleeps and would take an event at once.
    hungry: bool,
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
            next_seq: 0,
            waiters: Vec::new(),
            next_waiter: 0,
            lost: false,
            hungry: false,
            watched: false,
            stirred: false,
        };
        let (wake, settled) = (Condvar::new(), Condvar::new());
        Queue { state: Mutex::new(state), wake, settled, max_events, max_bytes, stats }
    }

    /// Takes an event in; returns the oldest ones that had to go for it.
    pub fn push(&self, record: Record) -> Result<Vec<Entry>, Refused> {
        let mut entry = Entry { record, posts: 0, tries: 0, seq: 0 };
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
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(evicted)
    }

    /// Waits for something to do, at most until `alarm` and the time the gate opens.
    pub fn next(&self, gate: Gate, alarm: Instant, clock: &dyn Clock) -> Next {
        let mut state = self.state.lock();
        let now = clock.now();
        let mut until = alarm;
        match state.phase {
            Phase::Draining(deadline) if now >= deadline || state.is_empty() => return Next::End,
            Phase::Draining(deadline) => until = until.min(deadline),
            Phase::Ended { .. } => return Next::End,
            Phase::Open => {}
        }
        if mem::take(&mut state.stirred) {
            return Next::Look;
        }
        match gate {
            Gate::Open => {
                if let Some(entry) = self.take(&mut state) {
                    return Next::Send(entry);
                }
                state.hungry = true;
            }
            Gate::ShutUntil(opening) => until = until.min(opening),
        }
        let wait = until.saturating_duration_since(now);
        if !wait.is_zero() {
            self.wake.wait_for(&mut state, wait);
        }
        state.hungry = false;
        Next::Look
    }

    /// An event has reached its end: delivered, or dropped.
    pub fn settle(&self, entry: &Entry, delivered: bool) {
        let mut state = self.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        self.leave(&mut state, entry.seq, delivered);
    }

    /// An event comes back to be tried again. One that the server has failed on waits behind the others,
    /// one it never saw takes its old place. Returns the events that had to go for it, maybe itself.
    pub fn put_back(&self, entry: Entry) -> Vec<Entry> {
        let mut state = self.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        self.hold(&mut state, &entry);
        if entry.tries > 0 {
            state.failed.push_back(entry);
        } else {
            let place = state.fresh.partition_point(|other| other.seq < entry.seq);
            state.fresh.insert(place, entry);
        }
        self.evict(&mut state)
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
        state.in_flight += 1;
        Some(entry)
    }

    /// Empties the queue: all events in it are dropped.
    pub fn clear(&self) -> Vec<Entry> {
        let mut state = self.state.lock();
        let mut cleared = Vec::new();
        while let Some(entry) = self.take(&mut state) {
            state.in_flight = state.in_flight.saturating_sub(1);
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
            return !mem::take(&mut state.lost);
        }
        if state.waiters.len() >= MAX_WAITERS || state.has_ended() || clock.now() >= deadline {
            return false;
        }
        let id = state.next_waiter;
        state.next_waiter += 1;
        let below = state.next_seq;
        let lost = mem::take(&mut state.lost);
        state.waiters.push(Waiter { id, below, left, lost, deadline });
        self.stir(&mut state);
        let delivered = loop {
            let Some(waiter) = state.waiters.iter().find(|waiter| waiter.id == id) else { break false };
            if waiter.left == 0 {
                break !waiter.lost;
            }
            let wait = deadline.saturating_duration_since(clock.now());
            if wait.is_zero() || state.has_ended() {
                break false;
            }
            self.settled.wait_for(&mut state, wait);
        };
        state.waiters.retain(|waiter| waiter.id != id);
        delivered
    }

    /// The deadline of whoever waits for delivery and gives up first: a flush, or the end of the client.
    pub fn waiter(&self) -> Option<Instant> {
        let state = self.state.lock();
        let drain = match state.phase {
            Phase::Draining(deadline) => Some(deadline),
            Phase::Open | Phase::Ended { .. } => None,
        };
        state.waiters.iter().map(|waiter| waiter.deadline).chain(drain).min()
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

    /// No sender any more: whoever waits is told. The first call counts.
    pub fn end(&self, drained: bool) {
        let mut state = self.state.lock();
        if !state.has_ended() {
            state.phase = Phase::Ended { drained };
        }
        self.settled.notify_all();
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

    /// Whether an event is on its way.
    pub fn is_sending(&self) -> bool {
        self.state.lock().in_flight > 0
    }

    /// Events in the queue, and their bytes.
    pub fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.len(), state.bytes)
    }

    fn stir(&self, state: &mut MutexGuard<'_, State>) {
        state.stirred = true;
        self.wake.notify_all();
    }

    /// Takes the next event to send out of the queue.
    fn take(&self, state: &mut State) -> Option<Entry> {
        let fresh = if self.fills(state, 1, 2) { state.fresh.pop_back() } else { state.fresh.pop_front() };
        let entry = fresh.or_else(|| state.failed.pop_front())?;
        self.release(state, &entry);
        state.in_flight += 1;
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
        let (mut told, mut done) = (false, false);
        for waiter in state.waiters.iter_mut().filter(|waiter| seq < waiter.below) {
            waiter.left = waiter.left.saturating_sub(1);
            waiter.lost |= !delivered;
            told = true;
            done |= waiter.left == 0;
        }
        state.lost |= !delivered && !told;
        if done {
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
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;
    use crate::event_id::EventId;
    use crate::level::Level;
    use crate::record::Kind;

    struct RealClock;

    impl Clock for RealClock {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn queue(max_events: usize, max_bytes: usize) -> Queue {
        Queue::new(max_events, max_bytes, Arc::new(Stats::new(None)))
    }

    fn record(size: usize) -> Record {
        let id = EventId::from_random([1; 16]);
        Record::new(id, SystemTime::UNIX_EPOCH, Level::Error, Arc::default(), |fields| {
            fields.put(Kind::Message, b"", &vec![b'm'; size]);
        })
    }

    fn push(queue: &Queue) -> Vec<u64> {
        seqs(&queue.push(record(0)).unwrap())
    }

    fn seqs(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.seq).collect()
    }

    /// Takes the next event without waiting.
    fn take(queue: &Queue) -> Option<Entry> {
        loop {
            match queue.next(Gate::Open, Instant::now(), &RealClock) {
                Next::Send(entry) => return Some(entry),
                Next::Look if queue.load().0 == 0 => return None,
                Next::Look => {}
                Next::End => return None,
            }
        }
    }

    #[test]
    fn oldest_first_below_half_full_and_newest_first_above() {
        let queue = queue(10, 1 << 20);
        for _ in 0..8 {
            push(&queue);
        }
        let order: Vec<_> = std::iter::from_fn(|| take(&queue).map(|entry| entry.seq)).collect();
        assert_eq!(order, [7, 6, 5, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn at_the_bound_of_events_the_oldest_goes() {
        let queue = queue(3, 1 << 20);
        let evicted: Vec<_> = (0..5).map(|_| push(&queue)).collect();
        assert_eq!(evicted, [vec![], vec![], vec![], vec![0], vec![1]]);
        assert_eq!(queue.load().0, 3);
    }

    #[test]
    fn at_the_bound_of_bytes_as_many_of_the_oldest_go_as_it_takes() {
        let queue = queue(100, 10_000);
        for _ in 0..4 {
            assert!(queue.push(record(2_000)).unwrap().is_empty());
        }
        assert_eq!(seqs(&queue.push(record(5_000)).unwrap()), [0, 1]);
        assert!(queue.load().1 <= 10_000);
        assert_eq!(queue.push(record(10_000)).unwrap_err(), Refused::TooLarge);
        assert_eq!(queue.load().0, 3, "one that is too large pushes nothing out");
    }

    #[test]
    fn an_event_the_server_never_saw_takes_its_old_place_and_a_failed_one_goes_last() {
        let queue = queue(10, 1 << 20);
        for _ in 0..3 {
            push(&queue);
        }
        let unseen = take(&queue).unwrap();
        assert!(queue.put_back(unseen).is_empty());
        let mut failed = take(&queue).unwrap();
        assert_eq!(failed.seq, 0);
        failed.tries = 1;
        assert!(queue.put_back(failed).is_empty());
        let order: Vec<_> = std::iter::from_fn(|| take(&queue).map(|entry| entry.seq)).collect();
        assert_eq!(order, [1, 2, 0]);
    }

    #[test]
    fn an_event_put_back_into_a_full_queue_is_the_one_that_goes() {
        let queue = queue(2, 1 << 20);
        push(&queue);
        let entry = take(&queue).unwrap();
        push(&queue);
        push(&queue);
        assert_eq!(seqs(&queue.put_back(entry)), [0]);
    }

    #[test]
    fn a_shut_gate_lets_nothing_out() {
        let queue = queue(10, 1 << 20);
        push(&queue);
        let now = Instant::now();
        let next = queue.next(Gate::ShutUntil(now + Duration::from_millis(1)), now + LONG, &RealClock);
        assert!(matches!(next, Next::Look));
    }

    #[test]
    fn a_push_wakes_a_sender_that_waits_for_events() {
        let queue = queue(10, 1 << 20);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                loop {
                    if let Next::Send(entry) = queue.next(Gate::Open, Instant::now() + LONG, &RealClock) {
                        return entry.seq;
                    }
                }
            });
            while !queue.state.lock().hungry {
                std::thread::yield_now();
            }
            let begin = Instant::now();
            push(&queue);
            assert_eq!(sender.join().unwrap(), 0);
            assert!(begin.elapsed() < LONG / 2, "not its alarm did");
        });
    }

    #[test]
    fn a_queue_three_quarters_full_wakes_a_sender_that_watches_it() {
        let queue = queue(4, 1 << 20);
        queue.watch(true);
        for _ in 0..3 {
            push(&queue);
        }
        let begin = Instant::now();
        let pause = |end| queue.next(Gate::ShutUntil(end), end, &RealClock);
        assert!(matches!(pause(begin + Duration::from_millis(20)), Next::Look));
        assert!(begin.elapsed() >= Duration::from_millis(20), "three of four are not more");
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| pause(begin + LONG));
            push(&queue);
            assert!(matches!(sender.join().unwrap(), Next::Look));
        });
        assert!(begin.elapsed() < LONG);
    }

    #[test]
    fn a_flush_is_true_when_all_before_it_are_delivered_whatever_comes_after() {
        let queue = queue(10, 1 << 20);
        assert!(queue.flush(Instant::now(), &RealClock), "nothing to wait for");
        push(&queue);
        push(&queue);
        let first = take(&queue).unwrap();
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock));
            while queue.waiter().is_none() {
                std::thread::yield_now();
            }
            push(&queue);
            queue.settle(&first, true);
            let second = take(&queue).unwrap();
            queue.settle(&second, true);
            assert!(flush.join().unwrap());
        });
        assert_eq!(queue.load().0, 1);
    }

    #[test]
    fn a_flush_is_false_if_one_of_its_events_is_dropped() {
        let drops: [fn(&Queue); 3] = [
            |queue| drop(queue.clear()),
            |queue| drop((0..2).map(|_| push(queue)).collect::<Vec<_>>()),
            |queue| queue.settle(&take(queue).unwrap(), false),
        ];
        for lose in drops {
            let queue = queue(2, 1 << 20);
            push(&queue);
            std::thread::scope(|scope| {
                let flush = scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock));
                while queue.waiter().is_none() {
                    std::thread::yield_now();
                }
                lose(&queue);
                assert!(!flush.join().unwrap());
            });
        }
    }

    #[test]
    fn a_drop_before_the_flush_is_told_once() {
        let queue = queue(2, 1 << 20);
        push(&queue);
        drop(queue.clear());
        assert!(!queue.flush(Instant::now() + LONG, &RealClock));
        assert!(queue.flush(Instant::now() + LONG, &RealClock));
    }

    #[test]
    fn a_flush_that_knows_of_a_loss_still_waits_for_the_rest() {
        let queue = queue(10, 1 << 20);
        push(&queue);
        push(&queue);
        let (first, second) = (take(&queue).unwrap(), take(&queue).unwrap());
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock));
            while queue.waiter().is_none() {
                std::thread::yield_now();
            }
            queue.settle(&first, false);
            assert!(queue.waiter().is_some());
            queue.settle(&second, true);
            assert!(!flush.join().unwrap());
        });
        assert!(queue.flush(Instant::now(), &RealClock), "it was told");
    }

    #[test]
    fn a_third_flush_does_not_wait_and_one_without_time_neither() {
        let queue = queue(10, 1 << 20);
        push(&queue);
        assert!(!queue.flush(Instant::now(), &RealClock));
        std::thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..2).map(|_| scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock))).collect();
            while queue.state.lock().waiters.len() < 2 {
                std::thread::yield_now();
            }
            let begin = Instant::now();
            assert!(!queue.flush(begin + LONG, &RealClock));
            assert!(begin.elapsed() < LONG / 2);
            let entry = take(&queue).unwrap();
            queue.settle(&entry, true);
            assert!(waiting.into_iter().all(|flush| flush.join().unwrap()));
        });
        push(&queue);
        assert!(!queue.flush(Instant::now() + Duration::from_millis(1), &RealClock), "places are free again");
    }

    #[test]
    fn a_drained_queue_takes_nothing_and_ends_when_it_is_empty_or_late() {
        let queue = queue(10, 1 << 20);
        push(&queue);
        queue.drain(Instant::now() + LONG);
        assert_eq!(queue.push(record(0)).unwrap_err(), Refused::Closed);
        assert_eq!(take(&queue).map(|entry| entry.seq), Some(0));
        assert!(matches!(queue.next(Gate::Open, Instant::now() + LONG, &RealClock), Next::End));

        let late = self::queue(10, 1 << 20);
        push(&late);
        late.drain(Instant::now());
        late.drain(Instant::now() + LONG);
        let shut = Gate::ShutUntil(Instant::now() + LONG);
        assert!(matches!(late.next(shut, Instant::now() + LONG, &RealClock), Next::End), "the earlier deadline");
        assert_eq!(late.wait_for_end(Instant::now(), &RealClock), None);
        late.end(false);
        assert_eq!(late.wait_for_end(Instant::now(), &RealClock), Some(false));
        assert!(!late.flush(Instant::now() + LONG, &RealClock), "what is left will not be delivered");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Take,
        Settle(bool),
        PutBack(bool),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0_usize..6_000).prop_map(Step::Push),
            2 => Just(Step::Take),
            1 => any::<bool>().prop_map(Step::Settle),
            1 => any::<bool>().prop_map(Step::PutBack),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 1..150)
    }

    proptest! {
        #[test]
        fn bounds_hold_and_every_event_is_accounted_for(max_events in 1_usize..8, steps in steps()) {
            const MAX_BYTES: usize = 20_000;
            let queue = queue(max_events, MAX_BYTES);
            let (mut pushed, mut gone) = (0, 0);
            let mut held: Vec<Entry> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(size) => {
                        gone += queue.push(record(size)).unwrap().len();
                        pushed += 1;
                    }
                    Step::Take => held.extend(take(&queue)),
                    Step::Settle(delivered) => {
                        if let Some(entry) = held.pop() {
                            queue.settle(&entry, delivered);
                            gone += 1;
                        }
                    }
                    Step::PutBack(tried) => {
                        if let Some(mut entry) = held.pop() {
                            entry.tries += u32::from(tried);
                            gone += queue.put_back(entry).len();
                        }
                    }
                    Step::Clear => gone += queue.clear().len(),
                }
                let (events, bytes) = queue.load();
                prop_assert!(events <= max_events && bytes <= MAX_BYTES);
                prop_assert_eq!(queue.is_sending(), !held.is_empty());
                prop_assert_eq!(pushed, gone + held.len() + events);
                prop_assert_eq!(queue.stats.get(Counter::QueueEvents), events as u64);
                prop_assert_eq!(queue.stats.get(Counter::QueueBytes), bytes as u64);
            }
            drop(queue.clear());
            prop_assert_eq!(queue.load(), (0, 0), "bytes are given back exactly");
        }
    }
}
