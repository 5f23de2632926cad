// SPDX-License-Identifier: BSD-2-Clause
//! What comes out, in which order, and what becomes of it.

use super::*;
use protocol::reason::Reason;

#[test]
fn the_oldest_comes_first_and_no_entry_is_two_clients_to_send() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let one = Opening::new(&clock).open(&spools, &root);
    let two = Opening::new(&clock).open(&spools, &root);
    assert!([3, 1, 5, 2, 4].into_iter().all(|n| one.keep(n)));
    let held: Vec<_> = [&one, &two, &one, &two].into_iter().map(|peer| peer.take().unwrap()).collect();
    assert_eq!(held.iter().map(Entry::id).collect::<Vec<_>>(), ids(1..=4));
    // Each gives back its first one.
    one.handle.settle(held[0].lease(), Fate::Kept { counts: false, reason: Reason::NetworkError });
    two.handle.settle(held[1].lease(), Fate::Kept { counts: true, reason: Reason::NetworkError });
    assert_eq!(two.condition().ready, 3);
    // A lease that has ended settles nothing.
    two.handle.settle(held[0].lease(), Fate::Sent);
    let again = two.take().unwrap();
    assert_eq!(again.id(), id(1));
    one.handle.settle(held[0].lease(), Fate::Sent);
    assert_eq!(one.condition().entries, 5);
    two.handle.settle(again.lease(), Fate::Sent);
    drop(one.handle);
    assert_eq!(two.drain(), ids([2, 3, 5]));
    two.handle.settle(held[3].lease(), Fate::Dropped(Reason::SendError));
    assert_eq!(two.condition().entries, 0);
    assert!(two.reported().contains(r#""reason":"send_error","category":"error","quantity":1"#));
    assert_eq!(root.names(), [""; 0]);
    let told = |tally| one.ledger.told(Category::Error, tally);
    assert_eq!((told(Tally::Sent), told(Tally::Dropped(Reason::SendError)), told(Tally::Spooled)), (4, 1, 0));
}

#[test]
fn an_entry_the_server_fails_on_waits_behind_the_others_and_is_dropped_in_the_end() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!((1..=3).all(|n| peer.keep(n)));
    let fate = |counts| Fate::Kept { counts, reason: Reason::NetworkError };
    for expected in [1, 1] {
        let entry = peer.take().unwrap();
        assert_eq!(entry.id(), id(expected));
        peer.handle.settle(entry.lease(), fate(true));
    }
    let others = [peer.take().unwrap(), peer.take().unwrap()];
    assert_eq!(others.iter().map(Entry::id).collect::<Vec<_>>(), ids([2, 3]));
    // Failures of a server that takes nothing never count.
    for _ in 0..50 {
        let entry = peer.take().unwrap();
        assert_eq!(entry.id(), id(1));
        peer.handle.settle(entry.lease(), fate(false));
    }
    for _ in 3..=10 {
        let entry = peer.take().unwrap();
        peer.handle.settle(entry.lease(), fate(true));
    }
    assert!(peer.take().is_none());
    assert_eq!(peer.told(Tally::Dropped(Reason::NetworkError)), 1);
    assert!(peer.reported().contains(r#""reason":"network_error","category":"error","quantity":1"#));
    assert_eq!(peer.told(Tally::SpoolDropped), 1);
}

#[test]
fn parts_are_kept_and_counted_each_by_its_category() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening::new(&clock).open(&spools, &root);
    let parts = |left_out: usize| {
        let parts = [
            Part::new(Category::Session, 3),
            Part::new(Category::Error, 1),
            Part::new(Category::Attachment, 900).together_with(1),
        ];
        let items = |place: usize| if place == left_out { Vec::new() } else { format!("{{}}\n{place}\n").into_bytes() };
        parts.into_iter().enumerate().map(|(place, part)| (part, items(place))).collect()
    };
    assert!(peer.keep_written(Written { parts: parts(0), ..peer.written(1, 1_000_000) }));
    assert!(peer.keep_written(Written { parts: parts(9), ..peer.written(2, 1_000_000) }));
    assert!(!peer.keep_written(Written { parts: Vec::new(), ..peer.written(3, 1_000_000) }));
    let told = |category, tally| peer.ledger.told(category, tally);
    let spooled = [Category::Session, Category::Error, Category::Attachment].map(|of| told(of, Tally::Spooled));
    assert_eq!(spooled, [3, 2, 1800]);
    drop(peer.handle);
    // The next process knows as much.
    let spools = Spools::default();
    let next = Opening::real().open(&spools, &root);
    next.wait_until(|condition| condition.usable);
    let found = [Category::Session, Category::Error, Category::Attachment].map(|of| next.ledger.told(of, Tally::Found));
    assert_eq!(found, [3, 2, 1800]);
    let entry = next.take().unwrap();
    assert_eq!(entry.parts(), [Part::new(Category::Error, 1), Part::new(Category::Attachment, 900).together_with(0)]);
    assert_eq!(items(&entry), "{}\n1\n{}\n2\n");
    next.handle.settle(entry.lease(), Fate::Sent);
    let entry = next.take().unwrap();
    let may = Categories::ALL.without(Category::Error);
    next.handle.settle(entry.lease(), Fate::SentPartly { may, reason: Reason::RatelimitBackoff });
    assert_eq!(next.condition().entries, 0);
    let told = |category, tally| next.ledger.told(category, tally);
    let lost = Tally::Dropped(Reason::RatelimitBackoff);
    assert_eq!((told(Category::Session, Tally::Sent), told(Category::Session, lost)), (3, 0));
    assert_eq!((told(Category::Error, Tally::Sent), told(Category::Error, lost)), (1, 1));
    assert_eq!((told(Category::Attachment, Tally::Sent), told(Category::Attachment, lost)), (900, 900));
    assert!(next.reported().contains(r#""reason":"ratelimit_backoff","category":"attachment","quantity":900"#));
}

#[test]
fn entries_of_one_time_and_id_are_two() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let peer = Opening::new(&clock).open(&spools, &root);
    assert!(peer.keep(1) && peer.keep(1));
    let held = peer.take().unwrap();
    assert!(peer.keep(1));
    assert_eq!(peer.condition().entries, 3);
    peer.handle.settle(held.lease(), Fate::Sent);
    assert_eq!(peer.drain(), ids([1, 1]));
}

#[test]
fn those_with_nothing_to_take_are_told_when_there_is() {
    let (root, clock, spools) = (Root::new(), StillClock::new(), Spools::default());
    let one = Opening::new(&clock).open(&spools, &root);
    let two = Opening::new(&clock).open(&spools, &root);
    two.wait_until(|condition| condition.usable);
    assert!(one.keep(1));
    two.wait_until(|condition| condition.ready == 1);
    let entry = one.take().unwrap();
    assert_eq!(one.handle.condition().ready, 0);
    while two.replies.try_recv().is_ok() {}
    one.handle.settle(entry.lease(), Fate::Kept { counts: false, reason: Reason::NetworkError });
    assert!(matches!(two.replies.recv_timeout(LONG), Ok(Reply::Changed)));
}
