// SPDX-License-Identifier: BSD-2-Clause
//! Which header fields of an answer are of interest, and their values.

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    Connection,
    ContentLength,
    TransferEncoding,
    RateLimits,
    RetryAfter,
    SentryError,
    Location,
}

const FIELDS: [(Field, &str); 7] = [
    (Field::Connection, "connection"),
    (Field::ContentLength, "content-length"),
    (Field::TransferEncoding, "transfer-encoding"),
    (Field::RateLimits, "x-sentry-rate-limits"),
    (Field::RetryAfter, "retry-after"),
    (Field::SentryError, "x-sentry-error"),
    (Field::Location, "location"),
];

impl Field {
    /// The field of that name, in any case.
    pub fn named(name: &str) -> Option<Field> {
        FIELDS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(field, _)| *field)
    }
}

/// What each field says; of one that came several times, all of it with commas between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldValues([Option<String>; FIELDS.len()]);

impl FieldValues {
    pub fn get(&self, field: Field) -> Option<&str> {
        self.0.get(field as usize)?.as_deref()
    }

    /// Adds a line's value.
    pub fn put(&mut self, field: Field, value: &str) {
        self.add(field, ",", value);
    }

    /// Adds what a line says that goes on with the one before it.
    pub fn go_on(&mut self, field: Field, value: &str) {
        self.add(field, " ", value);
    }

    pub fn forget(&mut self, field: Field) {
        if let Some(place) = self.0.get_mut(field as usize) {
            *place = None;
        }
    }

    fn add(&mut self, field: Field, between: &str, value: &str) {
        match self.0.get_mut(field as usize) {
            Some(Some(values)) => {
                values.push_str(between);
                values.push_str(value);
            }
            Some(place) => *place = Some(value.to_owned()),
            None => {}
        }
    }
}
