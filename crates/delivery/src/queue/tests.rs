// SPDX-License-Identifier: BSD-2-Clause
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use protocol::category::{Categories, Category};

use super::*;
use crate::test_entry::TestEntry;

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
const HUNGRY: Appetite = Appetite { now: 1, next: usize::MAX, crowd: false };
const NEVER: Appetite = Appetite { now: usize::MAX, next: usize::MAX, crowd: false };

fn queue(entries: usize, bytes: usize) -> Queue {
    Queue::new(QueueBounds { entries, bytes }, Box::new(|| {}))
}

/// One that counts how often it wakes its sender.
fn counting(entries: usize) -> (Queue, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let counted = woken.clone();
    let wake = Box::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    (Queue::new(QueueBounds { entries, bytes: 1 << 20 }, wake), woken)
}

fn entry(category: Category, size: usize) -> Box<dyn Entry> {
    TestEntry { size, ..TestEntry::new(0, category) }.boxed()
}

/// Pushes one, which counts nowhere that matters.
fn push_one(queue: &Queue, entry: Box<dyn Entry>) -> Result<Vec<Queued>, (Refused, Box<dyn Entry>)> {
    queue.push(entry, Arc::new(Ledger::new(None)))
}

/// Pushes errors.
fn push(queue: &Queue, number: usize) -> Vec<u64> {
    let pushes = (0..number).map(|_| push_one(queue, entry(Category::Error, 0)).unwrap_or_else(|_| panic!("taken")));
    pushes.flat_map(|evicted| seqs(&evicted)).collect()
}

fn seqs(entries: &[Queued]) -> Vec<u64> {
    entries.iter().map(|queued| queued.seq).collect()
}

/// What is taken out until nothing may leave, and settled.
fn order(queue: &Queue) -> Vec<u64> {
    let taken = std::iter::from_fn(|| queue.take(Passage::Now));
    taken.inspect(|queued| queue.settle(queued, true)).map(|queued| queued.seq).collect()
}

fn take(queue: &Queue) -> Queued {
    queue.take(Passage::Now).expect("an entry")
}

fn put_back(queue: &Queue, queued: Queued) {
    assert!(queue.put_back(queued).is_ok());
}

#[test]
fn what_an_entry_counts_for_is_what_it_says_and_its_place() {
    let queue = queue(10, 1 << 20);
    assert!(push_one(&queue, entry(Category::Error, 2000)).is_ok());
    assert_eq!(queue.load(), (1, 2000 + size_of::<Queued>()));
    take(&queue);
    assert_eq!((queue.load(), queue.under_way()), ((0, 0), 1));
}

#[test]
fn oldest_first_below_half_full_and_newest_first_above() {
    let queue = queue(10, 1 << 20);
    push(&queue, 8);
    assert_eq!(order(&queue), [7, 6, 5, 0, 1, 2, 3, 4]);
}

#[test]
fn at_the_bound_the_oldest_goes_and_what_is_under_way_counts() {
    let queue = queue(3, 1 << 20);
    assert_eq!(push(&queue, 5), [0, 1]);
    let taken = take(&queue);
    assert_eq!((taken.seq, push(&queue, 1)), (4, vec![2]), "one is on its way, and has its place");
    assert_eq!((queue.load().0, queue.held().0), (2, 3));
    queue.settle(&taken, true);
    assert!(push(&queue, 1).is_empty());
    let all: Vec<_> = (0..3).map(|_| take(&queue)).collect();
    assert_eq!(push(&queue, 1), [7], "itself, if all are on their way");
    all.into_iter().for_each(|queued| put_back(&queue, queued));
    assert_eq!(queue.load().0, 3, "what comes back has room");
}

#[test]
fn at_the_bound_of_bytes_as_many_of_the_oldest_go_as_it_takes() {
    let queue = queue(100, 10_000);
    for _ in 0..4 {
        assert!(push_one(&queue, entry(Category::Error, 2_000)).is_ok_and(|evicted| evicted.is_empty()));
    }
    assert_eq!(push_one(&queue, entry(Category::Error, 5_000)).map(|evicted| seqs(&evicted)).ok(), Some(vec![0, 1]));
    assert!(queue.load().1 <= 10_000);
    assert!(matches!(push_one(&queue, entry(Category::Error, 10_000)), Err((Refused::TooLarge, _))));
    assert_eq!(queue.load().0, 3, "one that is too large pushes nothing out");
}

#[test]
fn at_the_bound_the_least_weight_goes_first_and_sending_goes_by_age_whatever_the_weight() {
    let kinds = [Category::Span, Category::Error, Category::Transaction, Category::Span, Category::Error];
    let mut evicted = Vec::new();
    let small = queue(5, 1 << 20);
    for category in kinds.iter().chain(&[Category::Error; 4]) {
        evicted.extend(push_one(&small, entry(*category, 0)).map(|evicted| seqs(&evicted)).unwrap_or_default());
    }
    assert_eq!(evicted, [0, 3, 2, 1], "the spans, the transaction, the oldest error");
    let large = queue(100, 1 << 20);
    kinds.iter().for_each(|category| assert!(push_one(&large, entry(*category, 0)).is_ok()));
    assert_eq!(order(&large), [0, 1, 2, 3, 4]);
}

#[test]
fn of_a_weight_those_go_first_that_failed() {
    let queue = queue(3, 1 << 20);
    push(&queue, 2);
    let mut failed = take(&queue);
    let first = failed.seq;
    failed.tries = 1;
    put_back(&queue, failed);
    push(&queue, 1);
    assert_eq!(push(&queue, 1), [first]);
}

#[test]
fn an_entry_the_server_never_saw_takes_its_old_place_and_failed_ones_go_last_in_turns() {
    let queue = queue(100, 1 << 20);
    push(&queue, 4);
    let unseen = take(&queue);
    put_back(&queue, unseen);
    let mut failed = [take(&queue), take(&queue)];
    failed.iter_mut().for_each(|queued| queued.tries = 1);
    failed.into_iter().rev().for_each(|queued| put_back(&queue, queued));
    let mut again = Vec::new();
    for _ in 0..6 {
        let mut queued = take(&queue);
        again.push(queued.seq);
        queued.tries += 1;
        put_back(&queue, queued);
    }
    assert_eq!(again, [2, 3, 1, 0, 2, 3], "in the order they failed in");
}

#[test]
fn a_shut_lane_lets_nothing_out_and_others_go_on() {
    let dsn = Arc::new(Dsn::parse("http://k@elsewhere/1").unwrap());
    let queue = queue(100, 1 << 20);
    push(&queue, 2);
    let foreign = TestEntry { dsn: Some(dsn.clone()), ..TestEntry::new(9, Category::Error) };
    assert!(push_one(&queue, foreign.clone().boxed()).is_ok());
    let judge = |at_home, elsewhere| {
        queue.judge(&mut |given| match given {
            None => at_home,
            Some(given) => {
                assert_eq!(given, &dsn);
                elsewhere
            }
        })
    };
    assert_eq!(judge(Passage::Shut, Passage::Now), Open { now: 1, next: 1 });
    assert!(queue.is_open_for(Some(&dsn)) && !queue.is_open_for(None));
    assert_eq!(order(&queue), [2]);
    assert!(!queue.look().is_half_full && queue.rest(HUNGRY), "nothing that may leave is there");
    judge(Passage::Now, Passage::Shut);
    assert!(push_one(&queue, foreign.boxed()).is_ok());
    assert_eq!(order(&queue), [0, 1]);
    assert_eq!(queue.take_oldest(&|dsn| dsn.is_none()).map(|queued| queued.seq), None, "it is not ours");
    assert_eq!(queue.count(&|given| given == Some(&dsn)), 1);
}

#[test]
fn what_is_only_to_be_made_ready_is_neither_sent_nor_worth_a_wake() {
    let (queue, woken) = counting(100);
    push(&queue, 2);
    assert_eq!(queue.judge(&mut |_| Passage::Next), Open { now: 0, next: 2 });
    assert!(queue.take(Passage::Now).is_none());
    assert!(queue.rest(HUNGRY), "none that may be sent is there");
    push(&queue, 1);
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    assert!(queue.rest(Appetite { next: 5, ..HUNGRY }));
    push(&queue, 2);
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert_eq!(queue.take(Passage::Next).map(|queued| queued.seq), Some(0));
}

/// An error for the project of that number, by the key of that name.
fn of(project: usize, key: &str) -> Box<dyn Entry> {
    let dsn = Arc::new(Dsn::parse(&format!("http://{key}@h/{project}")).unwrap());
    TestEntry { dsn: Some(dsn), ..TestEntry::new(project as u64, Category::Error) }.boxed()
}

fn project(queued: &Queued) -> &str {
    queued.dsn().unwrap().project()
}

#[test]
fn projects_take_turns_and_a_flood_of_one_holds_up_no_other() {
    let queue = queue(100, 1 << 20);
    for _ in 0..4 {
        assert!(push_one(&queue, of(1, "a")).is_ok() && push_one(&queue, of(1, "b")).is_ok());
    }
    let next = || queue.take(Passage::Now).map(|queued| (project(&queued).to_owned(), queued.seq));
    assert_eq!(next(), Some(("1".to_owned(), 0)));
    assert!(push_one(&queue, of(2, "a")).is_ok() && push_one(&queue, of(3, "a")).is_ok());
    assert!(push_one(&queue, of(2, "a")).is_ok());
    let order: Vec<_> = std::iter::from_fn(next).collect();
    let expected = [(1, 1), (2, 8), (3, 9), (1, 2), (2, 10), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7)];
    assert_eq!(order, expected.map(|(project, seq)| (project.to_string(), seq)), "keys do not make projects");
}

#[test]
fn at_the_bound_the_project_with_the_most_gives_way() {
    let queue = queue(6, 1 << 20);
    let pushed = |project, key| {
        let evicted = push_one(&queue, of(project, key)).unwrap_or_else(|_| panic!("taken"));
        evicted.iter().map(|queued| (project_of(queued), queued.seq)).collect::<Vec<_>>()
    };
    assert_eq!((0..6).flat_map(|_| pushed(1, "a")).count(), 0);
    assert_eq!(pushed(2, "a"), [(1, 0)]);
    assert_eq!(pushed(2, "b"), [(1, 1)]);
    assert_eq!(pushed(3, "a"), [(1, 2)]);
    assert_eq!(pushed(1, "b"), [(1, 3)], "its own");
    assert_eq!((pushed(3, "a"), pushed(2, "c")), (vec![(1, 4)], vec![(2, 6)]), "a third for each");
    assert_eq!(pushed(1, "a"), [(1, 5)]);
}

fn project_of(queued: &Queued) -> usize {
    project(queued).parse().unwrap()
}

#[test]
fn a_destination_that_comes_back_after_its_lane_was_forgotten_is_served_in_its_turn() {
    let queue = queue(1000, 1 << 20);
    assert!(push_one(&queue, of(0, "a")).is_ok() && push_one(&queue, of(0, "a")).is_ok());
    for project in 1..200 {
        assert!(push_one(&queue, of(project, "a")).is_ok());
        let taken = take(&queue);
        assert!(
            project_of(&taken) == 0 && project < 4 || (project - 2..=project).contains(&project_of(&taken)),
            "in turns"
        );
        queue.settle(&taken, true);
    }
    assert_eq!(queue.load().0, 2);
    assert!(queue.state.lock().lanes.number() < 40);
}

#[test]
fn a_push_wakes_a_sender_that_sleeps_for_it_once_and_no_other() {
    let (queue, woken) = counting(100);
    let wakes = || woken.swap(0, Ordering::SeqCst);
    push(&queue, 1);
    assert_eq!(wakes(), 0, "it is awake");
    assert!(!queue.rest(HUNGRY), "there is one");
    assert!(queue.rest(Appetite { now: 3, ..NEVER }));
    push(&queue, 1);
    assert_eq!(wakes(), 0);
    push(&queue, 5);
    assert_eq!(wakes(), 1);
    assert!(queue.rest(Appetite { crowd: true, ..NEVER }));
    push(&queue, 68);
    assert_eq!(wakes(), 0, "75 of 100 are not more than three quarters");
    push(&queue, 2);
    assert_eq!(wakes(), 1);
    assert!(!queue.rest(Appetite { crowd: true, ..NEVER }));
}

#[test]
fn flush_drain_and_end_are_looked_at_before_the_sender_sleeps() {
    let (queue, woken) = counting(100);
    push(&queue, 1);
    assert!(queue.rest(NEVER));
    assert!(!queue.flush(Instant::now() + Duration::from_millis(1), &RealClock));
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert!(!queue.rest(NEVER), "it has not looked");
    queue.look();
    assert!(queue.rest(NEVER));
    queue.look();
    let end = Instant::now() + LONG;
    queue.drain(end, end);
    assert!(!queue.rest(NEVER), "not even if it was awake");
    assert_eq!(queue.look().phase, Phase::Draining { last_send: end, end });
    assert!(queue.rest(NEVER));
    queue.end(true);
    assert_eq!(woken.load(Ordering::SeqCst), 2);
}

#[test]
fn a_flush_is_true_when_all_before_it_are_delivered_whatever_comes_after() {
    let queue = queue(10, 1 << 20);
    assert!(queue.flush(Instant::now(), &RealClock), "nothing to wait for");
    push(&queue, 2);
    let first = take(&queue);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock));
        while queue.look().waiter.is_none() {
            std::thread::yield_now();
        }
        push(&queue, 1);
        queue.settle(&first, true);
        let second = take(&queue);
        queue.settle(&second, true);
        assert!(flush.join().unwrap());
    });
    assert_eq!(queue.load().0, 1);
}

#[test]
fn a_flush_is_false_if_one_of_its_entries_is_dropped() {
    let drops: [fn(&Queue); 4] = [
        |queue| drop(queue.sweep(None, &|_| true)),
        |queue| drop(push(queue, 2)),
        |queue| queue.settle(&take(queue), false),
        |queue| drop(queue.end(true)),
    ];
    for lose in drops {
        let queue = queue(2, 1 << 20);
        push(&queue, 1);
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock));
            while queue.look().waiter.is_none() {
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
    push(&queue, 1);
    drop(queue.sweep(None, &|_| true));
    assert!(!queue.flush(Instant::now() + LONG, &RealClock));
    assert!(queue.flush(Instant::now() + LONG, &RealClock));
}

#[test]
fn a_flush_that_knows_of_a_loss_still_waits_for_the_rest() {
    let queue = queue(10, 1 << 20);
    push(&queue, 2);
    let (first, second) = (take(&queue), take(&queue));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock));
        while queue.look().waiter.is_none() {
            std::thread::yield_now();
        }
        queue.settle(&first, false);
        assert!(queue.look().waiter.is_some());
        queue.settle(&second, true);
        assert!(!flush.join().unwrap());
    });
    assert!(queue.flush(Instant::now(), &RealClock), "it was told");
}

#[test]
fn a_third_flush_does_not_wait_and_one_without_time_neither() {
    let queue = queue(10, 1 << 20);
    push(&queue, 1);
    assert!(!queue.flush(Instant::now(), &RealClock));
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| queue.flush(Instant::now() + LONG, &RealClock))).collect();
        while !queue.state.lock().waiters.is_full() {
            std::thread::yield_now();
        }
        let begin = Instant::now();
        assert!(!queue.flush(begin + LONG, &RealClock));
        assert!(begin.elapsed() < LONG / 2);
        queue.settle(&take(&queue), true);
        assert!(waiting.into_iter().all(|flush| flush.join().unwrap()));
    });
    push(&queue, 1);
    assert!(!queue.flush(Instant::now() + Duration::from_millis(1), &RealClock), "places are free again");
}

#[test]
fn a_drained_queue_takes_nothing_and_after_the_end_nothing_comes_back() {
    let queue = queue(10, 1 << 20);
    push(&queue, 2);
    let (early, late) = (Instant::now(), Instant::now() + LONG);
    queue.drain(late, early);
    queue.drain(early, late);
    assert_eq!(queue.look().phase, Phase::Draining { last_send: early, end: early }, "the earlier ones");
    assert!(matches!(push_one(&queue, entry(Category::Error, 0)), Err((Refused::Closed, _))));
    let taken = take(&queue);
    assert_eq!(queue.wait_for_end(Instant::now(), &RealClock), None);
    let ended = queue.end(true).map(|(left, under_way)| (seqs(&left), under_way));
    assert_eq!(ended, Some((vec![1], 1)));
    assert!(queue.end(true).is_none());
    assert_eq!(queue.wait_for_end(Instant::now(), &RealClock), None, "they are not counted yet");
    queue.tell_end();
    assert_eq!(queue.wait_for_end(Instant::now(), &RealClock), Some(false), "some were left");
    assert_eq!(queue.put_back(taken).map_err(|queued| queued.seq), Err(0));
    assert_eq!((queue.load(), queue.under_way()), ((0, 0), 0));
    assert!(!queue.flush(Instant::now() + LONG, &RealClock), "what is left will not be delivered");
}

#[derive(Clone, Debug)]
enum Step {
    Push(Category, usize, usize),
    Take,
    TakeOldest,
    Settle(bool),
    PutBack(bool),
    Narrow,
    Sweep(Category),
    Shut(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let category = prop_oneof![Just(Category::Error), Just(Category::Transaction), Just(Category::Span)];
    let step = prop_oneof![
        6 => (category.clone(), 0_usize..6_000, 0_usize..6).prop_map(|(c, size, to)| Step::Push(c, size, to)),
        3 => Just(Step::Take),
        1 => Just(Step::TakeOldest),
        1 => any::<bool>().prop_map(Step::Settle),
        2 => any::<bool>().prop_map(Step::PutBack),
        1 => Just(Step::Narrow),
        1 => category.prop_map(Step::Sweep),
        1 => any::<bool>().prop_map(Step::Shut),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #[test]
    fn bounds_hold_and_every_entry_is_accounted_for(max_entries in 1_usize..40, steps in steps()) {
        const MAX_BYTES: usize = 20_000;
        let places = ["http://k@elsewhere/1", "http://other@elsewhere/1", "http://k@elsewhere/2"];
        let places = places.map(|text| Arc::new(Dsn::parse(text).unwrap()));
        let ledger = Arc::new(Ledger::new(None));
        let queue = queue(max_entries, MAX_BYTES);
        let (mut pushed, mut gone) = (0, 0);
        let mut held: Vec<Queued> = Vec::new();
        for step in steps {
            match step {
                Step::Push(category, size, to) => {
                    let dsn = places.get(to).cloned();
                    let entry = TestEntry { size, dsn, ..TestEntry::new(0, category) }.with_file(7);
                    let evicted = queue.push(entry.boxed(), ledger.clone());
                    gone += evicted.map_err(|(refused, _)| refused).unwrap().len();
                    pushed += 1;
                }
                Step::Take => held.extend(queue.take(Passage::Now)),
                Step::TakeOldest => held.extend(queue.take_oldest(&|dsn| dsn.is_none())),
                Step::Settle(delivered) => {
                    if let Some(queued) = held.pop() {
                        queue.settle(&queued, delivered);
                        gone += 1;
                    }
                }
                Step::PutBack(tried) => {
                    if let Some(mut queued) = held.pop() {
                        queued.tries += u32::from(tried);
                        prop_assert!(queue.put_back(queued).is_ok());
                    }
                }
                Step::Narrow => {
                    if let Some(queued) = held.last_mut() {
                        queued.narrow(Categories::ALL.without(Category::Attachment));
                    }
                }
                Step::Sweep(category) => gone += queue.sweep(None, &|queued| queued.entry.parts()[0].category == category).len(),
                Step::Shut(shut) => {
                    queue.judge(&mut |dsn| if shut && dsn.is_none() { Passage::Shut } else { Passage::Now });
                }
            }
            let (entries, bytes) = queue.load();
            let held_bytes: usize = held.iter().map(|queued| queued.size).sum();
            prop_assert!(entries + held.len() <= max_entries.max(held.len()) && bytes + held_bytes <= MAX_BYTES.max(held_bytes));
            prop_assert_eq!(queue.under_way(), held.len());
            prop_assert_eq!(pushed, gone + held.len() + entries);
            prop_assert_eq!(ledger.get(Counter::QueueEntries), entries as u64);
            prop_assert_eq!(ledger.get(Counter::QueueBytes), bytes as u64);
            prop_assert_eq!(ledger.get(Counter::UnderWay), held.len() as u64);
            let waiting = |category| ledger.told(category, Tally::Waiting);
            let kinds = [Category::Error, Category::Transaction, Category::Span].map(waiting);
            prop_assert_eq!(kinds.iter().sum::<u64>(), entries as u64);
            prop_assert!(waiting(Category::Attachment) <= 7 * entries as u64);
            let under_way = |category| ledger.told(category, Tally::UnderWay);
            let kinds = [Category::Error, Category::Transaction, Category::Span].map(under_way);
            prop_assert_eq!(kinds.iter().sum::<u64>(), held.len() as u64);
            let whole = held.iter().filter(|queued| queued.may == Categories::ALL).count();
            prop_assert_eq!(under_way(Category::Attachment), 7 * whole as u64);
        }
        drop(queue.end(true));
        prop_assert_eq!(queue.load(), (0, 0), "bytes are given back exactly");
        prop_assert_eq!(ledger.told(Category::Attachment, Tally::Waiting), 0);
    }
}
