// SPDX-License-Identifier: BSD-2-Clause
//! The entries of a queue, in a lane for each destination, and there in a pile for each weight. What is asked for is at an end of one.
//!
//! Projects take turns, and of those that hold too much together the one with the most gives way: whoever floods one of them takes neither time nor
//! room from the others. Within a project entries that the server failed on wait behind all others: one that it cannot digest must not hold up the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use protocol::category::WEIGHTS;
use protocol::dsn::Dsn;

use super::queued::Queued;

/// With fewer lanes none is looked at for being empty.
const MANY: usize = 16;

/// What may become of a destination's entries now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// They stay.
    Shut,
    /// One of them may be made ready, to be sent when its turn comes.
    Next,
    /// One of them may be sent.
    Now,
}

/// Entries of one destination and weight.
#[derive(Default)]
struct Pile {
    fresh: VecDeque<Queued>,
    failed: VecDeque<Queued>,
}

impl Pile {
    fn len(&self) -> usize {
        self.fresh.len() + self.failed.len()
    }

    /// What its oldest entry is sorted by: those that have failed are older than all others.
    fn age(&self) -> Option<(bool, u64)> {
        let failed = self.failed.front().map(|queued| (false, queued.order));
        failed.or_else(|| self.fresh.front().map(|queued| (true, queued.seq)))
    }
}

struct Lane {
    /// `None`: where the client sends to.
    dsn: Option<Arc<Dsn>>,
    /// The place of its project.
    project: usize,
    piles: [Pile; WEIGHTS],
    passage: Passage,
}

impl Lane {
    fn len(&self) -> usize {
        self.piles.iter().map(Pile::len).sum()
    }
}

/// What those lanes have in common that lead to one project.
#[derive(Clone, Copy, Default)]
struct Project {
    entries: usize,
    bytes: usize,
    /// The turn that was its last one.
    served: u64,
}

/// All of them.
pub struct Lanes {
    lanes: Vec<Lane>,
    places: HashMap<Option<Arc<Dsn>>, usize>,
    projects: Vec<Project>,
    /// Entries that the lane for where the client sends to makes room for at once, so that a push never moves a whole lane.
    room: usize,
    /// With so many lanes it is time to look for those that are empty.
    many: usize,
    len: usize,
    bytes: usize,
    next_order: u64,
    turn: u64,
}

impl Lanes {
    pub fn new(room: usize) -> Lanes {
        let (lanes, places, projects) = Default::default();
        Lanes { lanes, places, projects, room, many: MANY, len: 0, bytes: 0, next_order: 0, turn: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many lanes there are.
    #[cfg(test)]
    pub fn number(&self) -> usize {
        self.lanes.len()
    }

    /// How many may pass as far as that.
    pub fn open(&self, least: Passage) -> usize {
        self.lanes.iter().filter(|lane| lane.passage >= least).map(Lane::len).sum()
    }

    /// How many there are whose destination is one that `is_meant`.
    pub fn count(&self, is_meant: &dyn Fn(Option<&Arc<Dsn>>) -> bool) -> usize {
        self.lanes.iter().filter(|lane| is_meant(lane.dsn.as_ref())).map(Lane::len).sum()
    }

    /// Whether one for that destination may be made ready.
    pub fn is_open_for(&self, dsn: Option<&Arc<Dsn>>) -> bool {
        let lane = self.places.get(&dsn.cloned()).and_then(|place| self.lanes.get(*place));
        lane.is_some_and(|lane| lane.passage >= Passage::Next && lane.len() > 0)
    }

    /// Has `judge` say for each destination how far its entries may pass. A lane that is made after that lets them all pass.
    pub fn judge(&mut self, judge: &mut dyn FnMut(Option<&Arc<Dsn>>) -> Passage) {
        for lane in &mut self.lanes {
            lane.passage = judge(lane.dsn.as_ref());
        }
    }

    /// Takes an entry in: at the end if it is new, at its old place if the server never saw it, behind all others if it has failed.
    pub fn add(&mut self, mut queued: Queued) {
        let (order, size) = (self.next_order, queued.size);
        let place = self.place_for(&queued);
        let Some(lane) = self.lanes.get_mut(place) else { return };
        let project = lane.project;
        let Some(pile) = lane.piles.get_mut(queued.weight()) else { return };
        if queued.tries > 0 {
            queued.order = order;
            pile.failed.push_back(queued);
        } else if pile.fresh.back().is_none_or(|last| last.seq < queued.seq) {
            if pile.fresh.capacity() == 0 && lane.dsn.is_none() {
                pile.fresh.reserve(self.room);
            }
            pile.fresh.push_back(queued);
        } else {
            let place = pile.fresh.partition_point(|other| other.seq < queued.seq);
            pile.fresh.insert(place, queued);
        }
        self.next_order += 1;
        self.len += 1;
        self.bytes += size;
        if let Some(project) = self.projects.get_mut(project) {
            project.entries += 1;
            project.bytes += size;
        }
    }

    /// The place of the lane for it, which is made if there is none.
    fn place_for(&mut self, queued: &Queued) -> usize {
        let dsn = queued.dsn().cloned();
        if let Some(place) = self.places.get(&dsn) {
            return *place;
        }
        if self.lanes.len() >= self.many {
            self.forget_empty();
            self.many = MANY.max(2 * self.lanes.len());
        }
        let is_same = |other: &Lane| match (&other.dsn, &dsn) {
            (Some(other), Some(dsn)) => other.is_of_same_project(dsn),
            (other, dsn) => other.is_none() && dsn.is_none(),
        };
        let known = self.lanes.iter().find(|lane| is_same(lane)).map(|lane| lane.project);
        let project = known.unwrap_or_else(|| {
            // It is the last one whose turn it is: the others have waited.
            self.projects.push(Project { served: self.turn, ..Project::default() });
            self.projects.len() - 1
        });
        let place = self.lanes.len();
        self.places.insert(dsn.clone(), place);
        self.lanes.push(Lane { dsn, project, piles: Default::default(), passage: Passage::Now });
        place
    }

    fn forget_empty(&mut self) {
        self.lanes.retain(|lane| lane.len() > 0);
        let before = std::mem::take(&mut self.projects);
        let mut moved: HashMap<usize, usize> = HashMap::new();
        self.places.clear();
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            self.places.insert(lane.dsn.clone(), place);
            let project = before.get(lane.project).copied().unwrap_or_default();
            lane.project = *moved.entry(lane.project).or_insert_with(|| {
                self.projects.push(project);
                self.projects.len() - 1
            });
        }
    }

    /// Takes the next one out that may pass as far as that. Of projects it is the turn of the one that had none for longest; there it is the oldest or the newest. One that has failed comes after all
    /// others.
    pub fn take(&mut self, newest: bool, least: Passage) -> Option<Queued> {
        let piles = || self.piles().filter(|(_, lane, _, _)| lane.passage >= least);
        let fresh = piles().filter_map(|(place, lane, weight, pile)| {
            let age = if newest { u64::MAX - pile.fresh.back()?.seq } else { pile.fresh.front()?.seq };
            Some(((self.served(lane), age), place, weight))
        });
        if let Some((_, place, weight)) = fresh.min() {
            let fresh = &mut self.lanes.get_mut(place)?.piles.get_mut(weight)?.fresh;
            let taken = if newest { fresh.pop_back() } else { fresh.pop_front() };
            return self.taken(place, taken, true);
        }
        let failed = piles().filter_map(|(place, _, weight, pile)| Some((pile.failed.front()?.order, place, weight)));
        let (_, place, weight) = failed.min()?;
        let taken = self.lanes.get_mut(place)?.piles.get_mut(weight)?.failed.pop_front();
        self.taken(place, taken, true)
    }

    fn piles(&self) -> impl Iterator<Item = (usize, &Lane, usize, &Pile)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.flat_map(|(place, lane)| {
            lane.piles.iter().enumerate().map(move |(weight, pile)| (place, lane, weight, pile))
        })
    }

    fn served(&self, lane: &Lane) -> u64 {
        self.projects.get(lane.project).map_or(0, |project| project.served)
    }

    /// Takes one out to make room, by entries or by bytes: of the project that holds most of it the oldest of the least weight.
    pub fn evict(&mut self, by_bytes: bool) -> Option<Queued> {
        let held = self.projects.iter().map(|project| if by_bytes { project.bytes } else { project.entries });
        let (_, largest) = held.zip(0..).max()?;
        let of_largest = self.piles().filter(|(_, lane, _, _)| lane.project == largest);
        let ages = of_largest.filter_map(|(place, _, weight, pile)| Some((weight, pile.age()?, place)));
        let (weight, _, place) = ages.min()?;
        self.take_oldest_of(place, weight)
    }

    /// Takes the oldest of those out whose destination is one that `is_meant`, whether they may pass or not.
    pub fn take_oldest(&mut self, is_meant: &dyn Fn(Option<&Arc<Dsn>>) -> bool) -> Option<Queued> {
        let meant = self.piles().filter(|(_, lane, _, pile)| pile.len() > 0 && is_meant(lane.dsn.as_ref()));
        let ages = meant.filter_map(|(place, _, weight, pile)| Some((pile.age()?, place, weight)));
        let (_, place, weight) = ages.min()?;
        self.take_oldest_of(place, weight)
    }

    fn take_oldest_of(&mut self, place: usize, weight: usize) -> Option<Queued> {
        let pile = self.lanes.get_mut(place)?.piles.get_mut(weight)?;
        let taken = pile.failed.pop_front().or_else(|| pile.fresh.pop_front());
        self.taken(place, taken, false)
    }

    /// Takes all of one destination out that `goes` names.
    pub fn sweep(&mut self, dsn: Option<&Arc<Dsn>>, goes: &dyn Fn(&Queued) -> bool) -> Vec<Queued> {
        let mut swept = Vec::new();
        let Some(place) = self.places.get(&dsn.cloned()).copied() else { return swept };
        let Some(lane) = self.lanes.get_mut(place) else { return swept };
        for entries in lane.piles.iter_mut().flat_map(|pile| [&mut pile.fresh, &mut pile.failed]) {
            if entries.iter().any(goes) {
                let (gone, kept) = std::mem::take(entries).into_iter().partition::<Vec<_>, _>(|queued| goes(queued));
                entries.extend(kept);
                swept.extend(gone);
            }
        }
        let project = lane.project;
        swept.iter().for_each(|queued| self.let_go(project, queued.size));
        swept
    }

    /// Takes all out.
    pub fn clear(&mut self) -> Vec<Queued> {
        (self.len, self.bytes) = (0, 0);
        self.places.clear();
        self.projects.clear();
        let piles = self.lanes.drain(..).flat_map(|lane| lane.piles);
        piles.flat_map(|pile| pile.failed.into_iter().chain(pile.fresh)).collect()
    }

    fn taken(&mut self, place: usize, taken: Option<Queued>, is_turn: bool) -> Option<Queued> {
        let (taken, project) = (taken?, self.lanes.get(place)?.project);
        self.let_go(project, taken.size);
        if is_turn {
            self.turn += 1;
            if let Some(project) = self.projects.get_mut(project) {
                project.served = self.turn;
            }
        }
        Some(taken)
    }

    fn let_go(&mut self, project: usize, size: usize) {
        self.len -= 1;
        self.bytes -= size;
        if let Some(project) = self.projects.get_mut(project) {
            project.entries -= 1;
            project.bytes -= size;
        }
    }
}
