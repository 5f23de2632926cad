// SPDX-License-Identifier: BSD-2-Clause
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::event_id::EventId;
use crate::level::Level;
use crate::record::{Fields, Kind};

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

/// A queue of which any number of events may be on their way.
fn queue(max_events: usize, max_bytes: usize) -> Queue {
    let queue = Queue::new(max_events, max_bytes, Arc::new(Stats::new(None)));
    queue.set_width(usize::MAX);
    queue
}

fn record(size: usize) -> Record {
    record_with_room(size, 0)
}

/// A record in a buffer that was made for so many bytes.
fn record_with_room(size: usize, room: usize) -> Record {
    let id = EventId::from_random([1; 16]);
    let mut fields = Fields::with_room(room);
    fields.put(Kind::Message, b"", &vec![b'm'; size]);
    Record::new(id, SystemTime::UNIX_EPOCH, Level::Error, Arc::default(), fields)
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
        match queue.next(Asker::Sender, Gate::Open, Instant::now(), &RealClock) {
            Next::Send { entry, .. } => return Some(entry),
            Next::Look if queue.load().0 == 0 => return None,
            Next::Look => {}
            Next::End => return None,
        }
    }
}

#[test]
fn what_an_event_counts_for_is_what_the_allocator_takes() {
    let classes = [(0, 0), (1, 16), (17, 32), (128, 128), (129, 160), (1024, 1024), (1025, 1280), (1800, 2048)];
    for (bytes, taken) in classes {
        assert_eq!(allocated(bytes), taken, "{bytes}");
    }
    let queue = queue(10, 1 << 20);
    queue.push(record(2000)).unwrap();
    assert_eq!(queue.load().1, size_of::<Entry>() + allocated(size_of::<Event>()) + 2048);
    take(&queue);
    assert_eq!(queue.load().1, 0);
}

#[test]
fn room_that_is_not_used_counts_as_well() {
    let queue = queue(100, 12_000);
    for _ in 0..4 {
        assert!(queue.push(record_with_room(1300, 2560)).unwrap().is_empty());
    }
    // Their fields alone would leave room for three more.
    let counted = 4 * (size_of::<Entry>() + allocated(size_of::<Event>()));
    assert_eq!(queue.load().1, counted + 4 * 2560, "{counted}");
    assert_eq!(seqs(&queue.push(record_with_room(1300, 2560)).unwrap()), [0]);
    assert!(queue.load().1 <= 12_000);
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
    let next = queue.next(Asker::Sender, Gate::ShutUntil(now + Duration::from_millis(1)), now + LONG, &RealClock);
    assert!(matches!(next, Next::Look));
}

#[test]
fn a_push_wakes_a_sender_that_waits_for_events() {
    let queue = queue(10, 1 << 20);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            loop {
                if let Next::Send { entry, .. } =
                    queue.next(Asker::Sender, Gate::Open, Instant::now() + LONG, &RealClock)
                {
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
    let pause = |end| queue.next(Asker::Sender, Gate::ShutUntil(end), end, &RealClock);
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
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock))).collect();
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
    let last = take(&queue).unwrap();
    assert_eq!(last.seq, 0);
    queue.settle(&last, true);
    assert!(take(&queue).is_none());
    assert!(matches!(ask(&queue, Asker::Sender), Next::End));

    let late = self::queue(10, 1 << 20);
    push(&late);
    late.drain(Instant::now());
    late.drain(Instant::now() + LONG);
    let shut = Gate::ShutUntil(Instant::now() + LONG);
    assert!(
        matches!(late.next(Asker::Sender, shut, Instant::now() + LONG, &RealClock), Next::End),
        "the earlier deadline"
    );
    assert_eq!(late.wait_for_end(Instant::now(), &RealClock), None);
    assert_eq!(seqs(&late.end(false)), [0]);
    assert_eq!(late.wait_for_end(Instant::now(), &RealClock), Some(false));
    assert!(!late.flush(Instant::now() + LONG, &RealClock), "what is left will not be delivered");
}

/// Asks at once.
fn ask(queue: &Queue, asker: Asker) -> Next {
    queue.next(asker, Gate::Open, Instant::now(), &RealClock)
}

#[test]
fn no_more_events_are_on_their_way_than_may_be() {
    let queue = queue(10, 1 << 20);
    queue.set_width(2);
    for _ in 0..4 {
        push(&queue);
    }
    let Next::Send { entry: first, short_handed: true } = ask(&queue, Asker::Sender) else { panic!("one more may go") };
    let Next::Send { entry: second, short_handed: false } = ask(&queue, Asker::Assistant) else { panic!("it may") };
    assert!(matches!(ask(&queue, Asker::Sender), Next::Look));
    assert!(matches!(ask(&queue, Asker::Assistant), Next::Look));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| queue.next(Asker::Sender, Gate::Open, Instant::now() + LONG, &RealClock));
        while !queue.state.lock().hungry {
            std::thread::yield_now();
        }
        queue.settle(&first, true);
        assert!(matches!(sender.join().unwrap(), Next::Look), "woken");
    });
    assert!(matches!(ask(&queue, Asker::Sender), Next::Send { short_handed: false, .. }));
    queue.settle(&second, true);
    queue.set_width(1);
    assert!(matches!(ask(&queue, Asker::Assistant), Next::Look));
}

/// With so many events in it, of which one may be sent at a time.
fn crowded(events: usize) -> Queue {
    let queue = queue(100, 1 << 20);
    queue.set_width(1);
    for _ in 0..events {
        push(&queue);
    }
    queue
}

/// What goes for an event that is not sent now; its own number if it is sent.
fn refused(queue: &Queue, ahead: Entry, gate: Gate) -> Result<u64, Vec<u64>> {
    match queue.resume(ahead, gate, &RealClock) {
        Ok(Next::Send { entry, .. }) => Ok(entry.seq),
        Ok(other) => panic!("{other:?}"),
        Err(evicted) => Err(seqs(&evicted)),
    }
}

#[test]
fn an_event_is_taken_ahead_of_many_and_keeps_no_other_from_being_sent() {
    let queue = crowded(MIN_AHEAD);
    let first = take(&queue).unwrap();
    assert!(queue.take_ahead().is_none(), "too few wait");
    push(&queue);
    let ahead = queue.take_ahead().unwrap();
    assert!(matches!(ask(&queue, Asker::Assistant), Next::Look), "one is being sent");
    queue.set_width(2);
    let third = take(&queue).unwrap();
    assert_eq!((first.seq, ahead.seq, third.seq), (0, 1, 2));
    assert_eq!(refused(&queue, ahead, Gate::Open), Err(vec![]), "two are being sent");
    queue.settle(&first, true);
    assert_eq!(take(&queue).unwrap().seq, 1, "it was where it had been");
}

#[test]
fn an_event_taken_ahead_is_sent_if_one_may_be() {
    let queue = crowded(2 * MIN_AHEAD);
    let shut = Gate::ShutUntil(Instant::now() + LONG);
    assert_eq!(refused(&queue, queue.take_ahead().unwrap(), shut), Err(vec![]));
    assert_eq!(refused(&queue, queue.take_ahead().unwrap(), Gate::Open), Ok(0));
    queue.set_width(3);
    let ahead = queue.take_ahead().unwrap();
    let helped = queue.resume(ahead, Gate::Open, &RealClock);
    assert!(matches!(helped, Ok(Next::Send { short_handed: true, .. })), "a third one might be");
    let ahead = queue.take_ahead().unwrap();
    queue.drain(Instant::now());
    assert_eq!(refused(&queue, ahead, Gate::Open), Err(vec![]), "no time is left");
    let ahead = queue.take_ahead().unwrap();
    queue.end(false);
    assert_eq!(refused(&queue, ahead, Gate::Open), Err(vec![2]), "nobody would take it again");
    assert!(queue.take_ahead().is_none());
}

#[test]
fn an_idle_assistant_is_called_by_a_push_and_by_an_event_that_waits() {
    let begin = Instant::now();
    for pushed in [1, 2] {
        let queue = queue(10, 1 << 20);
        push(&queue);
        let busy = take(&queue).unwrap();
        std::thread::scope(|scope| {
            let assistant = scope.spawn(|| queue.next(Asker::Assistant, Gate::Open, begin + LONG, &RealClock));
            while queue.state.lock().idle == 0 {
                std::thread::yield_now();
            }
            if pushed == 1 {
                push(&queue);
            } else {
                // As if the pushes had come before it slept.
                let mut state = queue.state.lock();
                state.idle = 0;
                drop(state);
                push(&queue);
                push(&queue);
                queue.state.lock().idle = 1;
                let Next::Send { short_handed: false, .. } = ask(&queue, Asker::Sender) else { panic!("an event") };
            }
            assert!(matches!(assistant.join().unwrap(), Next::Look));
        });
        queue.settle(&busy, true);
    }
    assert!(begin.elapsed() < LONG);
}

#[test]
fn what_comes_back_after_the_end_is_handed_back() {
    let queue = queue(10, 1 << 20);
    push(&queue);
    push(&queue);
    let (first, second) = (take(&queue).unwrap(), take(&queue).unwrap());
    assert!(queue.put_back(first).is_empty());
    assert_eq!(seqs(&queue.end(false)), [0], "it came after the sender's last look");
    assert_eq!(seqs(&queue.put_back(second)), [1]);
    assert_eq!((queue.load(), queue.stats.get(Counter::Sending)), ((0, 0), 0));
}

#[test]
fn a_drain_ends_for_the_sender_when_nothing_can_come_back() {
    let queue = queue(10, 1 << 20);
    push(&queue);
    let entry = take(&queue).unwrap();
    queue.drain(Instant::now() + LONG);
    assert!(matches!(ask(&queue, Asker::Assistant), Next::End));
    assert!(matches!(ask(&queue, Asker::Sender), Next::Look), "it was stirred");
    let shut = Gate::ShutUntil(Instant::now() + LONG);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| queue.next(Asker::Sender, shut, Instant::now() + LONG, &RealClock));
        assert!(queue.put_back(entry).is_empty());
        assert!(matches!(sender.join().unwrap(), Next::Look));
    });
    let entry = take(&queue).unwrap();
    queue.settle(&entry, true);
    assert!(matches!(ask(&queue, Asker::Sender), Next::End));
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Take,
    TakeAhead,
    /// At an open gate, or a shut one.
    Resume(bool),
    Settle(bool),
    PutBack(bool),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..6_000).prop_map(Step::Push),
        2 => Just(Step::Take),
        2 => Just(Step::TakeAhead),
        1 => any::<bool>().prop_map(Step::Resume),
        1 => any::<bool>().prop_map(Step::Settle),
        1 => any::<bool>().prop_map(Step::PutBack),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #[test]
    fn bounds_hold_and_every_event_is_accounted_for(max_events in 1_usize..40, steps in steps()) {
        const MAX_BYTES: usize = 20_000;
        let queue = queue(max_events, MAX_BYTES);
        let (mut pushed, mut gone) = (0, 0);
        let (mut held, mut ahead): (Vec<Entry>, Vec<Entry>) = Default::default();
        for step in steps {
            match step {
                Step::Push(size) => {
                    gone += queue.push(record(size)).unwrap().len();
                    pushed += 1;
                }
                Step::Take => held.extend(take(&queue)),
                Step::TakeAhead => ahead.extend(queue.take_ahead()),
                Step::Resume(open) => {
                    let gate = if open { Gate::Open } else { Gate::ShutUntil(Instant::now() + LONG) };
                    match ahead.pop().map(|entry| queue.resume(entry, gate, &RealClock)) {
                        Some(Ok(Next::Send { entry, .. })) => held.push(entry),
                        Some(Err(evicted)) => gone += evicted.len(),
                        Some(Ok(other)) => panic!("{other:?}"),
                        None => {}
                    }
                }
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
            prop_assert_eq!(queue.is_sending(), !held.is_empty() || !ahead.is_empty());
            prop_assert_eq!(queue.state.lock().sending(), held.len());
            prop_assert_eq!(pushed, gone + held.len() + ahead.len() + events);
            prop_assert_eq!(queue.stats.get(Counter::QueueEvents), events as u64);
            prop_assert_eq!(queue.stats.get(Counter::QueueBytes), bytes as u64);
        }
        drop(queue.clear());
        prop_assert_eq!(queue.load(), (0, 0), "bytes are given back exactly");
    }
}
