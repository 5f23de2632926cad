// SPDX-License-Identifier: BSD-2-Clause
//! Events that are packed while the answer to another one is awaited.

use super::*;

/// One with so many events in the queue.
fn busy(many: u8, outcomes: impl IntoIterator<Item = Result<Answer, Failure>>) -> Bench {
    let bench = bench(outcomes);
    (1..=many).for_each(|number| bench.push(number));
    bench
}

#[test]
fn while_many_wait_the_next_is_packed_ahead_and_each_is_sent_once_in_its_turn() {
    let mut bench = busy(40, []);
    for number in 1..=40 {
        let body = bench.post();
        assert!(is_of(&body, number), "{number}: {body}");
        // Sixteen must wait for the next one to be taken out of the queue.
        let waiting = 40 - usize::from(number);
        assert_eq!(bench.sender.courier.holds(), waiting >= 16, "{waiting} wait");
        assert_eq!(bench.count(Counter::Sending), u64::from(waiting >= 16));
    }
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Sending)), (40, 0));
    assert_eq!(bench.sender.courier.outbox.queue.load(), (0, 0));
}

#[test]
fn what_was_packed_ahead_goes_back_to_its_place_when_the_server_fails() {
    let mut bench = busy(20, [status(200), unreached()]);
    bench.post();
    assert!(is_of(&bench.post(), 2), "packed ahead, and not taken");
    assert!(!bench.sender.courier.holds());
    assert_eq!((bench.sender.courier.outbox.queue.load().0, bench.count(Counter::Sending)), (19, 0));
    bench.turn(60.0);
    for number in 2..=20 {
        assert!(is_of(&bench.post(), number));
    }
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Retries)), (20, 1));
}

#[test]
fn what_was_packed_ahead_is_dropped_with_the_others_under_a_limit() {
    let mut bench = busy(20, [limited(200, "100:error:key")]);
    bench.post();
    assert_eq!(bench.shut_for(), Some(100.0));
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::DroppedRatelimitBackoff)), (1, 19));
    assert_eq!((bench.sender.courier.outbox.queue.load(), bench.count(Counter::Sending)), ((0, 0), 0));
}

#[test]
fn what_was_packed_ahead_is_packed_again_for_a_report_and_when_the_answer_took_long() {
    let mut bench = busy(30, []);
    bench.post();
    bench.sender.courier.outbox.lose(Reason::MaxRate, 2);
    let body = bench.post();
    assert!(is_of(&body, 2) && !body.contains("sample_rate"), "not so soon: {body}");
    bench.turn(0.9);
    let body = bench.post();
    assert!(is_of(&body, 3) && body.contains("sample_rate"), "{body}");
    *bench.script.takes.lock() = Duration::from_secs(2);
    bench.post();
    let sent_at = jiff::Timestamp::try_from(bench.clock.wall()).unwrap();
    let body = bench.post();
    assert!(is_of(&body, 5) && body.contains(&format!("\"sent_at\":\"{sent_at:.3}\"")), "{sent_at}: {body}");
}

#[test]
fn a_panic_in_packing_ahead_costs_nothing() {
    let mut bench = busy(20, []);
    bench.script.panics_meanwhile.store(true, Ordering::Relaxed);
    let posts = std::iter::repeat_with(|| bench.post()).take(2).collect::<Vec<_>>();
    assert!(posts.iter().zip([1, 2]).all(|(body, number)| is_of(body, number)), "{posts:?}");
    assert_eq!((bench.count(Counter::Sent), bench.count(Counter::Panics)), (2, 0));
}

#[test]
fn what_was_packed_ahead_counts_at_the_end_as_what_waits() {
    let mut bench = busy(20, []);
    bench.post();
    bench.sender.courier.outbox.queue.drain(bench.clock.now());
    assert!(!bench.sender.step());
    assert!(!bench.sender.finish());
    assert_eq!((bench.count(Counter::DroppedClosed), bench.count(Counter::Sending)), (19, 0));
}
