// SPDX-License-Identifier: BSD-2-Clause
//! How many members of a group may refuse as a whole at a time: first come, first refused.
//!
//! Any thread may call anything; what it is handed is called with the lock held, and must neither come back here nor take another lock.

use parking_lot::Mutex;

/// The members that refuse as a whole, each by a number of its own.
#[derive(Debug, Default)]
pub struct Refusing(Mutex<Vec<usize>>);

impl Refusing {
    /// Whether `member`, one of so many, may refuse as a whole while `percent` of them may at most. `is_sick` tells of a member whether
    /// it would still.
    pub fn may(&self, member: usize, members: usize, percent: u64, is_sick: impl Fn(usize) -> bool) -> bool {
        let most = members as u128 * u128::from(percent.min(100)) / 100;
        let mut refusing = self.0.lock();
        refusing.retain(|other| *other == member || is_sick(*other));
        // Its place is its own only as long as it was sick without a break, or nobody else has taken it.
        let known = refusing.iter().position(|other| *other == member);
        let before = known.unwrap_or(refusing.len());
        let may = (before as u128) < most;
        match (may, known) {
            (true, None) => refusing.push(member),
            (false, Some(at)) => {
                refusing.remove(at);
            }
            _ => {}
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_rounded_down() {
        for (members, percent, most) in [
            (3, 100, 3),
            (3, 67, 2),
            (3, 66, 1),
            (3, 34, 1),
            (3, 33, 0),
            (2, 50, 1),
            (1, 99, 0),
            (1, 100, 1),
            (5, 0, 0),
            (4, 900, 4),
        ] {
            let refusing = Refusing::default();
            let may = (1..=members).filter(|member| refusing.may(*member, members, percent, |_| true)).count();
            assert_eq!(may, most, "{percent} % of {members}");
        }
    }

    #[test]
    fn first_come_first_refused_until_it_heals() {
        let refusing = Refusing::default();
        let may = |member, sick: &[usize]| refusing.may(member, 3, 34, |other| sick.contains(&other));
        assert!(may(1, &[1]));
        assert!(may(1, &[1]));
        assert!(!may(2, &[1, 2]));
        assert!(!may(3, &[1, 2, 3]));
        assert!(may(1, &[1, 2, 3]));
        // The first one heals, and the next to ask takes its place; when it is sick again, it comes too late.
        assert!(may(3, &[2, 3]));
        assert!(!may(1, &[1, 2, 3]));
        assert!(!may(2, &[1, 2, 3]));
        assert!(may(2, &[1, 2]));
    }
}
