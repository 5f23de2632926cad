// SPDX-License-Identifier: BSD-2-Clause
//! Watches over the server: by what its counters say, whether its manager lives, and whether a child of its has panicked.

use std::ffi::CString;

use transaction::counters::Counters;

const UPTIME: &str = "MGT.uptime";
const PANICS: &str = "MGT.child_panic";
/// So many looks without a second that passed, and the manager is gone: its counters stay if it was killed. While it waits for its child, up to `cli_timeout`, its
/// clock stands still, too.
const STANDSTILL: u32 = 90;

/// What is known of a manager.
#[derive(Debug, Default)]
pub struct Watch {
    patterns: Vec<CString>,
    uptime: Option<u64>,
    standstill: u32,
    panics: Option<u64>,
}

impl Watch {
    /// Watches also the counters that others name.
    pub fn new(others: Vec<String>) -> Watch {
        let mut watch = Watch::default();
        watch.name(others);
        watch
    }

    /// From now on others name these.
    pub fn name(&mut self, others: Vec<String>) {
        let names = others.into_iter().chain([UPTIME.to_owned(), PANICS.to_owned()]);
        self.patterns = names.filter_map(|name| CString::new(name).ok()).collect();
    }

    /// So many had panicked before this looked.
    pub fn knew(&mut self, panics: u64) {
        self.panics = Some(panics);
    }

    pub fn patterns(&self) -> &[CString] {
        &self.patterns
    }

    /// Takes a look, about once a second; whether the manager is found gone, which is said once.
    pub fn see(&mut self, counters: &Counters) -> bool {
        self.panics = counters.get(PANICS).or(self.panics);
        let uptime = counters.get(UPTIME);
        if uptime.is_none() || uptime != self.uptime {
            self.uptime = uptime;
            self.standstill = 0;
            return false;
        }
        self.standstill = self.standstill.saturating_add(1);
        self.standstill == STANDSTILL
    }

    /// How many children have panicked; 0 if that is not known.
    pub fn panics(&self) -> u64 {
        self.panics.unwrap_or_default()
    }

    /// Whether more have than were known of at the last look.
    pub fn has_panicked(&mut self, counters: &Counters) -> bool {
        let before = self.panics;
        self.panics = counters.get(PANICS).or(before);
        matches!((before, self.panics), (Some(before), Some(after)) if after > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(uptime: u64, panics: u64) -> Counters {
        let mut counters = Counters::default();
        counters.push(UPTIME, uptime);
        counters.push(PANICS, panics);
        counters
    }

    #[test]
    fn a_manager_whose_clock_stands_still_is_gone_once() {
        let mut watch = Watch::new(Vec::new());
        let found: Vec<_> = (0..200).filter(|_| watch.see(&counters(7, 0))).collect();
        assert_eq!(found, [90]);
        assert!(!watch.see(&counters(8, 0)));
        assert!((0..200).any(|_| watch.see(&counters(8, 0))));
        assert!(!(0..200).any(|_| watch.see(&Counters::default())));
    }

    #[test]
    fn a_panic_shows_by_one_more() {
        let mut watch = Watch::new(Vec::new());
        assert!(!watch.has_panicked(&counters(1, 4)));
        assert!(!watch.has_panicked(&counters(1, 4)));
        assert!(!watch.has_panicked(&Counters::default()));
        assert!(watch.has_panicked(&counters(1, 5)));
        assert!(!watch.has_panicked(&counters(1, 0)));
        assert!(watch.has_panicked(&counters(1, 1)));
        assert_eq!(watch.panics(), 1);
    }
}
