// SPDX-License-Identifier: BSD-2-Clause
//! The head of what is posted at the tunnel: whoever gets into a project has named its key and nothing that differs, and of what he says of himself only what is one line goes on, but no address.
#![no_main]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use delivery::shared::Shared;
use fuzz::body::has;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part};
use protocol::reason::Reason;
use protocol::request_headers::HeaderName;
use tunnel::answer::Outcome;
use tunnel::request::Request;
use tunnel::settings::{Arguments, Settings};
use tunnel::{Moment, Sink, Tunnel};

/// Keys and projects of the list, and of nobody.
const KEYS: [&str; 4] = ["0123abcd", "4567ef01", "0123abc", "0123abcd4567ef01"];
const PROJECTS: [&str; 4] = ["42", "43", "4", "042"];
const CLIENT: &str = "192.0.2.1";

#[derive(Default)]
struct Taken(Vec<Box<dyn Entry>>);

impl Sink for Taken {
    fn enqueue(&mut self, entry: Box<dyn Entry>) -> Result<(), Reason> {
        self.0.push(entry);
        Ok(())
    }

    fn refuse(&mut self, _: &Arc<Dsn>, _: &[Part], _: Reason) {}
}

fn key(input: &mut Bytes<'_>) -> String {
    let key = input.pick(&KEYS);
    // `k` may be written as `%6b`.
    let which = input.byte();
    let escape = |(at, c): (usize, char)| {
        if which >> (at % 8) & 1 == 1 && which > 200 { format!("%{:02x}", u32::from(c)) } else { c.to_string() }
    };
    key.chars().enumerate().map(escape).collect()
}

fn url(input: &mut Bytes<'_>) -> Vec<u8> {
    let mut url = Vec::new();
    while !input.is_empty() {
        match input.byte() % 16 {
            0..4 => url.extend_from_slice(
                input.pick(&["/api/", "/envelope/", "/store/", "/security/", "/t", "//", "?", "&", "#"]).as_bytes(),
            ),
            4..6 => url.extend_from_slice(input.pick(&PROJECTS).as_bytes()),
            6..10 => url.extend_from_slice(
                format!("{}sentry_key={}", input.pick(&["?", "&", "", "&amp;", ";"]), key(input)).as_bytes(),
            ),
            10 => url.extend_from_slice(
                input.pick(&["sentry_data=e30", "sentry_key", "=", "%", "sentry%5fkey="]).as_bytes(),
            ),
            11 => url.extend_from_slice(&input.text()),
            _ => break,
        }
    }
    url
}

fn auth(input: &mut Bytes<'_>) -> Option<Vec<u8>> {
    let scheme = input.pick(&["", "Sentry ", "sentry\t", "Basic ", "Sentry"]);
    let mut auth = scheme.as_bytes().to_vec();
    for _ in 0..input.byte() % 4 {
        match input.byte() % 4 {
            0..2 => auth.extend_from_slice(format!("sentry_key={},", input.pick(&KEYS)).as_bytes()),
            2 => auth.extend_from_slice(b" sentry_version=7, "),
            _ => auth.extend_from_slice(&input.text()),
        }
    }
    (!auth.is_empty()).then_some(auth)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let hex = text
            .get(at + 1..at + 3)
            .and_then(|digits| str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.filter(|_| text[at] == b'%').map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let method = input.pick(&["POST", "POST", "POST", "GET", "PUT", "post"]);
    let length = input.pick(&[None, Some(0), Some(2), Some(1 << 20), Some(u64::MAX)]);
    let client: Option<IpAddr> = input.pick(&[CLIENT, ""]).parse().ok();
    let (sentry_auth, authorization) = (auth(&mut input), auth(&mut input));
    let texts: [Vec<u8>; 3] = std::array::from_fn(|_| input.text());
    let has_text = input.byte();
    let of = |at: usize| (has_text >> at & 1 == 1).then_some(&*texts[at]);
    let (body, ip) = (
        input.pick(&[
            "{}\n{\"type\":\"session\"}\n{}",
            "{\"dsn\":\"https://0123abcd@evil/42\"}\n{\"type\":\"session\"}\n{}",
            "{}",
        ]),
        input.flag(),
    );
    let url = url(&mut input);

    let start = Instant::now();
    let client_ip = if ip { tunnel::settings::ClientIp::Send } else { tunnel::settings::ClientIp::None };
    let arguments = Arguments {
        dsns: "https://0123abcd@h/42, https://4567ef01@h/43",
        max_body: 64 << 10,
        client_ip,
        ..Arguments::default()
    };
    let shared = Shared::new(start);
    let tunnel = Tunnel::new(Settings::new(&arguments).unwrap(), || 7, &|dsn| shared.destination(dsn, start), start);
    let request = Request {
        method: method.as_bytes(),
        url: &url,
        content_length: length,
        content_type: None,
        content_encoding: None,
        sentry_auth: sentry_auth.as_deref(),
        authorization: authorization.as_deref(),
        origin: of(0),
        referer: of(1),
        user_agent: of(2),
        client,
    };
    let mut taken = Taken::default();
    let at = Moment { now: start + Duration::from_secs(1), wall: UNIX_EPOCH };
    let answer = match tunnel.admit(&request, at.now) {
        Err(answer) => answer,
        Ok(ticket) => {
            assert!(method == "POST" || method == "GET" && has(&url, "sentry_data="));
            assert!(length.is_none_or(|length| length <= 64 << 10));
            ticket.accept(Ok(body.as_bytes().to_vec()), at, &mut taken)
        }
    };
    assert_eq!(tunnel.reading(), 0);
    assert_eq!(taken.0.len(), usize::from(answer.outcome() == Outcome::Processed));
    let said = answer.result();
    assert!(said.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && said.len() <= 1000, "{said}");
    for entry in &taken.0 {
        let dsn = entry.dsn().expect("a destination");
        let (key, project) = (dsn.public_key(), dsn.project());
        assert!([("0123abcd", "42"), ("4567ef01", "43")].contains(&(key, project)));
        // Whoever names it names it somewhere, and none of the others there.
        let query = url.iter().position(|byte| *byte == b'?').map(|at| decoded(&url[at..])).unwrap_or_default();
        let named = |key: &str| {
            let field = format!("sentry_key={key}");
            let heads =
                [&query, sentry_auth.as_deref().unwrap_or_default(), authorization.as_deref().unwrap_or_default()];
            heads.iter().any(|head| has(head, &field)) || has(body.as_bytes(), &format!("//{key}@"))
        };
        assert!(named(key), "{key}");
        if has(body.as_bytes(), "dsn") {
            assert_eq!(key, "0123abcd");
        }
        for (name, value) in entry.headers().into_iter().flat_map(|headers| headers.iter()) {
            assert!(
                !value.is_empty() && value.len() <= 1024 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            );
            match name {
                HeaderName::ForwardedFor => assert!(ip && client.is_some() && value == CLIENT),
                HeaderName::Origin => assert!(of(0).is_some_and(|text| has(text, value))),
                HeaderName::Referer => assert!(of(1).is_some_and(|text| has(text, value))),
                HeaderName::UserAgent => assert!(of(2).is_some_and(|text| has(text, value))),
            }
        }
    }
});
