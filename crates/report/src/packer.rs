// SPDX-License-Identifier: BSD-2-Clause
//! Request bodies: an envelope of an event, a client report or both, compressed where that is worth it.
//!
//! Buffers are kept from body to body; they stay below a few hundred kilobytes, as records do.

use std::mem;
use std::time::SystemTime;

use crate::baggage::SamplingContext;
use crate::dsn::Dsn;
use crate::envelope::Envelope;
use crate::event;
use crate::event_id::EventId;
use crate::gzip::Gzip;
use crate::identity::Identity;
use crate::privacy::Privacy;
use crate::record::Record;
use crate::scrub::Scrub;
use crate::settings::{PrivacySettings, Settings};
use crate::task_log;

/// Makes bodies, one after the other.
pub struct Packer {
    identity: Identity,
    send_pii: bool,
    privacy: Privacy,
    /// The log of the event's task as a file, empty if there is none.
    file: String,
    json: Vec<u8>,
    trace: Vec<u8>,
    envelope: Vec<u8>,
    /// `None` if bodies stay as they are.
    gzip: Option<Gzip>,
}

/// A body, and the `Content-Encoding` it has.
#[derive(Debug, Default)]
pub struct Parcel {
    pub bytes: Vec<u8>,
    pub encoding: Option<&'static str>,
}

impl Packer {
    pub fn new(settings: &Settings) -> Packer {
        let PrivacySettings { send_default_pii: send_pii, privacy, .. } = &settings.privacy;
        let (identity, privacy) = (settings.client.identity.clone(), privacy.clone());
        let (file, json, trace, envelope) = Default::default();
        // A dry run sends nothing.
        let gzip = (!settings.client.debug).then(Gzip::default);
        Packer { identity, send_pii: *send_pii, privacy, file, json, trace, envelope, gzip }
    }

    /// Replaces what is in `parcel` by the body for one attempt to send `record` and `report` at the time
    /// `sent_at`; `files` says whether the server takes attachments. A record that cannot be put into words is
    /// left out: the server refuses what is left, and the event is counted as refused. The key of `dsn` is that of
    /// a trace that begins with the event.
    pub fn pack(
        &mut self,
        record: Option<&Record>,
        report: Option<&[u8]>,
        dsn: Option<&Dsn>,
        sent_at: SystemTime,
        files: bool,
        parcel: &mut Parcel,
    ) {
        let id = record.map(|record| record.id);
        self.file.clear();
        if let Some(record) = record.filter(|_| files) {
            let scrub = Scrub::new(self.send_pii).with(&self.privacy);
            task_log::write_file(record, scrub, &mut self.file);
        }
        self.trace.clear();
        if let (Some(record), Some(dsn)) = (record, dsn)
            && let Some(context) = SamplingContext::of(record, dsn, &self.identity)
            && serde_json::to_writer(&mut self.trace, &context).is_err()
        {
            self.trace.clear();
        }
        let written = record.is_some_and(|record| self.write(record));
        self.frame(id, written, report, sent_at, parcel);
    }

    /// As [`Packer::pack`], of an event that was put into words before: those have its trace, which is what ties
    /// it to others. Its sampling context is not kept, and can be missing.
    pub fn pack_json(
        &mut self,
        id: EventId,
        json: &[u8],
        report: Option<&[u8]>,
        sent_at: SystemTime,
        parcel: &mut Parcel,
    ) {
        self.file.clear();
        self.json.clear();
        self.json.extend_from_slice(json);
        self.trace.clear();
        self.frame(Some(id), true, report, sent_at, parcel);
    }

    /// The JSON of `record`'s event, scrubbed as what is sent; `None` if it cannot be put into words.
    pub fn event(&mut self, record: &Record) -> Option<&[u8]> {
        self.write(record).then_some(&self.json)
    }

    fn write(&mut self, record: &Record) -> bool {
        let scrub = Scrub::new(self.send_pii).with(&self.privacy);
        event::write(record, &self.identity, scrub, &mut self.json).is_ok()
    }

    fn frame(
        &mut self,
        id: Option<EventId>,
        written: bool,
        report: Option<&[u8]>,
        sent_at: SystemTime,
        parcel: &mut Parcel,
    ) {
        let mut envelope = Envelope::new(&mut self.envelope, id, &self.trace, sent_at);
        if written {
            envelope.event(&self.json);
            if !self.file.is_empty() {
                envelope.attachment(task_log::FILE_NAME, &self.file);
            }
        }
        if let Some(report) = report {
            envelope.client_report(report);
        }
        let packed = self.gzip.as_mut().is_some_and(|gzip| gzip.compress(&self.envelope, &mut parcel.bytes));
        parcel.encoding = packed.then_some("gzip");
        if !packed {
            mem::swap(&mut parcel.bytes, &mut self.envelope);
        }
    }
}
