// SPDX-License-Identifier: BSD-2-Clause
//! The entries of a queue, in a lane for each destination and weight. There are few lanes, and what is asked for is at an end of one.
//!
//! Entries that the server failed on wait behind all others: one that it cannot digest must not hold up the rest.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::dsn::Dsn;

use super::queued::Queued;

/// Above so many lanes those that are empty go.
const MANY: usize = 16;

struct Lane {
    /// `None`: where the client sends to.
    dsn: Option<Arc<Dsn>>,
    weight: usize,
    fresh: VecDeque<Queued>,
    failed: VecDeque<Queued>,
    /// Nothing in it may leave now.
    is_shut: bool,
}

impl Lane {
    fn len(&self) -> usize {
        self.fresh.len() + self.failed.len()
    }
}

/// All of them.
pub struct Lanes {
    lanes: Vec<Lane>,
    /// Entries that a lane makes room for at once, so that a push never moves a whole lane.
    room: usize,
    len: usize,
    bytes: usize,
    next_order: u64,
}

impl Lanes {
    pub fn new(room: usize) -> Lanes {
        Lanes { lanes: Vec::new(), room, len: 0, bytes: 0, next_order: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many may leave.
    pub fn open(&self) -> usize {
        self.lanes.iter().filter(|lane| !lane.is_shut).map(Lane::len).sum()
    }

    /// How many of those go where the client sends to.
    pub fn open_at_home(&self) -> usize {
        self.lanes.iter().filter(|lane| !lane.is_shut && lane.dsn.is_none()).map(Lane::len).sum()
    }

    /// Shuts the lanes of the destinations that `is_shut` names, and opens all others.
    pub fn shut(&mut self, is_shut: &dyn Fn(Option<&Arc<Dsn>>) -> bool) {
        for lane in &mut self.lanes {
            lane.is_shut = is_shut(lane.dsn.as_ref());
        }
    }

    /// Takes an entry in: at the end if it is new, at its old place if the server never saw it, behind all others if it has failed.
    pub fn add(&mut self, mut queued: Queued) {
        self.len += 1;
        self.bytes += queued.size;
        let order = self.next_order;
        let Some(lane) = self.lane_for(&queued) else { return };
        if queued.tries > 0 {
            queued.order = order;
            lane.failed.push_back(queued);
        } else if lane.fresh.back().is_none_or(|last| last.seq < queued.seq) {
            lane.fresh.push_back(queued);
        } else {
            let place = lane.fresh.partition_point(|other| other.seq < queued.seq);
            lane.fresh.insert(place, queued);
        }
        self.next_order += 1;
    }

    /// Always `Some`.
    fn lane_for(&mut self, queued: &Queued) -> Option<&mut Lane> {
        let (dsn, weight) = (queued.dsn(), queued.weight());
        let found = self.lanes.iter().position(|lane| lane.weight == weight && lane.dsn.as_ref() == dsn);
        if let Some(found) = found {
            return self.lanes.get_mut(found);
        }
        if self.lanes.len() >= MANY {
            self.lanes.retain(|lane| lane.len() > 0);
        }
        let is_shut = self.lanes.iter().any(|lane| lane.is_shut && lane.dsn.as_ref() == dsn);
        let (dsn, room) = (dsn.cloned(), if dsn.is_none() { self.room } else { 0 });
        self.lanes.push(Lane { dsn, weight, fresh: VecDeque::with_capacity(room), failed: VecDeque::new(), is_shut });
        self.lanes.last_mut()
    }

    /// Takes the next one out that may leave: the oldest or the newest, but one that has failed after all others.
    pub fn take(&mut self, newest: bool) -> Option<Queued> {
        let open = || self.lanes.iter().enumerate().filter(|(_, lane)| !lane.is_shut);
        let of = |fresh: &VecDeque<Queued>| if newest { fresh.back() } else { fresh.front() }.map(|queued| queued.seq);
        let fresh = open().filter_map(|(place, lane)| Some((of(&lane.fresh)?, place)));
        let fresh = if newest { fresh.max() } else { fresh.min() };
        if let Some((_, place)) = fresh {
            let fresh = &mut self.lanes.get_mut(place)?.fresh;
            let taken = if newest { fresh.pop_back() } else { fresh.pop_front() };
            return self.taken(taken);
        }
        let failed = open().filter_map(|(place, lane)| Some((lane.failed.front()?.order, place)));
        let (_, place) = failed.min()?;
        let taken = self.lanes.get_mut(place)?.failed.pop_front();
        self.taken(taken)
    }

    /// Takes the oldest of the least weight out.
    pub fn evict(&mut self) -> Option<Queued> {
        let ages = self.ages().map(|(lane, age, place)| (lane.weight, age, place));
        let (_, _, place) = ages.min()?;
        self.take_oldest_of(place)
    }

    /// Takes the oldest of those out that go where the client sends to, whether they may leave or not.
    pub fn take_oldest(&mut self) -> Option<Queued> {
        let ages = self.ages().filter(|(lane, _, _)| lane.dsn.is_none()).map(|(_, age, place)| (age, place));
        let (_, place) = ages.min()?;
        self.take_oldest_of(place)
    }

    /// What the oldest entry of each lane is sorted by: those that have failed are older than all others.
    fn ages(&self) -> impl Iterator<Item = (&Lane, (bool, u64), usize)> {
        self.lanes.iter().enumerate().filter_map(|(place, lane)| {
            let failed = lane.failed.front().map(|queued| (false, queued.order));
            let oldest = failed.or_else(|| lane.fresh.front().map(|queued| (true, queued.seq)))?;
            Some((lane, oldest, place))
        })
    }

    fn take_oldest_of(&mut self, place: usize) -> Option<Queued> {
        let lane = self.lanes.get_mut(place)?;
        let taken = lane.failed.pop_front().or_else(|| lane.fresh.pop_front());
        self.taken(taken)
    }

    /// Takes all of one destination out that `goes` names.
    pub fn sweep(&mut self, dsn: Option<&Arc<Dsn>>, goes: &dyn Fn(&Queued) -> bool) -> Vec<Queued> {
        let mut swept = Vec::new();
        for lane in self.lanes.iter_mut().filter(|lane| lane.dsn.as_ref() == dsn) {
            for entries in [&mut lane.fresh, &mut lane.failed] {
                if entries.iter().any(goes) {
                    let (gone, kept) =
                        std::mem::take(entries).into_iter().partition::<Vec<_>, _>(|queued| goes(queued));
                    entries.extend(kept);
                    swept.extend(gone);
                }
            }
        }
        self.len -= swept.len();
        self.bytes -= swept.iter().map(|queued| queued.size).sum::<usize>();
        swept
    }

    /// Takes all out.
    pub fn clear(&mut self) -> Vec<Queued> {
        (self.len, self.bytes) = (0, 0);
        let lanes = self.lanes.drain(..);
        lanes.flat_map(|lane| lane.failed.into_iter().chain(lane.fresh)).collect()
    }

    fn taken(&mut self, taken: Option<Queued>) -> Option<Queued> {
        let taken = taken?;
        self.len -= 1;
        self.bytes -= taken.size;
        Some(taken)
    }
}
