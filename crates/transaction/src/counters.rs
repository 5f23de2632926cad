// SPDX-License-Identifier: BSD-2-Clause
//! The server's counters, as they are at one moment.

/// Values by name, as varnishstat has them: `MAIN.thread_queue_len`.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    values: Vec<(String, u64)>,
}

impl Counters {
    /// Empties it.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    pub fn push(&mut self, name: &str, value: u64) {
        self.values.push((name.to_owned(), value));
    }

    /// `None` if the server has no such counter, or does not run.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.values.iter().map(|(name, value)| (&**name, *value))
    }
}
