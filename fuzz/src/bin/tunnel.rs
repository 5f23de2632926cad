// SPDX-License-Identifier: BSD-2-Clause
//! The tunnel: whatever is posted is answered; what is taken is an envelope for a reader of another make, with the items that were in it; and a number that is told in an event leaves
//! all else in it as it was.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use delivery::shared::Shared;
use fuzz::bytes::Bytes;
use fuzz::strict::{self, Envelope};
use libfuzzer_sys::fuzz_target;
use protocol::category::Categories;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Part, Scratch};
use protocol::reason::Reason;
use serde_json::Value;
use tunnel::answer::{Answer, Outcome};
use tunnel::request::Request;
use tunnel::settings::{Arguments, By, Settings};
use tunnel::{Moment, Sink, Tunnel};

const MAX_BODY: usize = 64 << 10;
const URLS: [&str; 6] = [
    "/t",
    "/api/42/envelope/",
    "/api/42/store/?sentry_key=k",
    "/api/42/security/?sentry_key=k&sentry_release=r%22",
    "/api/store/?sentry_key=k",
    "/t?sentry_key=k&sentry_key=k",
];

/// What came of the requests so far.
#[derive(Default)]
struct Taken {
    entries: Vec<Box<dyn Entry>>,
    refused: usize,
}

impl Sink for Taken {
    fn enqueue(&mut self, entry: Box<dyn Entry>) -> Result<(), Reason> {
        self.entries.push(entry);
        Ok(())
    }

    fn refuse(&mut self, dsn: &Arc<Dsn>, parts: &[Part], _: Reason) {
        assert!(dsn.project() == "42" && !parts.is_empty());
        self.refused += 1;
    }
}

fn tunnel(input: &mut Bytes<'_>, start: Instant) -> Tunnel {
    let arguments = Arguments {
        dsns: "https://k@h/42",
        throttle: 1,
        by: input.pick(&[By::Fingerprint, By::Url, By::None]),
        per_client: 0,
        max_rate: 0,
        max_body: MAX_BODY as i64,
        drop_items: input.pick(&["", "", "session", "event replay_event"]),
        ..Arguments::default()
    };
    let shared = Shared::new(start);
    let tunnel = Tunnel::new(Settings::new(&arguments).unwrap(), || 7, &|dsn| shared.destination(dsn, start), start);
    if input.flag() {
        tunnel.ignore_builtin();
    }
    tunnel
}

fn written(entry: &dyn Entry) -> Vec<u8> {
    let (mut scratch, mut envelope) = (Scratch::default(), Default::default());
    let context = &mut Context {
        dsn: entry.dsn().map(|dsn| &**dsn),
        wall: UNIX_EPOCH,
        may: Categories::ALL,
        scratch: &mut scratch,
    };
    entry.write(context, &mut envelope);
    let mut out = Vec::new();
    envelope.write_header(UNIX_EPOCH, &mut out);
    out.extend_from_slice(envelope.items());
    out
}

fn assert_answer(answer: &Answer, now: Instant) {
    let result = answer.result();
    assert!(result.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{result}");
    assert!([200, 400, 403, 405, 413, 429, 503].contains(&answer.status()));
    let body: Value = serde_json::from_slice(&answer.response()).expect("an answer of JSON");
    assert!(body.is_object() && answer.rate_limits(now).is_none());
}

/// What was sent on twice, before and after some of it was held back, is the same but for a number in its event.
fn assert_told(first: &Envelope, second: &Envelope) {
    assert_eq!(first.items.len(), second.items.len());
    let mut told = 0;
    for (before, after) in first.items.iter().zip(&second.items) {
        if before.payload == after.payload {
            assert_eq!(before.header, after.header);
            continue;
        }
        told += 1;
        assert_eq!(before.kind(), after.kind());
        // What was no JSON need not be any.
        if let Ok(was) = strict::object(&before.payload) {
            let mut is = strict::object(&after.payload).expect("JSON that was JSON before");
            let extra = is.get_mut("extra").and_then(Value::as_object_mut).expect("an object");
            assert_eq!(extra.remove("sentry.suppressed"), Some(Value::from(1)));
            let empty = extra.is_empty();
            if was.get("extra").is_none_or(Value::is_null) {
                assert!(empty);
                is.remove("extra");
            }
            let mut was = was;
            was.retain(|name, value| name != "extra" || !value.is_null());
            assert_eq!(was, is);
        }
    }
    assert!(told <= 1);
}

fuzz_target!(|input: &[u8]| {
    let start = Instant::now();
    let mut input = Bytes(input);
    let tunnel = tunnel(&mut input, start);
    let encoding = input.pick(&[None, None, None, Some("gzip"), Some("deflate"), Some("br"), Some("zstd")]);
    let request = Request {
        method: b"POST",
        url: input.pick(&URLS).as_bytes(),
        content_encoding: encoding.map(str::as_bytes),
        client: "192.0.2.1".parse().ok(),
        ..Request::default()
    };
    let body = input.0;
    let mut taken = Taken::default();
    // The second one is held back if it is throttled at all, and the third one tells.
    for after in [0, 0, 2] {
        let at = Moment { now: start + Duration::from_secs(after), wall: UNIX_EPOCH };
        let ticket = tunnel.admit(&request, at.now).unwrap_or_else(|answer| panic!("{}", answer.result()));
        let before = (taken.entries.len(), taken.refused);
        let answer = ticket.accept(Ok(body.to_vec()), at, &mut taken);
        assert_answer(&answer, at.now);
        match answer.outcome() {
            Outcome::Processed => assert_eq!(taken.entries.len(), before.0 + 1),
            Outcome::Refused(_) => assert_eq!((taken.entries.len(), taken.refused), before),
            _ => assert!(taken.entries.len() == before.0 && taken.refused > before.1),
        }
    }
    assert_eq!(tunnel.reading(), 0);
    let read: Result<Vec<Envelope>, _> = taken.entries.iter().map(|entry| strict::read(&written(&**entry))).collect();
    let sent = match read {
        Err(error) if strict::is_choosy(&error) => return,
        read => read.expect("envelopes"),
    };
    for (entry, envelope) in taken.entries.iter().zip(&sent) {
        assert!(entry.size() < 4 * MAX_BODY && !entry.parts().is_empty() && entry.parts().len() < 64);
        assert!(!envelope.header.contains_key("dsn"));
    }
    if let (Some(first), Some(last)) = (sent.first(), sent.last()) {
        assert_told(first, last);
        // What came as an envelope went on with each of its items, but for those that are dropped.
        if encoding.is_none() && !request.url.starts_with(b"/api/42/s") && !request.url.starts_with(b"/api/s") {
            let came = strict::read(body).expect("an envelope");
            let dropped = came.items.len() - first.items.len();
            assert!(dropped == 0 || taken.refused > 0);
            let mut rest = came.items.iter();
            assert!(first.items.iter().all(|item| rest.any(|other| other == item)), "in their order");
        }
    }
});
