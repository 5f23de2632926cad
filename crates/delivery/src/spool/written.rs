// SPDX-License-Identifier: BSD-2-Clause
//! An entry in words, on its way into the spool.

use std::sync::Arc;
use std::time::SystemTime;

use protocol::entry::Part;
use protocol::envelope::Author;
use protocol::event_id::EventId;
use protocol::request_headers::RequestHeaders;

use crate::counters::Ledger;

/// An entry in words, on its way into the spool.
#[derive(Debug)]
pub struct Written {
    pub at: SystemTime,
    pub id: EventId,
    /// Who has written the envelope.
    pub author: Author,
    /// Header lines that go with it.
    pub headers: RequestHeaders,
    /// Members of the envelope's header, as [`protocol::envelope::Envelope::members`] has them.
    pub members: Vec<u8>,
    /// The entry's parts, with the framed items of each; a part that was left out has none: it is not kept, and whoever
    /// left it out has counted it.
    pub parts: Vec<(Part, Vec<u8>)>,
    /// Whose it is: it counts there for as long as it is in the spool, whoever sends it.
    pub ledger: Arc<Ledger>,
}

impl Written {
    /// Takes out the parts that have no items.
    pub(super) fn leave_out(&mut self) {
        let mut left = 0;
        let places: Vec<_> = self
            .parts
            .iter()
            .map(|(_, items)| {
                let place = (!items.is_empty()).then_some(left);
                left += usize::from(!items.is_empty());
                place
            })
            .collect();
        self.parts.retain(|(_, items)| !items.is_empty());
        for (part, _) in &mut self.parts {
            part.with = part.with.and_then(|with| places.get(with).copied().flatten());
        }
    }
}
