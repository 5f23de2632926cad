// SPDX-License-Identifier: BSD-2-Clause
//! Request bodies: an envelope of an event, a client report or both, compressed where that is worth it.
//!
//! Buffers are kept from body to body; they stay below a few hundred kilobytes, as records do.

use std::mem;
use std::time::SystemTime;

use event::error_event::{Form, parts};
use event::payload::json;
use protocol::category::{Categories, Category};
use protocol::entry::{Context, Scratch};
use protocol::envelope::{Envelope, JSON};

use crate::dsn::Dsn;
use crate::event_id::EventId;
use crate::gzip::Gzip;
use crate::record::Record;
use crate::settings::{PrivacySettings, Settings};

/// Makes bodies, one after the other.
pub struct Packer {
    form: Form,
    scratch: Scratch,
    envelope: Envelope,
    bytes: Vec<u8>,
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
        let form = Form { identity, send_pii: *send_pii, privacy };
        let (scratch, envelope, bytes) = Default::default();
        // A dry run sends nothing.
        let gzip = (!settings.client.debug).then(Gzip::default);
        Packer { form, scratch, envelope, bytes, gzip }
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
        self.envelope.clear();
        if let Some(record) = record {
            let may = if files { Categories::ALL } else { Categories::ALL.without(Category::Attachment) };
            let mut context = Context { dsn, wall: sent_at, may, scratch: &mut self.scratch };
            let (parts, _) = parts(record);
            self.form.write(record, &parts, &mut context, &mut self.envelope);
        }
        self.frame(report, sent_at, parcel);
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
        self.envelope.clear();
        self.envelope.set_event_id(id);
        self.envelope.add_item(0, "event", JSON, "", json);
        self.frame(report, sent_at, parcel);
    }

    /// The JSON of `record`'s event, scrubbed as what is sent; `None` if it cannot be put into words.
    pub fn event(&mut self, record: &Record) -> Option<&[u8]> {
        let Form { identity, .. } = &self.form;
        let written = json::write(record, identity, self.form.scrub(), &mut self.scratch.json);
        written.is_ok().then_some(&self.scratch.json)
    }

    fn frame(&mut self, report: Option<&[u8]>, sent_at: SystemTime, parcel: &mut Parcel) {
        if let Some(report) = report {
            self.envelope.add_item(0, "client_report", JSON, "", report);
        }
        self.bytes.clear();
        self.envelope.write_header(sent_at, &mut self.bytes);
        self.bytes.extend_from_slice(self.envelope.items());
        let packed = self.gzip.as_mut().is_some_and(|gzip| gzip.compress(&self.bytes, &mut parcel.bytes));
        parcel.encoding = packed.then_some("gzip");
        if !packed {
            mem::swap(&mut parcel.bytes, &mut self.bytes);
        }
    }
}
