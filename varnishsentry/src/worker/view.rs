// SPDX-License-Identifier: BSD-2-Clause
//! What there is to see of a worker, from other threads. It outlasts a reload.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Each lock is held for a moment, by the worker and by who looks.
#[derive(Debug, Default)]
pub struct View {
    /// How often each filter has led an event.
    found: Mutex<BTreeMap<String, u64>>,
    /// What the server calls itself.
    identity: Mutex<Option<String>>,
}

impl View {
    pub fn count(&self, filter: &str) {
        let mut found = self.found.lock();
        match found.get_mut(filter) {
            Some(count) => *count += 1,
            None => drop(found.insert(filter.to_owned(), 1)),
        }
    }

    /// How often each filter has led an event, by its name.
    pub fn found(&self) -> BTreeMap<String, u64> {
        self.found.lock().clone()
    }

    pub fn identify(&self, identity: Option<&str>) {
        *self.identity.lock() = identity.map(str::to_owned);
    }

    pub fn identity(&self) -> Option<String> {
        self.identity.lock().clone()
    }
}
