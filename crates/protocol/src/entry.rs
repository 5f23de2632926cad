// SPDX-License-Identifier: BSD-2-Clause
//! What travels: an entry becomes one envelope. Whoever has something to send implements [`Entry`]; whoever sends it
//! needs to know no more of it.

use std::sync::Arc;
use std::time::SystemTime;

use crate::category::{Categories, Category};
use crate::dsn::Dsn;
use crate::envelope::Envelope;
use crate::event_id::EventId;
use crate::request_headers::RequestHeaders;

/// What of an entry goes, stays and is counted as one: under rate limits, in client reports, in counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub category: Category,
    /// How many of the category it is, as client reports count: one, or the bytes of an attachment.
    pub quantity: u64,
    /// The place among the entry's parts of the one without which this one does not go.
    pub with: Option<usize>,
}

impl Part {
    /// A part that depends on no other.
    pub fn new(category: Category, quantity: u64) -> Part {
        Part { category, quantity, with: None }
    }

    /// One that goes only if the part at that place does.
    #[must_use]
    pub fn together_with(self, place: usize) -> Part {
        Part { with: Some(place), ..self }
    }

    /// Whether it goes, of `parts`, if only these categories may.
    pub fn goes(&self, parts: &[Part], may: Categories) -> bool {
        let leader = self.with.and_then(|place| parts.get(place));
        may.contains(self.category) && leader.is_none_or(|leader| may.contains(leader.category))
    }
}

/// Buffers that outlive a call, so that writing one entry after the other allocates nothing. What is in them means nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    pub json: Vec<u8>,
    pub text: String,
    pub trace: Vec<u8>,
}

/// What an entry is written for.
pub struct Context<'a> {
    /// Where it goes; `None` if it needs no server.
    pub dsn: Option<&'a Dsn>,
    /// The time of writing.
    pub wall: SystemTime,
    /// The categories that may go: the server has no limit on them.
    pub may: Categories,
    pub scratch: &'a mut Scratch,
}

/// Something to send. It owns its data: nobody waits for what it came from.
pub trait Entry: Send {
    /// Where it goes, if that is not where its client sends to.
    fn dsn(&self) -> Option<&Arc<Dsn>>;

    /// When it was made, by the wall clock.
    fn at(&self) -> SystemTime;

    /// What tells it from all others.
    fn id(&self) -> EventId;

    /// The memory it takes in bytes, all its allocations included.
    fn size(&self) -> usize;

    /// Its parts, at least one, the same ones at each call.
    fn parts(&self) -> &[Part];

    /// Header lines that its request has besides those that every request has, or in place of them; `None` of an entry that speaks for nobody else.
    fn headers(&self) -> Option<&RequestHeaders> {
        None
    }

    /// Adds the header's members and the items of the parts that go by [`Part::goes`] to an envelope that is empty. The items of one that cannot be put into
    /// words are left out; the envelope is not sent without items, and the entry counts as a fault of ours.
    fn write(&self, context: &mut Context<'_>, envelope: &mut Envelope);
}

/// What it is worth: as much as its weightiest part.
pub fn weight(entry: &dyn Entry) -> usize {
    entry.parts().iter().map(|part| part.category.weight()).max().unwrap_or_default()
}

/// What an allocator takes for a piece of so many bytes: sizes come in classes, four to a doubling in
/// jemalloc, which varnishd brings along; others waste less.
pub fn allocated(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 8).max(16);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_only_with_the_one_it_belongs_to() {
        let parts = [Part::new(Category::Error, 1), Part::new(Category::Attachment, 9).together_with(0)];
        let go = |may| parts.map(|part| part.goes(&parts, may));
        assert_eq!(go(Categories::ALL), [true, true]);
        assert_eq!(go(Categories::ALL.without(Category::Attachment)), [true, false]);
        assert_eq!(go(Categories::ALL.without(Category::Error)), [false, false]);
        assert_eq!(go(Categories::NONE), [false, false]);
    }
}
