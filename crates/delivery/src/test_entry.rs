// SPDX-License-Identifier: BSD-2-Clause
//! Entries for tests: of any category, with a file or without, and with faults.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part};
use protocol::envelope::{Envelope, JSON};
use protocol::event_id::EventId;
use protocol::request_headers::RequestHeaders;

/// When it is made, after the Unix epoch.
pub const MADE: Duration = Duration::from_secs(1_700_000_000);

/// What happens when it is put into words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Nothing is written.
    Mute,
    Panic,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct TestEntry {
    pub number: u64,
    pub at: SystemTime,
    pub dsn: Option<Arc<Dsn>>,
    pub size: usize,
    pub parts: Vec<Part>,
    pub headers: RequestHeaders,
    pub fault: Fault,
}

impl TestEntry {
    pub fn new(number: u64, category: Category) -> TestEntry {
        let (at, parts) = (SystemTime::UNIX_EPOCH + MADE, vec![Part::new(category, 1)]);
        TestEntry { number, at, dsn: None, size: 0, parts, headers: RequestHeaders::default(), fault: Fault::None }
    }

    /// With a file of so many bytes, which goes only with it.
    pub fn with_file(mut self, bytes: u64) -> TestEntry {
        self.parts.push(Part::new(Category::Attachment, bytes).together_with(0));
        self
    }

    pub fn boxed(self) -> Box<dyn Entry> {
        Box::new(self)
    }

    pub fn id_of(number: u64) -> EventId {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        EventId::from_random(bytes)
    }
}

impl Entry for TestEntry {
    fn dsn(&self) -> Option<&Arc<Dsn>> {
        self.dsn.as_ref()
    }

    fn at(&self) -> SystemTime {
        self.at
    }

    fn id(&self) -> EventId {
        TestEntry::id_of(self.number)
    }

    fn size(&self) -> usize {
        self.size
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn headers(&self) -> Option<&RequestHeaders> {
        Some(&self.headers)
    }

    fn write(&self, context: &mut Context<'_>, envelope: &mut Envelope) {
        match self.fault {
            Fault::None => {}
            Fault::Mute => return,
            Fault::Panic => std::panic::resume_unwind(Box::new("as told")),
        }
        envelope.set_event_id(self.id());
        for (place, part) in self.parts.iter().enumerate().filter(|(_, part)| part.goes(&self.parts, context.may)) {
            let text = format!("{{\"number\":{},\"category\":\"{}\"}}", self.number, part.category.as_str());
            envelope.add_item(place, part.category.as_str(), JSON, "", text.as_bytes());
        }
    }
}
