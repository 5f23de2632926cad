// SPDX-License-Identifier: BSD-2-Clause
//! An item of an envelope: what its header says, and where it is.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use super::kind::Kind;
use super::problem::Problem;

/// An item, by its places in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: Kind,
    /// Its header line without the end of the line.
    pub header: Range<usize>,
    /// Its payload. Behind it comes the end of a line, or of the body.
    pub payload: Range<usize>,
    /// How many of its kind it says are in it.
    pub count: Option<u64>,
}

/// What is read of an item's header.
#[derive(Deserialize)]
pub(super) struct ItemHeader<'i> {
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'i, str>,
    #[serde(default)]
    pub length: Option<u64>,
    #[serde(default)]
    pub item_count: Option<u64>,
}

impl ItemHeader<'_> {
    /// Reads a line without its end.
    pub(super) fn parse(line: &[u8]) -> Result<ItemHeader<'_>, Problem> {
        // No white space behind it: Relay takes none.
        if !line.starts_with(b"{") || !line.ends_with(b"}") {
            return Err(Problem::ItemHeader);
        }
        // What is stepped over is not looked at for whether it is text.
        let line = str::from_utf8(line).map_err(|_| Problem::ItemHeader)?;
        serde_json::from_str(line).map_err(|_| Problem::ItemHeader)
    }
}

impl Item {
    /// The word of its type, as its header has it; `body` is what it was read from.
    pub fn word<'b>(&self, body: &'b [u8]) -> Cow<'b, str> {
        let line = body.get(self.header.clone()).unwrap_or_default();
        ItemHeader::parse(line).map_or(Cow::Borrowed(""), |header| header.kind)
    }

    /// Header, payload and the ends of their lines.
    pub fn framed(&self) -> Range<usize> {
        self.header.start..self.payload.end + 1
    }
}
