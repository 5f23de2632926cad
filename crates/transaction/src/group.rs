// SPDX-License-Identifier: BSD-2-Clause
//! Transactions that belong together, with their records.
//!
//! A group is filled again and again: what is in it is copied once, into two buffers that stay as large as the largest one was, up to a bound.

/// Bytes of text and records of one group that are kept; what comes after them is left out and counted.
const MAX_TEXT: usize = 4 << 20;
const MAX_RECORDS: usize = 100_000;
/// What the buffers of a group may keep for the next one.
const KEPT_TEXT: usize = 256 << 10;
const KEPT_RECORDS: usize = 8192;

/// How records are grouped, as `-g` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// A session with all its requests.
    Session,
    /// A request with its fetches, its ESI includes and its restarts.
    Request,
    /// Each transaction by itself.
    #[default]
    Vxid,
    /// Each record by itself.
    Raw,
}

/// What a transaction is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Unknown,
    Session,
    Request,
    BackendRequest,
    /// One record by itself.
    Raw,
}

/// What a transaction came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    #[default]
    Unknown,
    /// A connection.
    Http1,
    /// A request that was received.
    Rxreq,
    Esi,
    Restart,
    Pass,
    Fetch,
    BackgroundFetch,
    Pipe,
}

/// Whose communication a record tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    #[default]
    None,
    Client,
    Backend,
}

/// Why a transaction is told before its end was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// It took longer than `-T`.
    Timeout,
    /// More transactions than `-L` were under way; it was the oldest.
    StoreOverflow,
    /// All that was under way took more memory than there is for it.
    OutOfMemory,
    /// The server wrote faster than could be read: its later records are lost.
    Overrun,
    /// The child that logged it is gone, or its log is.
    Abandoned,
    /// Somebody asked for what there was so far: SIGUSR1.
    Flushed,
    /// The file ended, or reading did.
    EndOfLog,
}

/// One transaction, apart from its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub vxid: u64,
    /// 0 if it has none in this group.
    pub parent: u64,
    /// 1 for the first; a restart has its parent's. 0 for a record by itself.
    pub level: u32,
    pub kind: Kind,
    pub reason: Reason,
    pub incomplete: Option<Incomplete>,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'g> {
    /// The number, see [`Tags`](crate::tags::Tags).
    pub tag: u8,
    pub side: Side,
    /// Without the NUL at its end. Cut by the server at `vsl_reclen`; bytes of any kind.
    pub text: &'g [u8],
}

#[derive(Clone, Copy, Debug)]
struct Span {
    tag: u8,
    side: Side,
    begin: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    head: Head,
    /// Where its records begin; they end where those of the next one begin.
    records: u32,
}

/// Transactions that belong together, the root first, each after its parent.
#[derive(Clone, Debug, Default)]
pub struct Group {
    parts: Vec<Part>,
    records: Vec<Span>,
    text: Vec<u8>,
    left_out: u64,
}

/// One transaction of a group.
#[derive(Clone, Copy, Debug)]
pub struct Transaction<'g> {
    pub head: Head,
    group: &'g Group,
    records: &'g [Span],
}

impl Group {
    /// Empties it. What follows is [`Group::begin`] for each transaction and [`Group::push`] for each of its records.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.records.clear();
        self.text.clear();
        self.left_out = 0;
        self.records.shrink_to(KEPT_RECORDS);
        self.text.shrink_to(KEPT_TEXT);
    }

    /// Begins the next transaction.
    pub fn begin(&mut self, head: Head) {
        self.parts.push(Part { head, records: self.records.len() as u32 });
    }

    /// Copies a record of the transaction that was begun last.
    pub fn push(&mut self, record: Record<'_>) {
        let end = self.text.len() + record.text.len();
        if end > MAX_TEXT || self.records.len() >= MAX_RECORDS {
            self.left_out += 1;
            return;
        }
        let begin = self.text.len() as u32;
        self.text.extend_from_slice(record.text);
        self.records.push(Span { tag: record.tag, side: record.side, begin, end: end as u32 });
    }

    /// Says of the transaction that was begun last why it is told too early.
    pub fn mark(&mut self, incomplete: Incomplete) {
        if let Some(part) = self.parts.last_mut() {
            part.head.incomplete = Some(incomplete);
        }
    }

    pub fn transactions(&self) -> impl DoubleEndedIterator<Item = Transaction<'_>> + ExactSizeIterator {
        self.parts.iter().enumerate().map(|(at, part)| {
            let end = self.parts.get(at + 1).map_or(self.records.len(), |next| next.records as usize);
            let records = self.records.get(part.records as usize..end).unwrap_or_default();
            Transaction { head: part.head, group: self, records }
        })
    }

    /// The one that the others came from; `None` in an empty group.
    pub fn root(&self) -> Option<Transaction<'_>> {
        self.transactions().next()
    }

    /// Why the first of its transactions that is incomplete is so; `None` if all are whole.
    pub fn incomplete(&self) -> Option<Incomplete> {
        self.parts.iter().find_map(|part| part.head.incomplete)
    }

    /// How many records had no room: a group has as many as 100 000 of them, and 4 MiB.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl<'g> Transaction<'g> {
    /// Its records, in the order of the log.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = Record<'g>> + ExactSizeIterator + use<'g> {
        let group = self.group;
        self.records.iter().map(move |span| {
            let text = group.text.get(span.begin as usize..span.end as usize).unwrap_or_default();
            Record { tag: span.tag, side: span.side, text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tag: u8, text: &[u8]) -> Record<'_> {
        Record { tag, side: Side::Client, text }
    }

    fn head(vxid: u64, parent: u64) -> Head {
        Head { vxid, parent, level: 1, kind: Kind::Request, ..Head::default() }
    }

    fn told(group: &Group) -> Vec<(u64, Vec<(u8, String)>)> {
        let text = |record: Record<'_>| (record.tag, String::from_utf8_lossy(record.text).into_owned());
        group.transactions().map(|one| (one.head.vxid, one.records().map(text).collect())).collect()
    }

    #[test]
    fn each_transaction_has_its_own_records_and_an_emptied_group_none() {
        let mut group = Group::default();
        group.begin(head(2, 0));
        group.push(record(1, b"one"));
        group.push(record(2, b""));
        group.begin(head(3, 2));
        group.begin(head(4, 2));
        group.push(record(3, b"three"));
        assert_eq!(
            told(&group),
            [(2, vec![(1, "one".into()), (2, "".into())]), (3, vec![]), (4, vec![(3, "three".into())])]
        );
        assert_eq!(group.root().map(|root| root.head.vxid), Some(2));
        assert_eq!(group.incomplete(), None);
        group.mark(Incomplete::Timeout);
        assert_eq!(group.incomplete(), Some(Incomplete::Timeout));
        group.clear();
        assert_eq!(told(&group), []);
        assert_eq!(group.incomplete(), None);
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted_and_the_buffers_shrink() {
        let mut group = Group::default();
        group.begin(head(2, 0));
        let long = vec![b'x'; 65_000];
        (0..100).for_each(|_| group.push(record(1, &long)));
        let kept = group.root().map_or(0, |root| root.records().len());
        assert_eq!((kept, group.left_out()), (64, 36));
        group.clear();
        assert_eq!(group.left_out(), 0);
        assert!(group.text.capacity() <= KEPT_TEXT);
        group.begin(head(2, 0));
        (0..MAX_RECORDS + 7).for_each(|_| group.push(record(1, b"")));
        assert_eq!(group.left_out(), 7);
    }
}
