// SPDX-License-Identifier: BSD-2-Clause
//! Which records tell what: by name, looked up once, for the servers number their tags differently.

use transaction::tags::Tags;

/// What a record tells. The two sides have names of their own for the same, and no transaction has records of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Begin,
    Link,
    Timestamp,
    Method,
    Url,
    Protocol,
    RequestHeader,
    RequestUnset,
    ResponseProtocol,
    Status,
    Reason,
    ResponseHeader,
    ResponseUnset,
    /// Where the client is, and by which listener it came.
    Client,
    Vcl,
    Call,
    Backend,
    FetchError,
    Hit,
    HitMiss,
    HitPass,
    Ttl,
    Storage,
    Bytes,
}

const NAMES: [(&str, Part); 33] = [
    ("Begin", Part::Begin),
    ("Link", Part::Link),
    ("Timestamp", Part::Timestamp),
    ("ReqMethod", Part::Method),
    ("BereqMethod", Part::Method),
    ("ReqURL", Part::Url),
    ("BereqURL", Part::Url),
    ("ReqProtocol", Part::Protocol),
    ("BereqProtocol", Part::Protocol),
    ("ReqHeader", Part::RequestHeader),
    ("BereqHeader", Part::RequestHeader),
    ("ReqUnset", Part::RequestUnset),
    ("BereqUnset", Part::RequestUnset),
    ("RespProtocol", Part::ResponseProtocol),
    ("BerespProtocol", Part::ResponseProtocol),
    ("RespStatus", Part::Status),
    ("BerespStatus", Part::Status),
    ("RespReason", Part::Reason),
    ("BerespReason", Part::Reason),
    ("RespHeader", Part::ResponseHeader),
    ("BerespHeader", Part::ResponseHeader),
    ("RespUnset", Part::ResponseUnset),
    ("BerespUnset", Part::ResponseUnset),
    ("ReqStart", Part::Client),
    ("VCL_use", Part::Vcl),
    ("VCL_call", Part::Call),
    ("BackendOpen", Part::Backend),
    ("FetchError", Part::FetchError),
    ("Hit", Part::Hit),
    ("HitMiss", Part::HitMiss),
    ("HitPass", Part::HitPass),
    ("TTL", Part::Ttl),
    ("Storage", Part::Storage),
];

const BYTES: [&str; 3] = ["ReqAcct", "BereqAcct", "PipeAcct"];

/// The parts by the numbers of the tags.
pub struct Parts([Option<Part>; 256]);

impl Parts {
    /// Those of a server; what it has not, no record is of.
    pub fn new(tags: &Tags) -> Parts {
        let mut parts = Parts([None; 256]);
        let bytes = BYTES.map(|name| (name, Part::Bytes));
        for (name, part) in NAMES.into_iter().chain(bytes) {
            if let Some((number, _)) = tags.named(name)
                && let Some(place) = parts.0.get_mut(usize::from(number))
            {
                *place = Some(part);
            }
        }
        parts
    }

    /// What records with this tag tell; `None` of those that are only shown.
    pub fn of(&self, tag: u8) -> Option<Part> {
        self.0.get(usize::from(tag)).copied().flatten()
    }
}
