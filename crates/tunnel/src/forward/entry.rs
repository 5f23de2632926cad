// SPDX-License-Identifier: BSD-2-Clause
//! An envelope on its way: its items as they came, and who they came from.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part, allocated};
use protocol::envelope::{Author, Envelope};
use protocol::event_id::EventId;
use protocol::request_headers::RequestHeaders;

use super::parts::Sorted;
use crate::envelope::Item;

/// Where an envelope came from and goes to.
#[derive(Debug)]
pub struct Origin {
    pub dsn: Arc<Dsn>,
    /// When it came.
    pub at: SystemTime,
    /// Tells it from all others; not the id of its event, which anybody may send twice.
    pub id: EventId,
    pub lines: RequestHeaders,
    /// When it says that it was sent.
    pub sent_at: Option<SystemTime>,
}

/// An envelope to be sent on.
#[derive(Debug)]
pub struct Forward {
    origin: Origin,
    /// Members of the header, each with a comma behind it.
    members: Vec<u8>,
    /// The one that says a key, and is not for the disk.
    trace: Vec<u8>,
    body: Vec<u8>,
    /// Where items are in the body, each framed, and the places of their parts.
    items: Vec<(Range<usize>, usize)>,
    parts: Vec<Part>,
}

impl Forward {
    /// Takes `items` of a body; those that are not named stay behind.
    pub fn new(origin: Origin, members: Vec<u8>, trace: Vec<u8>, mut body: Vec<u8>, items: &[Item]) -> Forward {
        let Sorted { parts, places } = Sorted::of(items);
        // The last line may have no end, and a header at the end not even that of its payload's line.
        let end = items.iter().map(|item| item.framed().end).max().unwrap_or_default();
        while body.len() < end {
            body.push(b'\n');
        }
        if body.capacity() - body.len() > body.len() / 2 {
            body.shrink_to_fit();
        }
        let items = items.iter().map(Item::framed).zip(places).collect();
        Forward { origin, members, trace, body, items, parts }
    }

    /// By how many milliseconds its clock was ahead of ours.
    fn drift(&self) -> Option<i64> {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let sent_at = self.origin.sent_at?;
        Some(match sent_at.duration_since(self.origin.at) {
            Ok(ahead) => millis(ahead),
            Err(behind) => -millis(behind.duration()),
        })
    }
}

impl Entry for Forward {
    fn dsn(&self) -> Option<&Arc<Dsn>> {
        Some(&self.origin.dsn)
    }

    fn at(&self) -> SystemTime {
        self.origin.at
    }

    fn id(&self) -> EventId {
        self.origin.id
    }

    fn size(&self) -> usize {
        let lists = allocated(self.items.capacity() * size_of::<(Range<usize>, usize)>())
            + allocated(self.parts.capacity() * size_of::<Part>());
        let texts = [self.members.capacity(), self.trace.capacity(), self.origin.lines.len_bytes()];
        allocated(size_of::<Forward>())
            + allocated(self.body.capacity())
            + lists
            + texts.into_iter().map(allocated).sum::<usize>()
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn headers(&self) -> Option<&RequestHeaders> {
        Some(&self.origin.lines)
    }

    fn write(&self, context: &mut Context<'_>, envelope: &mut Envelope) {
        envelope.set_author(Author::Foreign { drift: self.drift() });
        envelope.add_members(&self.members);
        if context.dsn.is_some() {
            envelope.add_members(&self.trace);
        }
        for (place, part) in &self.items {
            let goes = self.parts.get(*part).is_some_and(|part| part.goes(&self.parts, context.may));
            if let Some(item) = self.body.get(place.clone()).filter(|_| goes) {
                envelope.add_framed(*part, item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use protocol::category::{Categories, Category};
    use protocol::entry::Scratch;

    use super::*;
    use crate::envelope::{Reading, read};

    fn forward(body: &[u8]) -> Forward {
        let Reading { header, items } = read(body).unwrap();
        let origin = Origin {
            dsn: Arc::new(Dsn::parse("https://k@h/1").unwrap()),
            at: UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            id: EventId::from_random([7; 16]),
            lines: RequestHeaders::default(),
            sent_at: header.sent_at,
        };
        Forward::new(origin, header.members, header.trace, body.to_vec(), &items)
    }

    fn written(forward: &Forward, for_dsn: bool, may: Categories, waited: u64) -> Vec<u8> {
        let (mut scratch, mut envelope) = (Scratch::default(), Envelope::default());
        let wall = forward.at() + Duration::from_secs(waited);
        let dsn = forward.dsn().map(|dsn| &**dsn).filter(|_| for_dsn);
        forward.write(&mut Context { dsn, wall, may, scratch: &mut scratch }, &mut envelope);
        let mut out = Vec::new();
        envelope.write_header(wall, &mut out);
        out.extend_from_slice(envelope.items());
        out
    }

    #[test]
    fn it_is_sent_on_as_it_came_but_for_key_and_time() {
        let body = b"{\"dsn\":\"https://k@h/1\",\"sent_at\":\"2026-01-01T00:00:05.25Z\",\"trace\":{\"public_key\":\"k\"},\"sdk\":{\"name\":\"js\"}}\n{\"type\":\"event\"}\n{}\n\n{\"type\":\"attachment\",\"length\":3}\n\xff\n\n";
        let forward = forward(body);
        let items = b"{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\",\"length\":3}\n\xff\n\n\n";
        let header = |rest: &str, second| {
            format!("{{\"sdk\":{{\"name\":\"js\"}},{rest}\"sent_at\":\"2026-01-01T00:00:{second}.250Z\"}}\n")
        };
        let trace = "\"trace\":{\"public_key\":\"k\"},";
        assert_eq!(written(&forward, true, Categories::ALL, 0), [header(trace, "05").as_bytes(), items].concat());
        assert_eq!(written(&forward, true, Categories::ALL, 30), [header(trace, "35").as_bytes(), items].concat());
        assert_eq!(written(&forward, false, Categories::ALL, 0), [header("", "05").as_bytes(), items].concat());
        let may = Categories::ALL.without(Category::Attachment);
        assert_eq!(
            written(&forward, false, may, 0),
            [header("", "05").as_bytes(), b"{\"type\":\"event\"}\n{}\n"].concat()
        );
        assert!(forward.size() > size_of::<Forward>() + body.len());
    }

    #[test]
    fn a_time_that_is_not_there_is_not_added() {
        assert_eq!(
            written(&forward(b"{}\n{\"type\":\"session\"}\n{}"), true, Categories::ALL, 9),
            b"{}\n{\"type\":\"session\"}\n{}\n"
        );
    }

    #[test]
    fn what_has_no_end_gets_one() {
        for body in
            ["{}\n{\"type\":\"a\"}", "{}\n{\"type\":\"a\"}\n", "{}\n{\"type\":\"a\"}\n\n", "{}\n{\"type\":\"a\"}\n\n\n"]
        {
            assert_eq!(
                written(&forward(body.as_bytes()), true, Categories::ALL, 0),
                b"{}\n{\"type\":\"a\"}\n\n",
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_far_off_stays_so() {
        let forward = forward(b"{\"sent_at\":\"1999-12-31T23:59:59.999Z\"}\n{\"type\":\"a\"}\n");
        let out = written(&forward, true, Categories::ALL, 1);
        assert!(out.starts_with(b"{\"sent_at\":\"2000-01-01T00:00:00.999Z\"}\n"), "{}", String::from_utf8_lossy(&out));
    }
}
