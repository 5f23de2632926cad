// SPDX-License-Identifier: BSD-2-Clause
//! Exact accounting, as a property: whatever clients ask and however the disk fails, each entry is in one place.

use proptest::prelude::*;
use protocol::reason::Reason;

use super::*;
use crate::counters::Counter;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Keep(usize),
    Take(usize),
    /// Settles the oldest that is held.
    Settle(usize, u8),
    /// One client gives way to another one.
    Replace(usize),
    /// Both do, so that the spool is closed.
    Close,
    Fail(u8),
    Recover,
    Pass,
    /// A file is cut, or removed.
    Harm(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize).prop_map(Step::Keep),
        5 => (0..2_usize).prop_map(Step::Take),
        5 => (0..2_usize, 0..6_u8).prop_map(|(who, how)| Step::Settle(who, how)),
        1 => (0..2_usize).prop_map(Step::Replace),
        1 => Just(Step::Close),
        1 => (0..3_u8).prop_map(Step::Fail),
        2 => Just(Step::Recover),
        2 => Just(Step::Pass),
        1 => (0..9_usize, any::<bool>()).prop_map(|(which, cut)| Step::Harm(which, cut)),
    ]
}

struct World {
    root: Root,
    clock: Arc<StillClock>,
    spools: Spools,
    disk: Arc<Control>,
    peers: Vec<(Peer, Vec<SpooledEntry>)>,
    ledgers: [Arc<Ledger>; 2],
    captured: [u64; 2],
    /// Not taken by the spool: what a queue would hold.
    waiting: [u64; 2],
    sent: Vec<EventId>,
    number: u64,
}

impl World {
    fn new() -> World {
        let (spools, disk) = failing_spools();
        let ledgers = [(); 2].map(|()| Arc::new(Ledger::new(None)));
        let (clock, root) = (StillClock::new(), Root::new());
        let (peers, captured, waiting, sent, number) = Default::default();
        let mut world = World { root, clock, spools, disk, peers, ledgers, captured, waiting, sent, number };
        world.peers = [0, 1].map(|who| (world.peer(who), Vec::new())).into();
        // So that there is a folder.
        world.peers[0].0.condition();
        world
    }

    fn peer(&self, who: usize) -> Peer {
        let ledger = self.ledgers[who].clone();
        Opening { bytes: 12 * 4096, ledger, ..Opening::new(&self.clock) }.open(&self.spools, &self.root)
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Keep(who) => {
                self.number += 1;
                self.captured[who] += 1;
                self.waiting[who] += u64::from(!self.peers[who].0.keep(self.number));
            }
            Step::Take(who) => {
                let (peer, held) = &mut self.peers[who];
                held.extend(peer.take());
            }
            Step::Settle(who, how) => {
                let (peer, held) = &mut self.peers[who];
                if held.is_empty() {
                    return;
                }
                let entry = held.remove(0);
                let fate = match how {
                    0..=2 => Fate::Sent,
                    3 => Fate::Dropped(Reason::SendError),
                    _ => Fate::Kept { counts: how == 4, reason: Reason::NetworkError },
                };
                if fate == Fate::Sent {
                    self.sent.push(entry.id());
                }
                peer.handle.settle(entry.lease(), fate);
            }
            Step::Replace(who) => {
                let peer = self.peer(who);
                self.peers[who] = (peer, Vec::new());
            }
            Step::Close => {
                self.peers.clear();
                self.peers = [0, 1].map(|who| (self.peer(who), Vec::new())).into();
            }
            Step::Fail(what) => self.disk.set(|faults| match what {
                0 => faults.read = Some(libc::EMFILE),
                1 => faults.write = Some(libc::ENOSPC),
                _ => faults.remove = Some(libc::EROFS),
            }),
            Step::Recover => self.disk.set(|faults| *faults = Faults::default()),
            Step::Pass => self.clock.pass(Duration::from_secs(1)),
            Step::Harm(which, cut) => {
                let names = self.root.names();
                if let Some(name) = names.get(which) {
                    let path = self.root.folder().join(name);
                    if cut { fs::write(path, "x").unwrap() } else { fs::remove_file(path).unwrap() }
                }
            }
        }
    }

    /// What was captured is somewhere, once.
    fn check(&self) -> Result<(), TestCaseError> {
        let condition = self.peers[0].0.condition();
        let told = |who: usize, tally| self.ledgers[who].told(Category::Error, tally);
        for who in 0..2 {
            let dropped: u64 = Reason::ALL.into_iter().map(|reason| told(who, Tally::Dropped(reason))).sum();
            let found = told(who, Tally::Found);
            let there = told(who, Tally::Sent) + dropped + self.waiting[who] + told(who, Tally::Spooled);
            prop_assert_eq!(self.captured[who] + found, there, "of client {}", who);
            let left = told(who, Tally::SpoolSent) + told(who, Tally::SpoolDropped);
            let came = told(who, Tally::SpoolWritten) + found;
            prop_assert_eq!(came, left + told(who, Tally::Spooled), "of client {}", who);
        }
        let gauge = |gauge| self.ledgers.iter().map(|ledger| ledger.get(gauge)).sum::<u64>();
        let spooled = told(0, Tally::Spooled) + told(1, Tally::Spooled);
        prop_assert_eq!((condition.entries as u64, condition.bytes), (spooled, gauge(Counter::SpoolBytes)));
        prop_assert_eq!(spooled, gauge(Counter::SpoolEntries));
        prop_assert!(condition.bytes <= 13 * 4096 + 4096 * 24, "{}", condition.bytes);
        prop_assert_eq!(told(0, Tally::Sent) + told(1, Tally::Sent), self.sent.len() as u64);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_entry_is_in_one_place(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.act(step);
            world.check()?;
        }
        // No entry was sent twice in this process.
        let mut sent = world.sent.clone();
        sent.sort_by_key(|id| id.to_hex());
        sent.dedup();
        prop_assert_eq!(sent.len(), world.sent.len());
        // With all well again, what is left can be had, and nothing stays behind.
        world.act(Step::Recover);
        world.act(Step::Pass);
        world.peers[0].1.clear();
        world.act(Step::Close);
        world.peers[0].0.drain();
        let condition = world.peers[0].0.condition();
        prop_assert_eq!(condition.entries, 0);
        let left = world.root.names();
        prop_assert!(left.is_empty(), "{:?}", left);
        drop(world.peers);
    }
}
