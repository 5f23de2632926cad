// SPDX-License-Identifier: BSD-2-Clause
//! An entry out of the spool, on its way to the server.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part};
use protocol::envelope::{Author, Envelope};
use protocol::event_id::EventId;
use protocol::request_headers::RequestHeaders;

use super::file::Contents;
use super::key::Key;
use crate::counters::Ledger;

/// The right to send an entry that is in the spool, until it is settled or the handle it was taken through is dropped.
/// One that has ended settles nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub(super) key: Key,
    /// Tells it from other leases of the same entry.
    pub(super) number: u64,
}

/// An entry that is leased. Its file stays until it is settled.
#[derive(Debug)]
pub struct SpooledEntry {
    lease: Lease,
    author: Author,
    headers: RequestHeaders,
    members: Vec<u8>,
    parts: Vec<Part>,
    places: Vec<Range<usize>>,
    items: Vec<u8>,
    ledger: Arc<Ledger>,
}

impl SpooledEntry {
    pub(super) fn new(lease: Lease, contents: Contents, ledger: Arc<Ledger>) -> SpooledEntry {
        let Contents { key: _, author, headers, members, parts, places, items } = contents;
        SpooledEntry { lease, author, headers, members, parts, places, items, ledger }
    }

    /// What to settle it by.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// Where it counts.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
}

#[cfg(test)]
impl SpooledEntry {
    /// One that a test leases: the parts that have items.
    pub(crate) fn leased(
        number: u64,
        at: SystemTime,
        id: EventId,
        written: &[(Part, Vec<u8>)],
        ledger: Arc<Ledger>,
    ) -> SpooledEntry {
        let key = Key::new(at, id);
        let (mut parts, mut places, mut items) = (Vec::new(), Vec::new(), Vec::new());
        for (part, item) in written.iter().filter(|(_, item)| !item.is_empty()) {
            places.push(items.len()..items.len() + item.len());
            items.extend_from_slice(item);
            parts.push(*part);
        }
        let members = format!("\"event_id\":\"{id}\",").into_bytes();
        let (author, headers) = Default::default();
        let contents = Contents { key, author, headers, members, parts, places, items };
        SpooledEntry::new(Lease { key, number }, contents, ledger)
    }
}

impl Entry for SpooledEntry {
    /// It goes where the client sends to that has opened the spool: a spool is one project's.
    fn dsn(&self) -> Option<&Arc<Dsn>> {
        None
    }

    fn at(&self) -> SystemTime {
        self.lease.key.at()
    }

    fn id(&self) -> EventId {
        self.lease.key.id()
    }

    fn size(&self) -> usize {
        let lists = self.parts.capacity() * size_of::<Part>() + self.places.capacity() * size_of::<Range<usize>>();
        let texts = self.headers.len_bytes() + self.members.capacity() + self.items.capacity();
        mem::size_of_val(self) + texts + lists
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn headers(&self) -> Option<&RequestHeaders> {
        (!self.headers.is_empty()).then_some(&self.headers)
    }

    fn write(&self, context: &mut Context<'_>, envelope: &mut Envelope) {
        envelope.set_author(self.author);
        envelope.add_members(&self.members);
        for (number, (part, place)) in self.parts.iter().zip(&self.places).enumerate() {
            if part.goes(&self.parts, context.may)
                && let Some(items) = self.items.get(place.clone())
            {
                envelope.add_framed(number, items);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use protocol::category::{Categories, Category};
    use protocol::entry::Scratch;

    use super::*;

    #[test]
    fn only_parts_that_may_go_are_written() {
        let id = EventId::from_random([7; 16]);
        let at = UNIX_EPOCH + Duration::from_millis(1_234_567);
        let parts = vec![Part::new(Category::Error, 1), Part::new(Category::Attachment, 4).together_with(0)];
        let contents = Contents {
            key: Key::new(at, id),
            author: Author::Foreign { drift: Some(-3) },
            headers: RequestHeaders::from_text("Origin: null\n").unwrap(),
            members: b"\"a\":1,".to_vec(),
            parts: parts.clone(),
            places: vec![0..3, 3..7],
            items: b"e1\na12\n".to_vec(),
        };
        let ledger = Arc::new(Ledger::new(None));
        let entry = SpooledEntry::new(Lease { key: contents.key, number: 1 }, contents, ledger);
        assert_eq!((entry.id(), entry.at(), entry.dsn(), entry.parts()), (id, at, None, &parts[..]));
        assert!(entry.size() >= size_of::<SpooledEntry>() + 13);
        for (may, expected) in [
            (Categories::ALL, vec![(0, &b"e1\n"[..]), (1, b"a12\n")]),
            (Categories::ALL.without(Category::Attachment), vec![(0, &b"e1\n"[..])]),
            (Categories::ALL.without(Category::Error), vec![]),
        ] {
            let (mut scratch, mut envelope) = (Scratch::default(), Envelope::default());
            let mut context = Context { dsn: None, wall: UNIX_EPOCH, may, scratch: &mut scratch };
            entry.write(&mut context, &mut envelope);
            assert_eq!(envelope.parts().collect::<Vec<_>>(), expected);
            assert_eq!(envelope.members(), b"\"a\":1,");
            assert_eq!(envelope.author(), Author::Foreign { drift: Some(-3) });
            assert_eq!(entry.headers().map(RequestHeaders::as_text), Some("Origin: null\n"));
        }
    }
}
