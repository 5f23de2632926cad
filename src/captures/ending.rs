// SPDX-License-Identifier: BSD-2-Clause
//! How a task ended, as its log tells.

use event::capture::fields::{Fields, Kind};
use event::vsl::forms::{Begin, Timestamp};
use shim::Side;
use shim::log::Log;

use crate::watch::{TAGS, wanted};

/// Timestamps of a task that go into its event.
const MAX_TIMESTAMPS: usize = 32;

/// What a task's log says of its end, and of its begin.
pub struct Ending {
    status: Option<Box<[u8]>>,
    reason: Option<Box<[u8]>>,
    /// The transaction that this one came from.
    parent: Option<i64>,
    /// What has taken the begin of the log away.
    gap: Option<&'static str>,
    /// What was reached, and how many milliseconds after the begin.
    timestamps: Vec<(Box<[u8]>, f64)>,
}

impl Ending {
    pub fn of(side: Side, log: Log<'_>) -> Ending {
        let tags = &*TAGS;
        let (status_tag, reason_tag) = match side {
            Side::Backend => (tags.beresp_status, tags.beresp_reason),
            Side::Client | Side::Cli => (tags.resp_status, tags.resp_reason),
        };
        let begin = begin(log).and_then(Begin::parse);
        let mut ending = Ending {
            status: None,
            reason: None,
            parent: begin.and_then(|begin| i64::try_from(begin.parent).ok()),
            gap: gap(log),
            timestamps: Vec::new(),
        };
        for record in log.records(0, &wanted([tags.timestamp, status_tag, reason_tag])) {
            if Some(record.tag) == status_tag {
                ending.status = Some(record.text.into());
            } else if Some(record.tag) == reason_tag {
                ending.reason = Some(record.text.into());
            } else if ending.timestamps.len() < MAX_TIMESTAMPS {
                let timestamp = Timestamp::parse(record.text);
                ending.timestamps.extend(timestamp.map(|reached| (reached.name.into(), reached.millis)));
            }
        }
        ending
    }

    /// The status of the response, as far as the log tells.
    pub fn status(&self) -> Option<&[u8]> {
        self.status.as_deref()
    }

    /// Writes what is not in the context of the call.
    pub fn write(&self, fields: &mut Fields) {
        if let Some(status) = &self.status {
            fields.put(Kind::Status, b"", status);
            fields.put(Kind::Tag, b"status", status);
        }
        if let Some(reason) = &self.reason {
            fields.put(Kind::Reason, b"", reason);
        }
        if let Some(parent) = self.parent {
            fields.put(Kind::ContextInt, b"varnish\0parent_xid", &parent.to_le_bytes());
        }
        if let Some(gap) = self.gap {
            fields.put(Kind::Context, b"varnish\0log_cut", gap.as_bytes());
        }
        for (name, millis) in &self.timestamps {
            fields.put(Kind::ContextReal, &[b"timestamps\0", &**name].concat(), &millis.to_le_bytes());
        }
        fields.put(Kind::Logger, b"", b"varnish.log");
        fields.put(Kind::Transaction, b"", b"watch");
    }
}

/// The record that a transaction begins with, if it is still there.
fn begin(log: Log<'_>) -> Option<&[u8]> {
    let first = log.records(0, shim::log::ALL).next()?;
    (Some(first.tag) == TAGS.begin).then_some(first.text)
}

/// What took the begin of a log away; `None` if it is all there.
pub fn gap(log: Log<'_>) -> Option<&'static str> {
    match begin(log) {
        None => Some("overflow"),
        Some(text) if text.ends_with(b" restart") => Some("restart"),
        Some(text) if text.ends_with(b" retry") => Some("retry"),
        Some(_) => None,
    }
}
