// SPDX-License-Identifier: BSD-2-Clause
//! Which transaction is whose, as the library will have it after each record of a log file (vsl_dispatch.c): it would follow two that are each other's for good.

use std::collections::HashMap;

/// Transactions one above the other: restarts and levels of ESI come to a few dozen.
const MAX_ABOVE: usize = 1000;
/// Transactions that have not ended. The library gives up on all but `-L` of them; what was in a log whose end of a transaction is lost is forgotten here, all at a time.
const MAX_OPEN: usize = 1 << 18;

#[derive(Debug, Default)]
pub(crate) struct Lineage {
    known: HashMap<u64, Kin>,
}

#[derive(Debug, Default)]
struct Kin {
    /// The first one that was said.
    parent: Option<u64>,
    children: Vec<u64>,
    /// Of the children, those that have not ended with all that are theirs.
    open: usize,
    has_begun: bool,
    has_ended: bool,
    /// It is a session, and the query has none.
    is_passed_over: bool,
}

impl Lineage {
    /// Whether one has begun, or was named by another one, and it or what it belongs to has not ended.
    pub fn knows(&self, one: u64) -> bool {
        self.known.contains_key(&one)
    }

    /// Says that one begins, as another one's if that is not zero; `false` if that one is its own, in any degree.
    pub fn begin(&mut self, one: u64, parent: u64) -> bool {
        self.bound();
        let kin = self.known.entry(one).or_default();
        if kin.has_ended || kin.has_begun {
            return true;
        }
        kin.has_begun = true;
        kin.is_passed_over = false;
        kin.parent.is_some() || self.relate(one, parent)
    }

    /// Says that one has another one; `false` if it is itself of that one, in any degree. Who has not begun has nobody.
    pub fn link(&mut self, one: u64, child: u64, is_passed_over: bool) -> bool {
        self.bound();
        if child == 0 || child == one || !self.known.get(&one).is_some_and(|kin| !kin.has_ended && !kin.is_passed_over)
        {
            return true;
        }
        let below = self.known.entry(child).or_default();
        if below.parent.is_some() || below.has_ended {
            return true;
        }
        below.is_passed_over = is_passed_over;
        self.relate(child, one)
    }

    /// Says that one has ended. It is kept as long as what is its own, or what it is of, has not.
    pub fn end(&mut self, one: u64) {
        match self.known.get_mut(&one) {
            Some(kin) if !kin.has_ended => kin.has_ended = true,
            _ => return,
        }
        let mut done = one;
        while let Some(Kin { has_ended: true, open: 0, parent, .. }) = self.known.get(&done) {
            let Some(parent) = *parent else { return self.forget(done) };
            if let Some(above) = self.known.get_mut(&parent) {
                above.open = above.open.saturating_sub(1);
            }
            done = parent;
        }
    }

    fn bound(&mut self) {
        if self.known.len() >= MAX_OPEN {
            self.known.clear();
        }
    }

    /// One that has no parent yet.
    fn relate(&mut self, child: u64, parent: u64) -> bool {
        if parent == 0 || parent == child {
            return true;
        }
        let may_be_above = self.known.get(&child).is_some_and(|below| !below.children.is_empty());
        let above = self.known.entry(parent).or_default();
        if above.has_ended {
            return true;
        }
        // One that nobody is below is above nobody.
        if may_be_above && self.is_above(child, parent) {
            return false;
        }
        if let Some(above) = self.known.get_mut(&parent) {
            above.children.push(child);
            above.open += 1;
        }
        if let Some(below) = self.known.get_mut(&child) {
            below.parent = Some(parent);
        }
        true
    }

    fn forget(&mut self, one: u64) {
        let mut gone = vec![one];
        while let Some(one) = gone.pop() {
            gone.extend(self.known.remove(&one).map(|kin| kin.children).unwrap_or_default());
        }
    }

    /// Whether `one` is above `other`, or too many are for a real one.
    fn is_above(&self, one: u64, other: u64) -> bool {
        let above = std::iter::successors(Some(other), |next| self.known.get(next).and_then(|kin| kin.parent));
        above.take(MAX_ABOVE + 1).enumerate().any(|(count, next)| next == one || count == MAX_ABOVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_its_own_ancestor() {
        for length in 2..5 {
            let mut lineage = Lineage::default();
            assert!((1..length).all(|one| lineage.begin(one, one + 1)));
            assert!(lineage.begin(7, 0) && lineage.link(length, length, false) && lineage.link(length, 0, false));
            assert!(!lineage.begin(length, 1), "{length}");
        }
        let mut lineage = Lineage::default();
        assert!(lineage.begin(1, 1) && lineage.link(1, 2, false) && lineage.begin(2, 1) && lineage.link(2, 3, false));
        assert!(!lineage.link(3, 1, false));
    }

    #[test]
    fn what_is_said_first_counts() {
        let mut lineage = Lineage::default();
        assert!([(2, 1), (2, 3), (3, 0), (3, 2)].into_iter().all(|(one, parent)| lineage.begin(one, parent)));
        assert!(lineage.link(1, 2, false) && lineage.link(4, 2, false));
        assert!(lineage.begin(1, 4) && lineage.knows(4) && !lineage.begin(4, 2));
        assert!(lineage.link(4, 5, false) && lineage.begin(5, 6) && !lineage.knows(6));
    }

    #[test]
    fn rows_of_a_thousand_are_none() {
        for (below, is_taken) in [(900, true), (1001, false)] {
            let mut lineage = Lineage::default();
            assert!((1..=MAX_ABOVE as u64).all(|one| lineage.begin(one + 1, one)));
            assert!(lineage.begin(2001, 2000));
            assert_eq!(lineage.begin(2000, below), is_taken);
        }
    }

    #[test]
    fn who_has_not_begun_and_who_is_passed_over_has_nobody() {
        let mut lineage = Lineage::default();
        assert!(lineage.link(1, 2, false) && !lineage.knows(1) && !lineage.knows(2));
        // But who is named has begun to be.
        assert!(lineage.begin(3, 4) && lineage.knows(4) && lineage.link(4, 5, true) && lineage.knows(5));
        assert!(lineage.link(5, 6, false) && !lineage.knows(6));
        assert!(lineage.begin(5, 0) && lineage.link(5, 6, false) && lineage.knows(6));
    }

    #[test]
    fn what_has_ended_is_forgotten_with_all_of_its_own_and_may_be_anew() {
        let mut lineage = Lineage::default();
        // A session, its request, with what it fetched; the request's link comes after the fetch has ended.
        assert!(lineage.begin(2, 1) && lineage.begin(3, 2));
        lineage.end(3);
        assert!(lineage.link(2, 3, false));
        lineage.end(2);
        assert_eq!(lineage.known.len(), 3, "the session goes on");
        assert!(lineage.begin(4, 1) && lineage.begin(5, 2), "of what has ended nobody is");
        lineage.end(1);
        lineage.end(9);
        assert!(lineage.knows(1));
        lineage.end(4);
        lineage.end(5);
        assert!(lineage.known.is_empty(), "{:?}", lineage.known);
        // As after the server has been started again: the same numbers, the other way round.
        assert!(lineage.begin(2, 3) && lineage.begin(1, 2));
    }

    #[test]
    fn what_never_ends_is_bounded() {
        let mut lineage = Lineage::default();
        assert!((1..=MAX_OPEN as u64 + 9).all(|one| lineage.begin(one, 0)));
        assert!(lineage.known.len() < MAX_OPEN);
    }
}
