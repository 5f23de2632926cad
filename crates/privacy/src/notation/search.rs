// SPDX-License-Identifier: BSD-2-Clause
//! A text that is searched, by whose rules, and what was found.

use crate::scrub::Scrub;
use crate::spans::Spans;

/// What all who look at a part of the text share.
pub(crate) struct Search<'a, 'p, 's> {
    pub(crate) scrub: Scrub<'p>,
    pub(crate) text: &'a [u8],
    pub(crate) spans: &'s mut Spans,
}

impl<'a> Search<'a, '_, '_> {
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Takes note of a value, and hides it.
    pub(crate) fn hide(&mut self, start: usize, end: usize) {
        self.scrub.take_secret(self.slice(start, end));
        self.spans.hide(start, end);
    }
}
