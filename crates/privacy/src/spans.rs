// SPDX-License-Identifier: BSD-2-Clause
//! Places of a text that must not leave, collected first and taken out in one go: whoever finds one need not know the others.

use std::borrow::Cow;

use crate::secret::FILTERED;

/// What stands for a value that had no quotes where others have.
const QUOTED: &[u8] = b"\"[Filtered]\"";

/// Begin, end and what comes in place of it.
#[derive(Clone, Debug)]
struct Span {
    start: usize,
    end: usize,
    by: Cow<'static, [u8]>,
}

/// The places of one text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hides what is between two places.
    pub(crate) fn hide(&mut self, start: usize, end: usize) {
        self.put(start, end, Cow::Borrowed(FILTERED));
    }

    /// As [`Spans::hide`], of a number or an object of JSON.
    pub(crate) fn hide_quoted(&mut self, start: usize, end: usize) {
        self.put(start, end, Cow::Borrowed(QUOTED));
    }

    /// Takes it away altogether.
    pub(crate) fn remove(&mut self, start: usize, end: usize) {
        self.put(start, end, Cow::Borrowed(b""));
    }

    pub(crate) fn put(&mut self, start: usize, end: usize, by: Cow<'static, [u8]>) {
        if start < end {
            self.0.push(Span { start, end, by });
        }
    }

    /// Adds what was found in another form of the text, whose places `place` tells.
    pub(crate) fn add(&mut self, found: Spans, place: impl Fn(usize) -> usize) {
        found.0.into_iter().for_each(|Span { start, end, by }| self.put(place(start), place(end), by));
    }

    /// `text` without them; of those that overlap the first one says what comes in place of all, unless that would be nothing.
    pub(crate) fn apply(mut self, text: &[u8]) -> Cow<'_, [u8]> {
        if self.0.is_empty() {
            return Cow::Borrowed(text);
        }
        self.0.sort_by_key(|span| (span.start, usize::MAX - span.end));
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        let mut spans = self.0.into_iter().peekable();
        while let Some(Span { start, mut end, mut by }) = spans.next() {
            while let Some(next) = spans.next_if(|next| next.start < end) {
                end = end.max(next.end);
                if by.is_empty() {
                    by = next.by;
                }
            }
            out.extend_from_slice(text.get(copied..start).unwrap_or_default());
            out.extend_from_slice(&by);
            copied = end;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_out_in_any_order_and_once_where_they_overlap() {
        let mut spans = Spans::default();
        spans.hide(6, 8);
        spans.remove(0, 1);
        spans.hide(2, 4);
        spans.hide(3, 5);
        spans.hide(9, 9);
        assert_eq!(*spans.apply(b"0123456789"), *b"1[Filtered]5[Filtered]89");
        let mut spans = Spans::default();
        spans.remove(1, 3);
        spans.hide_quoted(2, 4);
        assert_eq!(*spans.apply(b"01234"), *b"0\"[Filtered]\"4");
        assert!(matches!(Spans::default().apply(b"a"), Cow::Borrowed(b"a")));
    }
}
