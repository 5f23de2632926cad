// SPDX-License-Identifier: BSD-2-Clause
//! An error event on its way: a record, and how what it says is put into words.
//!
//! In a box it is the second of two pieces of memory that a capture takes; the first one is the record's buffer.

use std::sync::Arc;
use std::time::SystemTime;

use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part, allocated};
use protocol::envelope::{Envelope, JSON};
use protocol::event_id::EventId;

use crate::capture::record::Record;
use crate::filter::Filter;
use crate::identity::Identity;
use crate::payload::{json, log_file, sampling_context};
use privacy::scrub::Scrub;
use privacy::settings::Privacy;

/// Places of the parts.
const EVENT: usize = 0;
const LOG_FILE: usize = 1;

/// What the events of a client have in common: who sends them, and what must not be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Form {
    pub identity: Identity,
    /// Whether data that points at a person may leave.
    pub send_pii: bool,
    pub privacy: Privacy,
}

impl Form {
    /// What keeps secrets here.
    pub fn scrub(&self) -> Scrub<'_> {
        Scrub::new(self.send_pii).with(&self.privacy)
    }

    /// As [`Entry::write`], of a record whose parts are `parts`.
    pub fn write(&self, record: &Record, parts: &[Part], context: &mut Context<'_>, envelope: &mut Envelope) {
        let (scratch, may) = (&mut *context.scratch, context.may);
        let goes = |place: usize| parts.get(place).is_some_and(|part| part.goes(parts, may));
        envelope.set_event_id(record.id);
        let filter = Filter::of(record, self.scrub());
        let sampling = context.dsn.and_then(|dsn| sampling_context::of(record, dsn, &self.identity, &filter));
        if let Some(sampling) = sampling {
            scratch.trace.clear();
            if serde_json::to_writer(&mut scratch.trace, &sampling).is_ok() {
                envelope.set_trace(&scratch.trace);
            }
        }
        if !goes(EVENT) || json::write_filtered(record, &self.identity, &filter, &mut scratch.json).is_err() {
            return;
        }
        envelope.add_item(EVENT, "event", JSON, "", &scratch.json);
        if goes(LOG_FILE) {
            log_file::write_file(record, &filter, &mut scratch.text);
            if !scratch.text.is_empty() {
                envelope.add_item(
                    LOG_FILE,
                    "attachment",
                    "text/plain",
                    log_file::headers(record),
                    scratch.text.as_bytes(),
                );
            }
        }
    }
}

/// A captured event, ready to be sent.
#[derive(Debug)]
pub struct ErrorEvent {
    record: Record,
    form: Arc<Form>,
    /// The second one only if there is a file.
    parts: [Part; 2],
    has_file: bool,
}

impl ErrorEvent {
    pub fn new(record: Record, form: Arc<Form>) -> ErrorEvent {
        let (parts, has_file) = parts(&record);
        ErrorEvent { record, form, parts, has_file }
    }

    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// The parts of a record, and whether the second one is any. Nobody knows yet how long its file will get, so it counts as the log that it is made of.
pub fn parts(record: &Record) -> ([Part; 2], bool) {
    let log_len = log_file::log_of(record).map(|(_, log)| log.len() as u64);
    let event = Part::new(Category::Error, 1);
    let file = Part::new(Category::Attachment, log_len.unwrap_or_default()).together_with(EVENT);
    ([event, file], log_len.is_some())
}

impl Entry for ErrorEvent {
    fn dsn(&self) -> Option<&Arc<Dsn>> {
        None
    }

    fn at(&self) -> SystemTime {
        self.record.at
    }

    fn id(&self) -> EventId {
        self.record.id
    }

    fn size(&self) -> usize {
        let own = allocated(size_of::<ErrorEvent>());
        own + allocated(self.record.buffer_len()) + allocated(self.record.removals.len_bytes())
    }

    fn parts(&self) -> &[Part] {
        let count = 1 + usize::from(self.has_file);
        self.parts.get(..count).unwrap_or_default()
    }

    fn write(&self, context: &mut Context<'_>, envelope: &mut Envelope) {
        self.form.write(&self.record, self.parts(), context, envelope);
    }
}

#[cfg(test)]
mod tests;
