// SPDX-License-Identifier: BSD-2-Clause
//! All entries in the order of their expiry, with counts: a weight-balanced search tree.
//!
//! Every question (who goes first, how many are live at `now`, when do fewer than k live) costs one
//! way down, whatever has expired meanwhile and whichever way the clock went, because the tree knows
//! no clock. Plain data, guarded by the denylist's mutex.

use crate::table::{CHUNK, NIL, place};
use crate::time::Time;

/// A node's number is its entry's slot number, so a node needs no pointer to its entry. Packed to 20 bytes: else 4 more
/// would be lost to the alignment.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Node {
    until: Time,
    left: u32,
    right: u32,
    /// Nodes of the subtree, this one included; 0 where there is no node.
    size: u32,
}

const _: () = assert!(size_of::<Node>() == 20);

impl Node {
    const NONE: Node = Node { until: Time::NEVER, left: NIL, right: NIL, size: 0 };
}

/// The tree. Entries of one millisecond stand in the order of their slots.
///
/// Balance (Hirai and Yamamoto, "Balancing weight-balanced trees", 2011): with weight = size + 1, no
/// side is heavier than `HEAVIER` times the other. So no path is longer than 58 nodes at
/// `MAX_ENTRIES`, which bounds the recursion on a worker's small stack.
pub(crate) struct Order {
    /// Chunks, not one vector: growing must not copy megabytes in one call, nor hold twice the need.
    chunks: Vec<Box<[Node]>>,
    root: u32,
    /// Tops of trees that were forgotten, to be freed: at most one for each level of each of them.
    forgotten: Vec<u32>,
}

const HEAVIER: u32 = 3;
/// A heavy side whose inner child weighs less than this many times its outer one takes a single rotation.
const SINGLE: u32 = 2;

impl Order {
    pub fn new() -> Order {
        Order { chunks: Vec::new(), root: NIL, forgotten: Vec::new() }
    }

    /// How many entries there are.
    pub fn len(&self) -> u32 {
        self.node(self.root).size
    }

    /// Adds the entry of a slot that is not in yet.
    pub fn insert(&mut self, slot: u32, until: Time) {
        if place(slot).0 == self.chunks.len() {
            self.chunks.push(vec![Node::NONE; CHUNK].into_boxed_slice());
        }
        if let Some(node) = self.node_mut(slot) {
            node.until = until;
            self.root = self.insert_below(self.root, slot);
        }
    }

    /// Removes the entry of a slot that is in.
    pub fn remove(&mut self, slot: u32) {
        self.root = self.remove_below(self.root, slot);
    }

    /// Forgets every entry, in no time: their slots come from [`Order::forgotten`], one by one.
    pub fn forget(&mut self) {
        self.forgotten.push(self.root);
        self.root = NIL;
    }

    /// A slot whose entry was forgotten, and which is free now.
    pub fn forgotten(&mut self) -> Option<u32> {
        loop {
            let at = self.forgotten.pop()?;
            if let Some(&Node { left, right, .. }) = self.get(at) {
                self.forgotten.extend([left, right].into_iter().filter(|side| *side != NIL));
                return Some(at);
            }
        }
    }

    /// The slot that expires first, and when.
    pub fn first(&self) -> Option<(u32, Time)> {
        self.edge(|node| node.left)
    }

    /// When the last entry expires.
    pub fn last(&self) -> Option<Time> {
        Some(self.edge(|node| node.right)?.1)
    }

    fn edge(&self, side: impl Fn(&Node) -> u32) -> Option<(u32, Time)> {
        let (mut at, mut node) = (self.root, self.get(self.root)?);
        while let Some(next) = self.get(side(node)) {
            (at, node) = (side(node), next);
        }
        Some((at, node.until))
    }

    /// The first of those that stand behind `(until, slot)`, whether there is one there or not.
    pub fn behind(&self, until: Time, slot: u32) -> Option<(u32, Time)> {
        let (mut at, mut found) = (self.root, None);
        while let Some(node) = self.get(at) {
            if (node.until, at) > (until, slot) {
                found = Some((at, node.until));
                at = node.left;
            } else {
                at = node.right;
            }
        }
        found
    }

    /// How many entries are live at `now`.
    pub fn live(&self, now: Time) -> u32 {
        let (mut at, mut live) = (self.root, 0);
        while let Some(node) = self.get(at) {
            let until = node.until;
            if now <= until {
                live += 1 + self.node(node.right).size;
                at = node.left;
            } else {
                at = node.right;
            }
        }
        live
    }

    /// Until when at least `count` entries live: the expiry of the `count`-th, seen from the last.
    /// None if there are not that many, or `count` is 0.
    pub fn at_least(&self, count: u64) -> Option<Time> {
        let (mut at, mut count) = (self.root, u32::try_from(count).ok()?);
        while let Some(node) = self.get(at) {
            let later = self.node(node.right).size;
            if count <= later {
                at = node.right;
            } else if count == later + 1 {
                return Some(node.until);
            } else {
                count -= later + 1;
                at = node.left;
            }
        }
        None
    }

    fn get(&self, at: u32) -> Option<&Node> {
        let (chunk, offset) = place(at);
        self.chunks.get(chunk)?.get(offset)
    }

    fn node(&self, at: u32) -> Node {
        self.get(at).copied().unwrap_or(Node::NONE)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        let (chunk, offset) = place(at);
        self.chunks.get_mut(chunk)?.get_mut(offset)
    }

    fn weight(&self, at: u32) -> u32 {
        self.node(at).size + 1
    }

    fn goes_before(&self, a: u32, b: u32) -> bool {
        (self.node(a).until, a) < (self.node(b).until, b)
    }

    // The functions below take a subtree and return its new top.

    fn insert_below(&mut self, top: u32, slot: u32) -> u32 {
        let Some(&Node { left, right, .. }) = self.get(top) else { return self.join(NIL, slot, NIL) };
        if self.goes_before(slot, top) {
            let left = self.insert_below(left, slot);
            self.balance(left, top, right)
        } else {
            let right = self.insert_below(right, slot);
            self.balance(left, top, right)
        }
    }

    fn remove_below(&mut self, top: u32, slot: u32) -> u32 {
        let Some(&Node { left, right, .. }) = self.get(top) else { return NIL };
        if slot == top {
            if right == NIL {
                return left;
            }
            let (next, right) = self.split_first(right);
            self.balance(left, next, right)
        } else if self.goes_before(slot, top) {
            let left = self.remove_below(left, slot);
            self.balance(left, top, right)
        } else {
            let right = self.remove_below(right, slot);
            self.balance(left, top, right)
        }
    }

    /// The first node of a subtree, and what remains of it.
    fn split_first(&mut self, top: u32) -> (u32, u32) {
        let Node { left, right, .. } = self.node(top);
        if left == NIL {
            return (top, right);
        }
        let (first, left) = self.split_first(left);
        (first, self.balance(left, top, right))
    }

    /// Makes one subtree of two, of which one may have become too heavy by one node, and what stands between.
    fn balance(&mut self, left: u32, top: u32, right: u32) -> u32 {
        if self.weight(right) > HEAVIER * self.weight(left) {
            let Node { left: inner, right: outer, .. } = self.node(right);
            if self.weight(inner) < SINGLE * self.weight(outer) {
                let low = self.join(left, top, inner);
                self.join(low, right, outer)
            } else {
                let Node { left: before, right: after, .. } = self.node(inner);
                let low = self.join(left, top, before);
                let high = self.join(after, right, outer);
                self.join(low, inner, high)
            }
        } else if self.weight(left) > HEAVIER * self.weight(right) {
            let Node { left: outer, right: inner, .. } = self.node(left);
            if self.weight(inner) < SINGLE * self.weight(outer) {
                let high = self.join(inner, top, right);
                self.join(outer, left, high)
            } else {
                let Node { left: before, right: after, .. } = self.node(inner);
                let low = self.join(outer, left, before);
                let high = self.join(after, top, right);
                self.join(low, inner, high)
            }
        } else {
            self.join(left, top, right)
        }
    }

    fn join(&mut self, left: u32, top: u32, right: u32) -> u32 {
        let size = self.node(left).size + 1 + self.node(right).size;
        if let Some(node) = self.node_mut(top) {
            *node = Node { until: node.until, left, right, size };
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Order {
        /// The subtree's slots in order, after a look at sizes and balance.
        fn checked(&self, top: u32) -> Vec<u32> {
            let Some(node) = self.get(top) else { return Vec::new() };
            let (left, right) = (self.checked(node.left), self.checked(node.right));
            assert_eq!(node.size as usize, left.len() + 1 + right.len());
            let (light, heavy) = (left.len().min(right.len()) + 1, left.len().max(right.len()) + 1);
            assert!(heavy <= HEAVIER as usize * light, "{heavy} against {light}");
            [left, vec![top], right].concat()
        }
    }

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    proptest! {
        /// A slot that is drawn goes in if it is out and out if it is in.
        #[test]
        fn answers_as_a_sorted_vector_does(draws in prop::collection::vec((0..300u32, 0..200i64), 0..500)) {
            let mut order = Order::new();
            let mut sorted: Vec<(Time, u32)> = Vec::new();
            for slot in 0..300 {
                order.insert(slot, at(0));
            }
            for slot in 0..300 {
                order.remove(slot);
            }
            for (slot, millis) in draws {
                if let Some(found) = sorted.iter().position(|entry| entry.1 == slot) {
                    sorted.remove(found);
                    order.remove(slot);
                } else {
                    sorted.push((at(millis), slot));
                    sorted.sort_unstable();
                    order.insert(slot, at(millis));
                }
                prop_assert_eq!(order.first(), sorted.first().map(|entry| (entry.1, entry.0)));
                prop_assert_eq!(order.last(), sorted.last().map(|entry| entry.0));
                let live = sorted.iter().filter(|entry| at(millis) <= entry.0).count();
                prop_assert_eq!(order.live(at(millis)) as usize, live);
                let behind = sorted.iter().find(|entry| **entry > (at(millis), slot));
                prop_assert_eq!(order.behind(at(millis), slot), behind.map(|entry| (entry.1, entry.0)));
            }
            let slots: Vec<_> = sorted.iter().map(|entry| entry.1).collect();
            prop_assert_eq!(order.checked(order.root), slots);
            prop_assert_eq!(order.len() as usize, sorted.len());
            for count in 1..=sorted.len() {
                prop_assert_eq!(order.at_least(count as u64), Some(sorted[sorted.len() - count].0));
            }
            for none in [0, sorted.len() as u64 + 1, u64::MAX] {
                prop_assert_eq!(order.at_least(none), None);
            }
        }
    }

    #[test]
    fn sorted_input_stays_balanced_and_so_does_what_is_taken_from_the_front() {
        for falling in [false, true] {
            let mut order = Order::new();
            for slot in 0..5_000 {
                let millis = i64::from(slot);
                order.insert(slot, at(if falling { 5_000 - millis } else { millis }));
            }
            assert_eq!(order.checked(order.root).len(), 5_000);
            for left in (0..5_000).rev() {
                let Some((slot, _)) = order.first() else { panic!("empty at {left}") };
                order.remove(slot);
                assert_eq!(order.len(), left);
                if left % 500 == 0 {
                    assert_eq!(order.checked(order.root).len(), left as usize);
                }
            }
        }
    }
}
