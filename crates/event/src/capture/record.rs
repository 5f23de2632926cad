// SPDX-License-Identifier: BSD-2-Clause
//! What the request's thread hands over of an event: one buffer of fields, and what is known of all of them.
//!
//! Only when it is sent does it become JSON.

use std::sync::Arc;
use std::time::SystemTime;

use protocol::event_id::EventId;

use crate::capture::fields::{self, Field, Fields, Kind};
use crate::capture::level::Level;
use crate::capture::removals::Removals;
use crate::capture::scope::Scope;
use crate::capture::task_log::TaskLog;

/// A captured event, not yet JSON.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: EventId,
    /// When it was captured; the event's `timestamp`.
    pub at: SystemTime,
    pub level: Level,
    /// The VCL's own scope, shared by all its events; the record's fields win over it.
    pub base: Arc<Scope>,
    /// How many events of this key the throttle has held back since the last one that passed.
    pub suppressed: u64,
    /// How many it stands for, if it was captured as the last of so many; else 0.
    pub occurrences: u64,
    /// What the field [`Kind::Log`] is, if there is one.
    pub log: Option<TaskLog>,
    /// What the sender leaves out of it.
    pub removals: Removals,
    refused: usize,
    fields: Vec<u8>,
}

impl Record {
    /// Bytes that one record may take; what does not fit is left out and counted.
    pub const MAX_SIZE: usize = Fields::MAX_SIZE;

    /// Makes a record of `fields`.
    pub fn new(id: EventId, at: SystemTime, level: Level, base: Arc<Scope>, fields: Fields) -> Record {
        Record {
            id,
            at,
            level,
            base,
            suppressed: 0,
            occurrences: 0,
            log: None,
            removals: Removals::default(),
            refused: fields.refused(),
            fields: fields.into_buffer(),
        }
    }

    /// Bytes of its own fields.
    pub fn fields_len(&self) -> usize {
        self.fields.len()
    }

    /// Bytes of the buffer that they are in.
    pub fn buffer_len(&self) -> usize {
        self.fields.capacity()
    }

    /// How many fields did not fit into [`Record::MAX_SIZE`].
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// All fields, those of the base scope included, so that later ones win over earlier ones of the same
    /// kind and name: what the task knows by itself, then the VCL's scope, then the task's.
    pub fn in_order(&self) -> impl Iterator<Item = Field<'_>> {
        let (mut own, mut base) = (self.raw_fields(), self.base.fields());
        let mut in_scopes = false;
        std::iter::from_fn(move || {
            if !in_scopes {
                let known = own.next().filter(|field| field.kind != Kind::Scopes);
                in_scopes = known.is_none();
                if known.is_some() {
                    return known;
                }
            }
            base.next().or_else(|| own.next())
        })
    }

    /// The record's own fields in the order they were put.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.raw_fields().filter(|field| field.kind != Kind::Scopes)
    }

    fn raw_fields(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        fields::read(&self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vcl_set_comes_after_what_the_task_knows_and_the_tasks_scope_last() {
        let mut base = Scope::default();
        base.set_tag(b"backend", b"vcl").unwrap();
        let mut fields = Fields::default();
        fields.put(Kind::Tag, b"backend", b"task");
        fields.begin_scopes();
        fields.put(Kind::Tag, b"backend", b"scope");
        let id = EventId::from_random([7; 16]);
        let made = Record::new(id, SystemTime::UNIX_EPOCH, Level::Error, Arc::new(base), fields);
        let values: Vec<_> = made.in_order().map(|field| field.value).collect();
        assert_eq!(values, [&b"task"[..], b"vcl", b"scope"]);
    }
}
