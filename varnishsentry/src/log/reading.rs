// SPDX-License-Identifier: BSD-2-Clause
//! What a transaction's records tell together, as it is at its end: VCL may have changed what came from the wire.

use event::vsl::forms::{Begin, Timestamp};
use transaction::group::{Head, Kind, Transaction};

use super::parts::{Part, Parts};

/// Timestamps that are kept of a transaction.
const MAX_TIMESTAMPS: usize = 32;

/// A transaction, read.
#[derive(Debug)]
pub struct Reading<'g> {
    pub head: Head,
    pub begin: Option<Begin<'g>>,
    pub method: &'g [u8],
    pub url: Option<&'g [u8]>,
    pub protocol: &'g [u8],
    /// Header lines.
    pub request: Vec<&'g [u8]>,
    pub status: Option<&'g [u8]>,
    pub reason: &'g [u8],
    pub response: Vec<&'g [u8]>,
    /// The client's address.
    pub client: &'g [u8],
    pub listener: &'g [u8],
    pub vcl: &'g [u8],
    /// The last sub that was called, as the log spells it: `DELIVER`.
    pub call: &'g [u8],
    pub has_failed: bool,
    pub cache: &'static str,
    pub backend: &'g [u8],
    pub endpoint: String,
    pub storage: &'g [u8],
    /// Seconds of ttl, grace and keep.
    pub times: Option<[f64; 3]>,
    pub bytes: Bytes,
    pub timestamps: Vec<Timestamp<'g>>,
    /// The transaction that takes its place: after a restart or a retry.
    pub successor: Option<u64>,
}

/// Bytes that went over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    pub request_header: u64,
    pub request_body: u64,
    pub response_header: u64,
    pub response_body: u64,
}

impl<'g> Reading<'g> {
    pub fn of(transaction: Transaction<'g>, parts: &Parts) -> Reading<'g> {
        let mut reading = Reading::empty(transaction.head);
        // A response begins anew with a protocol that a status follows; VCL can set each of them alone.
        let mut may_begin = false;
        for record in transaction.records() {
            let Some(part) = parts.of(record.tag) else { continue };
            if part == Part::Status && may_begin {
                reading.response.clear();
            }
            may_begin = part == Part::ResponseProtocol;
            reading.take(part, record.text);
        }
        reading
    }

    fn empty(head: Head) -> Reading<'g> {
        Reading {
            head,
            begin: None,
            method: b"",
            url: None,
            protocol: b"",
            request: Vec::new(),
            status: None,
            reason: b"",
            response: Vec::new(),
            client: b"",
            listener: b"",
            vcl: b"",
            call: b"",
            has_failed: false,
            cache: "",
            backend: b"",
            endpoint: String::new(),
            storage: b"",
            times: None,
            bytes: Bytes::default(),
            timestamps: Vec::new(),
            successor: None,
        }
    }

    fn take(&mut self, part: Part, text: &'g [u8]) {
        match part {
            Part::Begin => self.begin = self.begin.or(Begin::parse(text)),
            // `req 9 restart`, `bereq 65537 retry`: in the form of a Begin.
            Part::Link => {
                let link = Begin::parse(text).filter(|link| matches!(link.reason, b"restart" | b"retry"));
                self.successor = link.map(|link| link.parent).or(self.successor);
            }
            Part::Timestamp if self.timestamps.len() < MAX_TIMESTAMPS => self.timestamps.extend(Timestamp::parse(text)),
            Part::Timestamp => {}
            Part::Method => self.method = text,
            Part::Url => self.url = Some(text),
            Part::Protocol => self.protocol = if is_protocol(text) { text } else { b"" },
            Part::RequestHeader => self.request.push(text),
            Part::RequestUnset => unset(&mut self.request, text),
            Part::ResponseProtocol => {}
            Part::Status => self.status = Some(text).filter(|text| text.iter().all(u8::is_ascii_digit)),
            Part::Reason => self.reason = text,
            Part::ResponseHeader => self.response.push(text),
            Part::ResponseUnset => unset(&mut self.response, text),
            Part::Client => {
                self.client = word(text, 0);
                self.listener = word(text, 2);
            }
            Part::Vcl => self.vcl = word(text, 0),
            Part::Call => self.called(text),
            Part::Backend => self.opened(text),
            Part::FetchError => self.failed(text),
            Part::Hit => self.times = seconds(text, 1),
            Part::HitMiss => self.cache = "hit-for-miss",
            Part::HitPass => self.cache = "hit-for-pass",
            // The last one is what VCL made of it.
            Part::Ttl => self.times = seconds(text, 1).or(self.times),
            Part::Storage => self.storage = word(text, 1),
            Part::Bytes => self.bytes = bytes(text),
        }
    }

    fn called(&mut self, sub: &'g [u8]) {
        self.call = sub;
        self.has_failed |= sub == b"BACKEND_ERROR";
        self.cache = match sub {
            b"HIT" => "hit",
            b"MISS" if self.cache != "hit-for-miss" => "miss",
            b"PASS" if self.cache != "hit-for-pass" => "pass",
            b"SYNTH" => "synth",
            b"PIPE" => "pipe",
            _ => self.cache,
        };
    }

    /// `fd name address port …`.
    fn opened(&mut self, text: &'g [u8]) {
        self.backend = backend_name(word(text, 1));
        let [address, port] = [2, 3].map(|at| String::from_utf8_lossy(word(text, at)));
        self.endpoint = if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
    }

    /// The transaction that this one came from; 0 if that is not known.
    pub fn parent(&self) -> u64 {
        let begun = self.begin.map(|begin| begin.parent);
        begun.filter(|parent| *parent != 0).unwrap_or(self.head.parent)
    }

    /// `backend name: why`, of one that was not reached.
    fn failed(&mut self, text: &'g [u8]) {
        let named = text.strip_prefix(b"backend ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
        if let Some(name) = named.and_then(|name| name.strip_suffix(b":")) {
            self.backend = backend_name(name);
            self.endpoint.clear();
        }
    }

    pub fn is_backend(&self) -> bool {
        self.head.kind == Kind::BackendRequest
    }

    /// Whether it is the last of those that took each other's place.
    pub fn is_last(&self) -> bool {
        self.successor.is_none()
    }

    /// When it ended, or got to what is known, in seconds since the epoch.
    pub fn ended(&self) -> Option<f64> {
        self.timestamps.last().map(|last| last.at)
    }

    /// The sub that was called last, as VCL spells it: `vcl_deliver`; empty if none was.
    pub fn sub(&self) -> Vec<u8> {
        if self.call.is_empty() { Vec::new() } else { [b"vcl_", &*self.call.to_ascii_lowercase()].concat() }
    }
}

/// Whether it is the name of a protocol; who makes a request may write anything there.
fn is_protocol(text: &[u8]) -> bool {
    let version = text.strip_prefix(b"HTTP/").unwrap_or_default();
    (1..=3).contains(&version.len()) && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// Takes away the line that was added last of those that are like it.
fn unset(lines: &mut Vec<&[u8]>, gone: &[u8]) {
    if let Some(at) = lines.iter().rposition(|line| *line == gone) {
        lines.remove(at);
    }
}

/// A backend without the VCL that it is of: a reload gives that another name.
pub fn backend_name(name: &[u8]) -> &[u8] {
    let at = name.iter().position(|byte| *byte == b'.').filter(|at| at + 1 < name.len());
    // `dyn(192.0.2.1:80)`: a dot in an address is none between names.
    let is_address = name.iter().position(|byte| *byte == b'(') < at;
    at.filter(|_| !is_address || !name.contains(&b'(')).and_then(|at| name.get(at + 1..)).unwrap_or(name)
}

/// The word of a text at `place`, counted from 0; empty if there are not so many.
pub fn word(text: &[u8], place: usize) -> &[u8] {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(place).unwrap_or_default()
}

/// The three numbers from the word `from` on.
fn seconds(text: &[u8], from: usize) -> Option<[f64; 3]> {
    let number = |place| std::str::from_utf8(word(text, place)).ok()?.parse().ok();
    Some([number(from)?, number(from + 1)?, number(from + 2)?])
}

/// `header body total header body total`; of a pipe, what went there and back.
fn bytes(text: &[u8]) -> Bytes {
    let number = |place| std::str::from_utf8(word(text, place)).ok().and_then(|word| word.parse().ok()).unwrap_or(0);
    Bytes { request_header: number(0), request_body: number(1), response_header: number(3), response_body: number(4) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sample::{group_of, groups, tags};

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_transaction_is_told_as_it_is_at_its_end() {
        let (groups, tags) = (groups(), tags());
        let parts = Parts::new(&tags);
        let all: Vec<_> =
            group_of(&groups, "/dead/x?token=abc").transactions().map(|one| Reading::of(one, &parts)).collect();
        let [client, backend] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (client.method, client.url, client.status),
            (&b"GET"[..], Some(&b"/dead/x?token=abc"[..]), Some(&b"503"[..]))
        );
        let request: Vec<_> = client.request.iter().map(|line| text(line)).collect();
        assert_eq!(
            request,
            [
                "Host: 127.0.0.1:18080",
                "User-Agent: curl/7.88.1",
                "Accept: */*",
                "Cookie: a=b; sid=s3cret",
                "X-Forwarded-For: 127.0.0.1",
                "X-Set: new"
            ]
        );
        assert_eq!((client.client, client.listener, client.vcl), (&b"127.0.0.1"[..], &b"a0"[..], &b"boot"[..]));
        assert_eq!((client.cache, text(&client.sub()), client.is_last()), ("pass", "vcl_deliver".to_owned(), true));
        assert_eq!(
            client.bytes,
            Bytes { request_header: 143, request_body: 0, response_header: 246, response_body: 278 }
        );
        assert_eq!(client.timestamps.len(), 5);
        assert_eq!(text(backend.backend), "dead", "it was not reached, but the error names it");
        assert!(backend.is_backend() && backend.has_failed && backend.status == Some(b"503"));
        assert_eq!(backend.begin.map(|begin| (begin.parent, begin.reason)), Some((5, &b"pass"[..])));
    }

    #[test]
    fn a_transaction_whose_place_is_taken_is_known_and_so_is_the_backend_of_one_that_had_it() {
        let (groups, tags) = (groups(), tags());
        let parts = Parts::new(&tags);
        let told = |url| {
            let of = |one: Reading<'_>| (one.head.vxid, one.successor, text(one.backend), one.endpoint);
            group_of(&groups, url).transactions().map(|one| of(Reading::of(one, &parts))).collect::<Vec<_>>()
        };
        let origin = ("origin".to_owned(), "127.0.0.1:18081".to_owned());
        let nowhere = (String::new(), String::new());
        let one = |vxid, successor, (backend, endpoint): &(String, String)| {
            (vxid, successor, backend.clone(), endpoint.clone())
        };
        assert_eq!(told("/restart"), [one(8, Some(9), &nowhere), one(9, None, &nowhere), one(10, None, &origin)]);
        let retried: Vec<_> = told("/retry").into_iter().map(|(vxid, successor, ..)| (vxid, successor)).collect();
        assert_eq!(retried, [(32_783, None), (32_784, Some(65_537)), (65_537, None)]);
    }

    #[test]
    fn a_response_of_vcls_own_has_nothing_of_the_one_before() {
        let tags = tags();
        let number = |name| tags.named(name).unwrap().0;
        let mut group = transaction::group::Group::default();
        group.begin(Head { kind: Kind::BackendRequest, ..Head::default() });
        for (name, text) in [
            ("BerespProtocol", "HTTP/1.1"),
            ("BerespStatus", "200"),
            ("BerespHeader", "X-One: 1"),
            ("BerespHeader", "X-One: 1"),
            ("BerespUnset", "X-One: 1"),
            ("BerespStatus", "500"),
            ("BerespProtocol", "HTTP/1.1"),
            ("BerespReason", "x"),
        ] {
            let side = transaction::group::Side::Backend;
            group.push(transaction::group::Record { tag: number(name), side, text: text.as_bytes() });
        }
        let first = Reading::of(group.root().unwrap(), &Parts::new(&tags));
        assert_eq!(
            (first.response.len(), first.status),
            (1, Some(&b"500"[..])),
            "a protocol alone, or a status, begins nothing"
        );
        for (name, text) in
            [("BerespProtocol", "HTTP/1.1"), ("BerespStatus", "503"), ("BerespHeader", "Server: Varnish")]
        {
            let side = transaction::group::Side::Backend;
            group.push(transaction::group::Record { tag: number(name), side, text: text.as_bytes() });
        }
        let second = Reading::of(group.root().unwrap(), &Parts::new(&tags));
        assert_eq!((&second.response[..], second.status), (&[&b"Server: Varnish"[..]][..], Some(&b"503"[..])));
    }

    #[test]
    fn a_backend_is_called_without_its_vcl() {
        for (name, told) in [
            ("origin", "origin"),
            ("boot.origin", "origin"),
            ("reload_20260101.origin", "origin"),
            ("dyn(192.0.2.1:80)", "dyn(192.0.2.1:80)"),
            ("boot.dyn(192.0.2.1:80)", "dyn(192.0.2.1:80)"),
            ("odd.", "odd."),
            ("", ""),
        ] {
            assert_eq!(text(backend_name(name.as_bytes())), told);
        }
    }

    #[test]
    fn what_is_cut_tells_what_it_tells() {
        for (part, texts) in [
            (Part::Backend, ["", "24", "24 origin", "24 origin ::1 80"]),
            (Part::Ttl, ["", "VCL", "VCL 2 60", "VCL 2 x 0"]),
            (Part::Bytes, ["", "1", "1 2 3 4", "x y z"]),
            (Part::Client, ["", "192.0.2.1", "192.0.2.1 80", "\u{fc} \u{fc} \u{fc}"]),
            (Part::Link, ["", "req", "req 9", "req x restart"]),
            (Part::Protocol, ["HTTP", "HTTP/", "HTTP/1.1 x", "HTTP/abc"]),
        ] {
            for text in texts {
                let mut reading = Reading::empty(Head::default());
                reading.take(part, text.as_bytes());
                assert_eq!((reading.times, reading.successor, reading.protocol), (None, None, &b""[..]), "{text}");
            }
        }
        let mut reading = Reading::empty(Head::default());
        reading.take(Part::Backend, b"24 origin ::1 80 ::1 5 connect");
        assert_eq!(reading.endpoint, "[::1]:80");
    }
}
