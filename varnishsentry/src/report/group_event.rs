// SPDX-License-Identifier: BSD-2-Clause
//! The event of a group: what the client asked for and got, what the backend was asked for and said, and the log of all of it.

use event::capture::fields::{Fields, Kind};
use event::capture::numbers::Numbers;
use event::rules::ignore::Candidate;
use event::vsl::found::{title, write_fingerprint, write_found};
use protocol::header::{is_https, parse};
use transaction::group::{Grouping, Incomplete, Kind as Of};

use crate::filter::matcher::FoundIn;
use crate::log::reading::Reading;

/// The transactions that an event is about.
pub struct GroupEvent<'e, 'g> {
    pub found: &'e FoundIn,
    readings: &'e [Reading<'g>],
    /// The request that was answered, if the group has one; else what was found.
    main: &'e Reading<'g>,
    matched: &'e Reading<'g>,
    /// The fetch that failed, or the last one that was made for the request.
    fetch: Option<&'e Reading<'g>>,
    /// Why a transaction of the group is told before its end.
    incomplete: Option<Incomplete>,
    message: Vec<u8>,
}

impl<'e, 'g> GroupEvent<'e, 'g> {
    /// `None` if there is no such transaction, which cannot be.
    pub fn new(
        found: &'e FoundIn,
        readings: &'e [Reading<'g>],
        incomplete: Option<Incomplete>,
    ) -> Option<GroupEvent<'e, 'g>> {
        let matched = readings.get(found.at)?;
        let of = |vxid: u64| readings.iter().find(|reading| reading.head.vxid == vxid && vxid != 0);
        let mut client = Some(matched);
        // Up, from the fetch to who wanted it; a group has no ring, but who knows.
        for _ in readings {
            client = client.and_then(|reading| match reading.head.kind {
                Of::Request => Some(reading),
                _ => of(reading.parent()),
            });
        }
        // On, to what was answered in the end.
        for _ in readings {
            client = client.map(|reading| reading.successor.and_then(of).unwrap_or(reading));
        }
        let main = client.filter(|client| client.head.kind == Of::Request).unwrap_or(matched);
        let fetch = if matched.is_backend() {
            Some(matched)
        } else {
            let of_main = |reading: &&Reading<'_>| {
                reading.is_backend() && ancestors(readings, reading).any(|vxid| vxid == main.head.vxid)
            };
            readings.iter().rev().find(of_main)
        };
        let fetch = fetch.filter(|fetch| fetch.head.vxid != main.head.vxid);
        Some(GroupEvent { found, readings, main, matched, fetch, incomplete, message: title(&found.found) })
    }

    /// What rules see of it.
    pub fn candidate(&self, level: &'static str) -> Candidate<'_> {
        Candidate {
            message: &self.message,
            url: self.main.url,
            status: self.main.status,
            user_agent: header(&self.main.request, b"user-agent"),
            level: level.as_bytes(),
        }
    }

    /// The header lines of the request, in which a trace may be named.
    pub fn lines(&self) -> impl Iterator<Item = &'g [u8]> + Clone {
        self.main.request.iter().copied()
    }

    /// What the span of its trace is about.
    pub fn op(&self) -> &'static [u8] {
        if self.main.is_backend() { b"http.client" } else { b"http.server" }
    }

    /// The place of the transaction whose log matters most.
    pub fn first(&self) -> usize {
        self.found.at
    }

    /// When it happened, in seconds since the epoch, as far as the log tells.
    pub fn at(&self) -> Option<f64> {
        self.matched.ended().or_else(|| self.main.ended())
    }

    /// Writes all but the log.
    pub fn write(&self, fields: &mut Fields, send_pii: bool) {
        write_found(fields, &self.found.found);
        write_fingerprint(fields, &self.found.found);
        self.request(fields, send_pii);
        self.response(fields);
        self.varnish(fields);
        if let Some(fetch) = self.fetch {
            self.fetch(fields, fetch);
        }
        timestamps(fields, b"timestamps", self.main);
        if let Some(incomplete) = self.incomplete {
            let told = incomplete_told(incomplete);
            fields.put(Kind::Context, b"varnish\0incomplete", told.as_bytes());
            fields.put(Kind::Tag, b"incomplete", told.replace(' ', "_").as_bytes());
        }
        let sub = self.matched.sub();
        if !sub.is_empty() {
            fields.put(Kind::Transaction, b"", &sub);
        }
        fields.put(Kind::Logger, b"", b"varnishsentry");
    }

    fn request(&self, fields: &mut Fields, send_pii: bool) {
        let main = self.main;
        if let Some(url) = main.url {
            fields.put(Kind::Method, b"", main.method);
            fields.put(Kind::Url, b"", url);
            let secure = main.request.iter().any(|line| is_https(line));
            fields.put(Kind::Scheme, b"", if secure { b"https" } else { b"http" });
        }
        main.request.iter().for_each(|line| fields.put(Kind::RequestHeader, b"", line));
        if send_pii && !main.client.is_empty() {
            fields.put(Kind::ClientIp, b"", main.client);
        }
    }

    fn response(&self, fields: &mut Fields) {
        let Some(status) = self.main.status else { return };
        fields.put(Kind::Status, b"", status);
        fields.put(Kind::Tag, b"status", status);
        fields.put(Kind::Reason, b"", self.main.reason);
        self.main.response.iter().for_each(|line| fields.put(Kind::ResponseHeader, b"", line));
    }

    fn varnish(&self, fields: &mut Fields) {
        let main = self.main;
        let side = |reading: &Reading<'_>| if reading.is_backend() { b"backend".as_slice() } else { b"client" };
        let (backend, endpoint) =
            self.fetch.map_or((main.backend, &main.endpoint), |fetch| (fetch.backend, &fetch.endpoint));
        let sub = main.sub();
        // An include does not say of which VCL it is.
        let vcl = std::iter::once(main)
            .chain(self.readings)
            .map(|reading| reading.vcl)
            .find(|vcl| !vcl.is_empty())
            .unwrap_or_default();
        fields.put(Kind::Tag, b"type", side(self.matched));
        let mut text = |tag: &[u8], key: &[u8], value: &[u8]| {
            if !value.is_empty() {
                fields.put(Kind::Context, &[b"varnish\0", key].concat(), value);
                if !tag.is_empty() {
                    fields.put(Kind::Tag, tag, value);
                }
            }
        };
        text(b"side", b"side", side(main));
        text(b"vcl.sub", b"sub", &sub);
        text(b"vcl.name", b"vcl", vcl);
        text(b"backend", b"backend", backend);
        text(b"", b"endpoint", endpoint.as_bytes());
        text(b"cache", b"cache", main.cache.as_bytes());
        text(b"listener", b"listener", main.listener);
        text(b"", b"protocol", main.protocol);
        text(b"", b"storage", main.storage);
        let mut number = |key: &[u8], value: u64| {
            // What is in the log fits.
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            fields.put(Kind::ContextInt, &[b"varnish\0", key].concat(), &value.to_le_bytes());
        };
        number(b"xid", main.head.vxid);
        if main.parent() != 0 {
            number(
                if main.is_backend() || self.esi_level(main) > 0 { b"parent_xid" } else { b"session_xid" },
                main.parent(),
            );
        }
        if main.is_backend() {
            number(b"retries", self.predecessors(main));
        } else {
            number(b"restarts", self.predecessors(main));
            number(b"esi_level", self.esi_level(main));
        }
        if self.readings.len() > 1 {
            number(b"transactions", self.readings.len() as u64);
        }
        fields.put(Kind::Numbers, b"varnish", numbers(main).packed());
    }

    /// What is said of a fetch beside the request that it was made for.
    fn fetch(&self, fields: &mut Fields, fetch: &Reading<'_>) {
        let mut text = |key: &[u8], value: &[u8]| {
            if !value.is_empty() {
                fields.put(Kind::Context, &[b"fetch\0", key].concat(), value);
            }
        };
        text(b"status", fetch.status.unwrap_or_default());
        text(b"backend", fetch.backend);
        text(b"endpoint", fetch.endpoint.as_bytes());
        text(b"storage", fetch.storage);
        text(b"why", fetch.begin.map(|begin| begin.reason).unwrap_or_default());
        if fetch.begin.is_some_and(|begin| begin.reason == b"bgfetch") {
            text(b"background_fetch", b"true");
        }
        let mut number = |key: &[u8], value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            fields.put(Kind::ContextInt, &[b"fetch\0", key].concat(), &value.to_le_bytes());
        };
        number(b"xid", fetch.head.vxid);
        number(b"retries", self.predecessors(fetch));
        fields.put(Kind::Numbers, b"fetch", numbers(fetch).packed());
        timestamps(fields, b"fetch_timestamps", fetch);
    }

    /// How many took this one's place before: restarts, or retries.
    fn predecessors(&self, reading: &Reading<'_>) -> u64 {
        let mut vxid = reading.head.vxid;
        let mut count = 0;
        for _ in self.readings {
            let before = self.readings.iter().find(|before| before.successor == Some(vxid));
            let Some(before) = before else { break };
            vxid = before.head.vxid;
            count += 1;
        }
        count
    }

    fn esi_level(&self, reading: &Reading<'_>) -> u64 {
        let is_esi = |vxid: u64| {
            let of = self.readings.iter().find(|other| other.head.vxid == vxid);
            of.and_then(|other| other.begin).is_some_and(|begin| begin.reason == b"esi")
        };
        std::iter::once(reading.head.vxid).chain(ancestors(self.readings, reading)).filter(|vxid| is_esi(*vxid)).count()
            as u64
    }
}

/// Those of a group from which a transaction came, one after the other.
fn ancestors<'r>(readings: &'r [Reading<'_>], reading: &Reading<'_>) -> impl Iterator<Item = u64> + use<'r> {
    let mut parent = reading.parent();
    readings.iter().map_while(move |_| {
        let vxid = Some(parent).filter(|vxid| *vxid != 0)?;
        parent = readings.iter().find(|other| other.head.vxid == vxid).map_or(0, |other| other.parent());
        Some(vxid)
    })
}

fn header<'l>(lines: &[&'l [u8]], name: &[u8]) -> Option<&'l [u8]> {
    let mut lines = lines.iter().filter_map(|line| parse(line));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn numbers(reading: &Reading<'_>) -> Numbers {
    let mut numbers = Numbers::default();
    if let Some([ttl, grace, keep]) = reading.times {
        numbers.real("ttl", ttl);
        numbers.real("grace", grace);
        numbers.real("keep", keep);
    }
    numbers.count("request_header_bytes", reading.bytes.request_header);
    numbers.count("request_body_bytes", reading.bytes.request_body);
    numbers.count("response_header_bytes", reading.bytes.response_header);
    numbers.count("response_body_bytes", reading.bytes.response_body);
    let millis =
        |name: &[u8]| reading.timestamps.iter().find(|reached| reached.name == name).map(|reached| reached.millis);
    let mut reached = |key, name| numbers.real(key, millis(name).unwrap_or(f64::NAN));
    if reading.is_backend() {
        reached("first_byte_ms", b"Beresp");
    } else {
        reached("headers_ms", b"Req");
    }
    numbers.real("task_ms", reading.timestamps.last().map_or(f64::NAN, |last| last.millis));
    numbers
}

fn timestamps(fields: &mut Fields, context: &[u8], reading: &Reading<'_>) {
    for reached in &reading.timestamps {
        fields.put(Kind::ContextReal, &[context, b"\0", reached.name].concat(), &reached.millis.to_le_bytes());
    }
}

/// Why a transaction is told before its end, in words.
pub fn incomplete_told(incomplete: Incomplete) -> &'static str {
    match incomplete {
        Incomplete::Timeout => "timeout",
        Incomplete::StoreOverflow => "store overflow",
        Incomplete::OutOfMemory => "out of memory",
        Incomplete::Overrun => "overrun",
        Incomplete::Abandoned => "abandoned",
        Incomplete::Flushed => "flushed",
        Incomplete::EndOfLog => "end of log",
    }
}

/// What a grouping is called.
pub fn grouping_told(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::Session => "session",
        Grouping::Request => "request",
        Grouping::Vxid => "vxid",
        Grouping::Raw => "raw",
    }
}
