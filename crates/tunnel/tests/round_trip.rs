// SPDX-License-Identifier: BSD-2-Clause
//! Envelopes of every kind that SDKs write: what goes in comes out, byte for byte.

mod fixture;

use std::thread;

use fixture::World;
use proptest::prelude::*;
use protocol::category::Categories;
use serde_json::{Map, Value};

/// An item as it is put into a body.
#[derive(Clone, Debug)]
struct Written {
    kind: String,
    attributes: Vec<(String, Value)>,
    payload: Vec<u8>,
    has_length: bool,
}

impl Written {
    fn header(&self) -> Map<String, Value> {
        let mut header: Map<String, Value> = self.attributes.iter().cloned().collect();
        header.insert("type".to_owned(), self.kind.clone().into());
        if self.has_length {
            header.insert("length".to_owned(), self.payload.len().into());
        }
        header
    }
}

fn item() -> impl Strategy<Value = Written> {
    let kind = "(event|transaction|attachment|session|log|replay_event|replay_recording|client_report|[a-z_]{1,8})";
    let attributes = prop::collection::vec(("(filename|content_type|x[a-z]{0,3})", value()), 0..3);
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[{}\"a-z:0-9\n]{0,60}".prop_map(String::into_bytes),
        value().prop_map(|value| value.to_string().into_bytes()),
    ];
    (kind, attributes, payload, any::<bool>()).prop_map(|(kind, attributes, payload, wants_length)| Written {
        // Without a length a payload ends with its line.
        has_length: wants_length || payload.contains(&b'\n'),
        kind,
        attributes,
        payload,
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<u32>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A header and a payload.
type Item = (Map<String, Value>, Vec<u8>);

/// Reads an envelope as Sentry's documentation has it, without any regard for cost. Panics at what is none.
fn strictly(mut body: &[u8]) -> (Map<String, Value>, Vec<Item>) {
    fn line<'b>(body: &mut &'b [u8]) -> &'b [u8] {
        let end = body.iter().position(|byte| *byte == b'\n').expect("a line end");
        let line = &body[..end];
        *body = &body[end + 1..];
        line
    }
    let header = serde_json::from_slice(line(&mut body)).expect("an envelope header");
    let mut items = Vec::new();
    while !body.is_empty() {
        let header: Map<String, Value> = serde_json::from_slice(line(&mut body)).expect("an item header");
        let payload = match header.get("length").and_then(Value::as_u64) {
            Some(length) => {
                let payload = body[..length as usize].to_vec();
                body = &body[length as usize..];
                assert!(line(&mut body).is_empty(), "a line end behind the payload");
                payload
            }
            None => line(&mut body).to_vec(),
        };
        items.push((header, payload));
    }
    (header, items)
}

proptest! {
    #[test]
    fn items_and_members_arrive_as_they_were_sent(
        members in prop::collection::vec(("(sdk|event_idx|[a-z\"\u{e4}]{1,4})", value()), 0..4),
        items in prop::collection::vec(item(), 1..8),
        blanks in prop::collection::vec(0..3_usize, 8),
        is_cut: bool,
    ) {
        let mut header: Map<String, Value> = members.into_iter().filter(|(name, _)| !["dsn", "trace"].contains(&name.as_str())).collect();
        header.insert("dsn".to_owned(), "https://k@elsewhere.example/42".into());
        let mut body = Value::Object(header.clone()).to_string().into_bytes();
        for (item, blanks) in items.iter().zip(blanks) {
            body.extend(std::iter::repeat_n(b'\n', blanks + 1));
            body.extend_from_slice(Value::Object(item.header()).to_string().as_bytes());
            body.push(b'\n');
            body.extend_from_slice(&item.payload);
        }
        if !is_cut {
            body.push(b'\n');
        }
        let mut world = World::new(|_| {});
        prop_assert_eq!(world.post("/t", &body), "processed");
        let (read_header, read_items) = strictly(&world.written_bytes(0, Categories::ALL));
        header.remove("dsn");
        prop_assert_eq!(read_header, header);
        let written: Vec<_> = items.iter().map(|item| (item.header(), item.payload.clone())).collect();
        prop_assert_eq!(read_items, written);
        let size = world.sink.entries[0].size();
        prop_assert!(size >= body.len() && size < 4 * body.len() + 3000, "{} for {}", size, body.len());
    }

    #[test]
    fn any_body_is_answered_and_what_is_taken_is_an_envelope(
        url in "(/t|/api/42/store/|/api/42/security/)\\?sentry_key=k",
        start in "(\\{\\}\n)?(\\{\"type\":\"[a-z]\"(,\"length\":[0-9]{1,2})?\\}\n)?",
        rest in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut world = World::new(|_| {});
        let body = [start.as_bytes(), &rest].concat();
        let result = world.post(&url, &body);
        prop_assert_eq!(result == "processed", world.sink.entries.len() == 1);
        if result == "processed" {
            let _ = strictly(&world.written_bytes(0, Categories::ALL));
        }
    }
}

#[test]
fn what_is_nested_deep_is_taken_on_a_workers_stack() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + "1" + &close.repeat(100_000);
    let events = [
        format!("{{\"extra\":{}}}", deep("[", "]")),
        format!("{{\"exception\":{}}}", deep("{\"values\":", "}")),
        format!("{{\"extra\":{{\"a\":{}}}}}", deep("{\"a\":[", "]}")),
        deep("[", "]"),
        "[".repeat(900_000),
    ];
    let work = move || {
        let mut world = World::new(|arguments| (arguments.throttle, arguments.max_body) = (1, 2 << 20));
        let mut results = Vec::new();
        for event in &events {
            // The third one has a number to tell, and looks for a place for it.
            results.push(world.event(event));
            results.push(world.event(event));
            world.wait(1);
            results.push(world.event(event));
            world.wait(1);
        }
        results.push(world.post("/api/42/store/?sentry_key=k", events[0].as_bytes()));
        results.push(world.post("/api/42/security/?sentry_key=k", events[2].as_bytes()));
        results.iter().filter(|result| *result == "processed").count()
    };
    let thread = thread::Builder::new().stack_size(48 << 10).spawn(work).unwrap();
    assert_eq!(thread.join().unwrap(), 12);
}
