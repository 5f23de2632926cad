// SPDX-License-Identifier: BSD-2-Clause
//! Traces and baggage: what came in is handed on as the same trace, and nothing that nobody said.
#![no_main]

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::error_event::Form;
use event::identity::Identity;
use event::payload::sampling_context;
use fuzz::body::Body;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::baggage;
use protocol::dsn::Dsn;
use protocol::event_id::EventId;
use protocol::sample_rand::SampleRand;
use protocol::trace::Trace;

/// Members that go into an event; more of them say no more.
const MAX_MEMBERS: usize = 200;
/// Bytes of a `baggage` header that everybody has to take (W3C Baggage, 3.3.2).
const MAX_HEADER: usize = 8192;

static CLIENT: LazyLock<(Dsn, Identity)> = LazyLock::new(|| {
    let dsn = Dsn::parse("https://key@o42.ingest.sentry.io/7").unwrap();
    (dsn, Identity::default().with_release("shop@1.0+2").unwrap())
});

fn random() -> impl FnMut() -> u64 {
    let mut next = 0;
    move || {
        next += 0x0123_4567_89ab_cdef_u64;
        next
    }
}

fn of(line: &str) -> Trace {
    Trace::of([line.as_bytes()].into_iter(), random())
}

fn is_id(text: &str, len: usize) -> bool {
    text.len() == len
        && text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
        && text.bytes().any(|digit| digit != b'0')
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    // Many are rare: they take their time.
    let times = match input.byte() {
        1 => 2,
        2 => 40,
        3 => 1500,
        _ => 1,
    };
    let lines = input.lines();
    // What goes far beyond a header says no more.
    let times = times.min(1 + 2 * MAX_HEADER / (input.0.len() + 1));
    let trace = Trace::of(lines.clone(), random());
    let all = String::from_utf8_lossy(input.0).to_ascii_lowercase();

    assert!(is_id(&trace.id(), 32) && is_id(&trace.span(), 16));
    if let Some(parent) = trace.parent() {
        assert!(all.contains(&format!("{}-{parent}", trace.id())));
    } else {
        assert!(!trace.is_continued() && &trace.id()[12..13] == "4");
    }
    for sampled in ["", "-0", "-1"] {
        let next = of(&format!("sentry-trace: {}-{}{sampled}", trace.id(), trace.span()));
        assert_eq!((next.id(), next.parent()), (trace.id(), Some(trace.span())));
        assert_eq!(next.sentry_trace(), format!("{}-{}{sampled}", trace.id(), next.span()));
    }
    let next = of(&format!("TraceParent:{}", trace.traceparent()));
    assert_eq!((next.id(), next.parent()), (trace.id(), Some(trace.span())));
    assert_eq!(next.sentry_trace().get(49..) == Some("-1"), trace.sentry_trace().get(49..) == Some("-1"));

    // More than fits into one header.
    let once = lines.clone();
    let lines = std::iter::repeat_n(lines, times).flatten();
    let (dsn, identity) = &*CLIENT;
    let begun = sampling_context::begun(&trace, dsn, identity);
    let header = baggage::header(&trace, lines.clone(), Some(&begun));
    assert!(header.len() <= MAX_HEADER);
    let line = [&b"baggage: "[..], &header].concat();
    let all: HashSet<_> = baggage::members(once).collect();
    for member in baggage::members([&*line].into_iter()) {
        let came = all.contains(member);
        let made = member
            .strip_prefix(b"sentry-sample_rand=")
            .is_some_and(|value| value.len() == 8 && str::from_utf8(value).is_ok_and(SampleRand::is_one));
        let is_own = !trace.is_continued() && baggage::is_sentrys(member) && member.is_ascii();
        assert!(came || made || is_own);
    }
    // The next one hands on the same.
    assert_eq!(baggage::header(&trace, [&*line].into_iter(), Some(&begun)), header);

    let mut fields = Fields::default();
    fields.put(Kind::Trace, b"http.server", &trace.to_bytes());
    let members = baggage::members(lines.clone()).take(MAX_MEMBERS).filter(|member| baggage::is_sentrys(member));
    members.for_each(|member| fields.put(Kind::Baggage, b"", member));
    let record = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, Arc::default(), fields);
    let body = Body::of(record, Form::default());
    let told = &body.event["contexts"]["trace"];
    assert_eq!(told["trace_id"], trace.id());
    assert_eq!(told["span_id"], trace.span());
    assert_eq!(told["parent_span_id"].as_str(), trace.parent().as_deref());
    match body.head["trace"].as_object() {
        Some(context) => {
            assert_eq!(context["trace_id"], trace.id());
            assert!(context.contains_key("public_key"));
            // None only where no value leads to the decision.
            let rand = context.get("sample_rand").map(|rand| rand.as_str().unwrap());
            assert!(rand.map_or(context.contains_key("sample_rate"), SampleRand::is_one));
            assert!(context.values().all(|value| value.as_str().is_some_and(|text| text.chars().count() <= 200)));
        }
        None => assert!(trace.is_continued()),
    }
});
