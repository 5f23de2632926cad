// SPDX-License-Identifier: BSD-2-Clause
//! Fields: what an event says, one after the other in one buffer, written once, read once.
//!
//! The buffer is made before anybody knows how long it gets: as large as [`Room`](crate::capture::room::Room) says. A guess
//! that was too small costs one more allocation, and one that was much too large is given back.

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
    /// `name`: context name; `value`: [`crate::capture::numbers::Numbers`] of it.
    Numbers,
    /// `value`: transaction name.
    Transaction,
    /// `value`: the parts of the fingerprint, NUL between them.
    Fingerprint,
    /// `name`: level word, NUL, category, NUL, seconds since the epoch as a little-endian `f64`; `value`: message.
    Breadcrumb,
    /// `name`: number of the [content](crate::capture::content::Content), level word, NUL, tag, NUL, rule's name;
    /// `value`: a record of the task's log that the rule matched.
    Match,
    /// `value`: the task's log, for the reader in [`TaskLog::read`](crate::capture::task_log::TaskLog::read).
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

/// Where fields are written to: what becomes a record's buffer. Never holds more than [`Fields::MAX_SIZE`].
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
    /// Bytes that all fields of one record may take; what does not fit is left out and counted.
    pub const MAX_SIZE: usize = 64 * 1024;

    /// Nothing yet, and room for so many bytes.
    pub fn with_room(room: usize) -> Fields {
        Fields { out: Vec::with_capacity(room.min(Fields::MAX_SIZE)), refused: 0 }
    }

    /// Ends what is known of the task by itself: what is put from here on was set by the VCL's author, and
    /// wins over the VCL's own scope, as that wins over what came before.
    pub fn begin_scopes(&mut self) {
        self.put(Kind::Scopes, b"", b"");
    }

    /// Writes one field. A field that would take the record past its size limit is left out and
    /// counted ([`Fields::refused`]); smaller ones after it may still fit.
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
        if size > Fields::MAX_SIZE.saturating_sub(len) {
            self.refused += 1;
            return false;
        }
        // Not by the vector's own rule, which would take twice the limit.
        let room = (len + size).max(2 * self.out.capacity()).min(Fields::MAX_SIZE);
        self.out.reserve_exact(room - len);
        true
    }

    /// Bytes that the value of a field without a name may have to fit in.
    pub fn left(&self) -> usize {
        Fields::MAX_SIZE.saturating_sub(self.out.len() + HEAD)
    }

    /// How many fields did not fit.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// The buffer, without what is too much of it.
    pub(super) fn into_buffer(mut self) -> Vec<u8> {
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

/// The fields in a buffer, in the order they were put; ends where there is none of ours.
pub(super) fn read(buffer: &[u8]) -> impl Iterator<Item = Field<'_>> + Clone {
    let mut rest = buffer;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of fields.
    struct Made {
        buffer: Vec<u8>,
        refused: usize,
    }

    impl Made {
        fn fields(&self) -> impl Iterator<Item = Field<'_>> {
            read(&self.buffer)
        }

        fn fields_len(&self) -> usize {
            self.buffer.len()
        }

        fn buffer_len(&self) -> usize {
            self.buffer.capacity()
        }
    }

    fn made_in(room: usize, write: impl Fn(&mut Fields)) -> Made {
        let mut fields = Fields::with_room(room);
        write(&mut fields);
        Made { refused: fields.refused(), buffer: fields.into_buffer() }
    }

    fn made(write: impl Fn(&mut Fields)) -> Made {
        made_in(0, write)
    }

    #[test]
    fn fields_come_back_in_order_and_every_kind_survives() {
        let made = made(|fields| {
            for kind in Kind::ALL {
                fields.put(kind, b"n", format!("{kind:?}").as_bytes());
            }
            fields.put(Kind::Tag, b"", b"");
        });
        let read: Vec<_> = made.fields().collect();
        assert_eq!(read.len(), Kind::ALL.len() + 1);
        for (field, kind) in read.iter().zip(Kind::ALL) {
            assert_eq!((field.kind, field.name), (kind, &b"n"[..]));
            assert_eq!(field.value, format!("{kind:?}").as_bytes());
        }
        assert_eq!(read.last(), Some(&Field { kind: Kind::Tag, name: b"", value: b"" }));
    }

    #[test]
    fn a_field_past_the_limit_is_left_out_and_counted_and_a_smaller_one_still_fits() {
        let made = made(|fields| {
            fields.put(Kind::Message, b"", &[b'm'; 60 * 1024]);
            fields.put(Kind::Extra, b"big", &[b'x'; 8 * 1024]);
            fields.put(Kind::Tag, b"k", b"v");
        });
        assert_eq!(made.refused, 1);
        assert_eq!(made.fields().map(|field| field.kind).collect::<Vec<_>>(), [Kind::Message, Kind::Tag]);
        assert!(made.fields_len() <= Fields::MAX_SIZE);
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
            let made = made_in(room, write);
            assert_eq!(made.fields().map(|field| (field.name, field.value)).collect::<Vec<_>>(), expected, "{room}");
            assert_eq!((made.fields_len(), made.buffer_len()), (len, buffer), "{room}");
        }
        for room in [0, 1, 1000, len - 1] {
            let made = made_in(room, write);
            assert_eq!(made.fields().map(|field| (field.name, field.value)).collect::<Vec<_>>(), expected, "{room}");
            assert!(made.buffer_len() <= 2 * len, "{} for {room}", made.buffer_len());
        }
    }

    #[test]
    fn a_short_record_keeps_a_little_room_and_an_empty_one_that_had_none_takes_none() {
        assert_eq!(made_in(256, |_| {}).buffer_len(), 256);
        assert_eq!(made_in(257, |_| {}).buffer_len(), 0);
        assert_eq!(made(|_| {}).buffer_len(), 0);
    }

    #[test]
    fn a_record_may_be_as_large_as_the_limit_and_not_a_byte_larger() {
        let most = Fields::MAX_SIZE - HEAD;
        for room in [0, 100, 40_000, Fields::MAX_SIZE, usize::MAX] {
            for (len, refused) in [(most, 0), (most + 1, 1), (100_000, 1)] {
                let made = made_in(room, |fields| fields.put(Kind::Message, b"", &vec![b'm'; len]));
                assert_eq!(made.refused, refused, "{len} bytes, room for {room}");
                assert_eq!(made.fields_len(), if refused == 0 { Fields::MAX_SIZE } else { 0 });
                assert!(made.buffer_len() <= Fields::MAX_SIZE);
            }
            let full = made_in(room, |fields| (0..200).for_each(|_| fields.put(Kind::Tag, b"", &[b't'; 1000])));
            assert_eq!(full.refused, 200 - Fields::MAX_SIZE / (HEAD + 1000), "room for {room}");
            assert!(full.buffer_len() <= Fields::MAX_SIZE, "{}", full.buffer_len());
        }
    }

    #[test]
    fn what_is_left_is_what_still_fits() {
        let made = made(|fields| {
            fields.put(Kind::Message, b"", b"m");
            let left = fields.left();
            fields.put(Kind::Log, b"", &vec![b'l'; left + 1]);
            fields.put(Kind::Log, b"", &vec![b'l'; left]);
            assert_eq!(fields.left(), 0);
        });
        assert_eq!((made.refused, made.fields_len()), (1, Fields::MAX_SIZE));
    }

    #[test]
    fn a_long_name_is_cut_rather_than_misread() {
        let made = made(|fields| {
            fields.put(Kind::Tag, &[b'k'; 70_000], b"v");
            fields.put(Kind::Tag, b"next", b"w");
        });
        let names: Vec<_> = made.fields().map(|field| field.name.len()).collect();
        assert_eq!(names, [MAX_NAME, 4]);
    }
}
