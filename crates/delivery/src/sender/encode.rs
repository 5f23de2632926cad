// SPDX-License-Identifier: BSD-2-Clause
//! Request bodies: an envelope of an entry, a client report or both, compressed where that is worth it.
//!
//! Buffers are kept from body to body.

use std::time::SystemTime;

use protocol::category::Categories;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part, Scratch};
use protocol::envelope::{Envelope, JSON, write_item};

use crate::connection::gzip::Compressor;
use crate::connection::request::Body;
use crate::queue::{Queued, going};
use crate::spool::written::Written;

/// Makes bodies, one after the other.
pub struct Encoder {
    scratch: Scratch,
    envelope: Envelope,
    header: Vec<u8>,
    report: Vec<u8>,
    /// `None` if bodies stay as they are.
    compressor: Option<Compressor>,
}

impl Encoder {
    pub fn new(compresses: bool) -> Encoder {
        let (scratch, envelope, header, report) = Default::default();
        Encoder { scratch, envelope, header, report, compressor: compresses.then(Compressor::default) }
    }

    /// Replaces what is in `body` by that for one attempt to send what may go of `entry`, and `report`, at the time `wall`. `false` if the entry
    /// left nothing to send.
    pub fn encode(
        &mut self,
        entry: Option<&dyn Entry>,
        report: Option<&[u8]>,
        dsn: Option<&Dsn>,
        may: Categories,
        wall: SystemTime,
        body: &mut Body,
    ) -> bool {
        self.envelope.clear();
        if let Some(entry) = entry {
            entry.write(&mut Context { dsn, wall, may, scratch: &mut self.scratch }, &mut self.envelope);
            if self.envelope.is_empty() {
                return false;
            }
        }
        self.header.clear();
        self.envelope.write_header(wall, &mut self.header);
        self.report.clear();
        if let Some(report) = report {
            write_item("client_report", JSON, "", report, &mut self.report);
        }
        let chunks = [&*self.header, self.envelope.items(), &*self.report];
        body.bytes.clear();
        body.encoding = None;
        body.headers = entry.and_then(Entry::headers).cloned().unwrap_or_default();
        match &mut self.compressor {
            Some(compressor) => compressor.compress(&chunks, body),
            None => chunks.iter().for_each(|chunk| body.bytes.extend_from_slice(chunk)),
        }
        true
    }

    /// What is left of an entry in words, for the spool; `None` if that is nothing. It is written for no DSN: a key is not for the
    /// disk.
    pub fn write(&mut self, queued: &Queued, wall: SystemTime) -> Option<Written> {
        self.envelope.clear();
        let entry = &queued.entry;
        entry.write(&mut Context { dsn: None, wall, may: queued.may, scratch: &mut self.scratch }, &mut self.envelope);
        if self.envelope.is_empty() {
            return None;
        }
        let parts = entry.parts();
        let mut kept = Vec::new();
        for part in going(parts, queued.may) {
            let items =
                self.envelope.parts().filter(|(place, _)| parts.get(*place).is_some_and(|of| std::ptr::eq(of, part)));
            let items = items.flat_map(|(_, item)| item).copied().collect();
            // Those in front of it that are lost are not there any more. What it goes with is left, or it would be lost, too.
            let with = part.with.and_then(|leader| parts.get(..leader));
            let with = with.map(|before| before.iter().filter(|part| part.goes(parts, queued.may)).count());
            kept.push((Part { with, ..*part }, items));
        }
        let (members, author) = (self.envelope.members().to_vec(), self.envelope.author());
        let headers = entry.headers().cloned().unwrap_or_default();
        let ledger = queued.ledger.clone();
        Some(Written { at: entry.at(), id: entry.id(), author, headers, members, parts: kept, ledger })
    }
}
