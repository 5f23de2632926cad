// SPDX-License-Identifier: BSD-2-Clause
//! Why a body is no envelope.

use std::fmt;

/// Bytes of a header line, of the envelope or of an item, at most.
pub const MAX_LINE: usize = 64 * 1024;
/// Items of an envelope, at most.
pub const MAX_ITEMS: usize = 1000;

/// What is wrong with it. Never quotes what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The first line, or an item's, is longer than [`MAX_LINE`].
    Line,
    /// The first line is not one JSON object, or says something twice that may be there once.
    Header,
    EventId,
    /// An item's first line is not one JSON object, has no type, or says a length or a count that is none.
    ItemHeader,
    /// An item's payload is shorter than it says.
    Short,
    /// An item's payload goes on behind its length.
    Long,
    Items,
    Empty,
}

impl Problem {
    pub fn as_str(self) -> &'static str {
        match self {
            Problem::Line => "a header line is longer than 65536 bytes",
            Problem::Header => "the envelope header is not one JSON object on the first line",
            Problem::EventId => "event_id is no id",
            Problem::ItemHeader => "an item header is not one JSON object with a type and a length that is a number",
            Problem::Short => "an item is shorter than its length",
            Problem::Long => "an item is longer than its length",
            Problem::Items => "more than 1000 items",
            Problem::Empty => "there are no items",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Problem {}
