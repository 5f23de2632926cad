// SPDX-License-Identifier: BSD-2-Clause
//! What the request's thread hands to the sender: one buffer of fields, written once, read once.
//!
//! The buffer is made before anybody knows how long it gets: as large as [`crate::room::Room`] says. A guess
//! that was too small costs one more allocation, and one that was much too large is given back. The sender
//! alone turns fields into JSON.

use std::sync::Arc;
use std::time::SystemTime;

use crate::before_send::Removals;
use crate::event_id::EventId;
use crate::level::Level;
use crate::scope::Scope;
use crate::task_log::TaskLog;

/// What a field says. Later fields win over earlier ones of the same kind and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `value`: the unfilled message, `{1}` … `{4}` still in it.
    Message = 1,
    /// `name`: the placeholder's number as a digit; `value`: what fills it.
    Param,
    /// `name`: exception type; `value`: its text.
    Exception,
    /// `value`: logger name.
    Logger,
    /// `value`: request method.
    Method,
    /// `value`: request URL as it stands in the request line: path and query, or absolute.
    Url,
    /// `value`: `http` or `https`.
    Scheme,
    /// `value`: a whole request header line, `Name: text`.
    RequestHeader,
    /// `value`: the first bytes of the request's body; `name`: how long all of it is, a little-endian `u64`.
    Body,
    /// `value`: response status as decimal digits.
    Status,
    /// `value`: response reason phrase.
    Reason,
    /// `value`: a whole response header line, `Name: text`.
    ResponseHeader,
    /// `value`: the client's address as text; written only where PII may be sent.
    ClientIp,
    /// `name`, `value`: a tag.
    Tag,
    /// `name`, `value`: an extra.
    Extra,
    /// `name`: `id`, `email`, `username` or another key; `value`: its text.
    User,
    /// `name`: context name, NUL, key; `value`: text.
    Context,
    /// `name`: as [`Kind::Context`]; `value`: a little-endian `i64`.
    ContextInt,
    /// `name`: as [`Kind::Context`]; `value`: a little-endian `f64`.
    ContextReal,
    /// `name`: context name; `value`: [`crate::numbers::Numbers`] of it.
    Numbers,
    /// `value`: transaction name.
    Transaction,
    /// `value`: the parts of the fingerprint, NUL between them.
    Fingerprint,
    /// `name`: level word, NUL, category, NUL, seconds since the epoch as a little-endian `f64`; `value`: message.
    Breadcrumb,
    /// `name`: number of the [content](crate::log_text::Content), level word, NUL, tag, NUL, rule's name;
    /// `value`: a record of the task's log that the rule matched.
    Match,
    /// `value`: the task's log, for the reader in [`Record::log`].
    Log,
    /// `name`: what the task's span is about, its `op`; `value`: a trace's bytes.
    Trace,
    /// `value`: one of Sentry's members of the baggage that came with the trace.
    Baggage,
    /// No field: what the task knows by itself stands before it, what VCL set after it.
    Scopes,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Kind; 28] = [
        Kind::Message,
        Kind::Param,
        Kind::Exception,
        Kind::Logger,
        Kind::Method,
        Kind::Url,
        Kind::Scheme,
        Kind::RequestHeader,
        Kind::Body,
        Kind::Status,
        Kind::Reason,
        Kind::ResponseHeader,
        Kind::ClientIp,
        Kind::Tag,
        Kind::Extra,
        Kind::User,
        Kind::Context,
        Kind::ContextInt,
        Kind::ContextReal,
        Kind::Numbers,
        Kind::Transaction,
        Kind::Fingerprint,
        Kind::Breadcrumb,
        Kind::Match,
        Kind::Log,
        Kind::Trace,
        Kind::Baggage,
        Kind::Scopes,
    ];
}

/// Where fields are written to: what becomes a record's buffer. Never holds more than [`Record::MAX_SIZE`].
#[derive(Debug, Default)]
pub struct Fields {
    out: Vec<u8>,
    refused: usize,
}

/// One field's head: kind, name length (2 bytes), value length (4 bytes).
const HEAD: usize = 1 + 2 + 4;
/// A name longer than this is cut (names are made by VCL authors, and a head has two bytes for the length).
const MAX_NAME: usize = 1024;
/// Bytes of a buffer that may stay unused; of a larger one, half. To give back what is left of it means another
/// allocation, and the queue counts it all the same.
const SLACK: usize = 256;

impl Fields {
    /// Nothing yet, and room for so many bytes.
    pub fn with_room(room: usize) -> Fields {
        Fields { out: Vec::with_capacity(room.min(Record::MAX_SIZE)), refused: 0 }
    }

    /// Ends what is known of the task by itself: what is put from here on was set by the VCL's author, and
    /// wins over the VCL's own scope, as that wins over what came before.
    pub fn begin_scopes(&mut self) {
        self.put(Kind::Scopes, b"", b"");
    }

    /// Writes one field. A field that would take the record past its size limit is left out and
    /// counted ([`Record::refused`]); smaller ones after it may still fit.
    #[inline]
    pub fn put(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        // Half of all fields are headers, which have none.
        if name.is_empty() { self.put_value(kind, value) } else { self.put_named(kind, name, value) }
    }

    fn put_value(&mut self, kind: Kind, value: &[u8]) {
        if self.begin(kind, 0, value.len()) {
            self.out.extend_from_slice(value);
        }
    }

    fn put_named(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        let name = name.get(..MAX_NAME).unwrap_or(name);
        if self.begin(kind, name.len(), value.len()) {
            self.out.extend_from_slice(name);
            self.out.extend_from_slice(value);
        }
    }

    /// Writes a field's head, and has room for all of it; `false` if the field is too large.
    #[inline]
    fn begin(&mut self, kind: Kind, name: usize, value: usize) -> bool {
        let size = HEAD + name + value;
        if size > self.out.capacity() - self.out.len() && !self.grow(size) {
            return false;
        }
        let [n0, n1] = (name as u16).to_le_bytes();
        let [v0, v1, v2, v3] = (value as u32).to_le_bytes();
        self.out.extend_from_slice(&[kind as u8, n0, n1, v0, v1, v2, v3]);
        true
    }

    /// Makes room for `size` bytes more; if they are too many, counts them as refused.
    #[cold]
    fn grow(&mut self, size: usize) -> bool {
        let len = self.out.len();
        if size > Record::MAX_SIZE.saturating_sub(len) {
            self.refused += 1;
            return false;
        }
        // Not by the vector's own rule, which would take twice the limit.
        let room = (len + size).max(2 * self.out.capacity()).min(Record::MAX_SIZE);
        self.out.reserve_exact(room - len);
        true
    }

    /// The buffer, without what is too much of it.
    fn into_buffer(mut self) -> Vec<u8> {
        let slack = self.out.capacity() - self.out.len();
        if slack > SLACK && slack > self.out.capacity() / 2 {
            self.out.shrink_to_fit();
        }
        self.out
    }
}

/// A field as the sender reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub kind: Kind,
    pub name: &'a [u8],
    pub value: &'a [u8],
}

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
    pub const MAX_SIZE: usize = 64 * 1024;

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
            refused: fields.refused,
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
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.raw_fields().filter(|field| field.kind != Kind::Scopes)
    }

    fn raw_fields(&self) -> impl Iterator<Item = Field<'_>> {
        let mut rest: &[u8] = &self.fields;
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<HEAD>()?;
            let kind = *Kind::ALL.get(usize::from(head[0]).checked_sub(1)?)?;
            let name_len = usize::from(u16::from_le_bytes([head[1], head[2]]));
            let value_len = u32::from_le_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let (name, tail) = tail.split_at_checked(name_len)?;
            let (value, tail) = tail.split_at_checked(value_len)?;
            rest = tail;
            Some(Field { kind, name, value })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_in(room: usize, write: impl Fn(&mut Fields)) -> Record {
        let mut fields = Fields::with_room(room);
        write(&mut fields);
        Record::new(EventId::from_random([7; 16]), SystemTime::UNIX_EPOCH, Level::Error, Arc::default(), fields)
    }

    fn record(write: impl Fn(&mut Fields)) -> Record {
        record_in(0, write)
    }

    #[test]
    fn fields_come_back_in_order_and_every_kind_survives() {
        let made = record(|fields| {
            for kind in Kind::ALL {
                fields.put(kind, b"n", format!("{kind:?}").as_bytes());
            }
            fields.put(Kind::Tag, b"", b"");
        });
        let read: Vec<_> = made.raw_fields().collect();
        assert_eq!(read.len(), Kind::ALL.len() + 1);
        for (field, kind) in read.iter().zip(Kind::ALL) {
            assert_eq!((field.kind, field.name), (kind, &b"n"[..]));
            assert_eq!(field.value, format!("{kind:?}").as_bytes());
        }
        assert_eq!(read.last(), Some(&Field { kind: Kind::Tag, name: b"", value: b"" }));
    }

    #[test]
    fn a_field_past_the_limit_is_left_out_and_counted_and_a_smaller_one_still_fits() {
        let made = record(|fields| {
            fields.put(Kind::Message, b"", &[b'm'; 60 * 1024]);
            fields.put(Kind::Extra, b"big", &[b'x'; 8 * 1024]);
            fields.put(Kind::Tag, b"k", b"v");
        });
        assert_eq!(made.refused(), 1);
        assert_eq!(made.fields().map(|field| field.kind).collect::<Vec<_>>(), [Kind::Message, Kind::Tag]);
        assert!(made.fields_len() <= Record::MAX_SIZE);
    }

    #[test]
    fn whatever_room_there_was_the_fields_are_the_same_and_little_of_it_stays_unused() {
        let value = [b'v'; 1000];
        let write = |fields: &mut Fields| (0..10).for_each(|_| fields.put(Kind::Extra, b"name", &value));
        let expected: Vec<_> = (0..10).map(|_| (&b"name"[..], &value[..])).collect();
        let len = 10 * (HEAD + 4 + 1000);
        for (room, buffer) in
            [(len, len), (len + 256, len + 256), (2 * len, 2 * len), (2 * len + 1, len), (60_000, len)]
        {
            let made = record_in(room, write);
            assert_eq!(made.fields().map(|field| (field.name, field.value)).collect::<Vec<_>>(), expected, "{room}");
            assert_eq!((made.fields_len(), made.buffer_len()), (len, buffer), "{room}");
        }
        for room in [0, 1, 1000, len - 1] {
            let made = record_in(room, write);
            assert_eq!(made.fields().map(|field| (field.name, field.value)).collect::<Vec<_>>(), expected, "{room}");
            assert!(made.buffer_len() <= 2 * len, "{} for {room}", made.buffer_len());
        }
    }

    #[test]
    fn a_short_record_keeps_a_little_room_and_an_empty_one_that_had_none_takes_none() {
        assert_eq!(record_in(256, |_| {}).buffer_len(), 256);
        assert_eq!(record_in(257, |_| {}).buffer_len(), 0);
        assert_eq!(record(|_| {}).buffer_len(), 0);
    }

    #[test]
    fn a_record_may_be_as_large_as_the_limit_and_not_a_byte_larger() {
        let most = Record::MAX_SIZE - HEAD;
        for room in [0, 100, 40_000, Record::MAX_SIZE, usize::MAX] {
            for (len, refused) in [(most, 0), (most + 1, 1), (100_000, 1)] {
                let made = record_in(room, |fields| fields.put(Kind::Message, b"", &vec![b'm'; len]));
                assert_eq!(made.refused(), refused, "{len} bytes, room for {room}");
                assert_eq!(made.fields_len(), if refused == 0 { Record::MAX_SIZE } else { 0 });
                assert!(made.buffer_len() <= Record::MAX_SIZE);
            }
            let full = record_in(room, |fields| (0..200).for_each(|_| fields.put(Kind::Tag, b"", &[b't'; 1000])));
            assert_eq!(full.refused(), 200 - Record::MAX_SIZE / (HEAD + 1000), "room for {room}");
            assert!(full.buffer_len() <= Record::MAX_SIZE, "{}", full.buffer_len());
        }
    }

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

    #[test]
    fn a_long_name_is_cut_rather_than_misread() {
        let made = record(|fields| {
            fields.put(Kind::Tag, &[b'k'; 70_000], b"v");
            fields.put(Kind::Tag, b"next", b"w");
        });
        let names: Vec<_> = made.fields().map(|field| field.name.len()).collect();
        assert_eq!(names, [MAX_NAME, 4]);
    }
}
