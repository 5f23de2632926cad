// SPDX-License-Identifier: BSD-2-Clause
//! One event without an envelope: JSON, or what is packed by zlib and written in base64. It becomes an item of the type that it says.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::event_id::EventId;
use serde::Deserialize;

use crate::body::{Unpacked, unpack_zlib};

/// Why a body is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEvent {
    /// Neither JSON nor base64.
    Text,
    TooLarge,
    /// Not one JSON object, or an `event_id` or `type` that is none.
    Json,
}

/// What of an event its envelope has to say. All else is only looked at for whether it is JSON.
#[derive(Deserialize)]
struct Minimal<'e> {
    #[serde(default, borrow)]
    event_id: Option<Cow<'e, str>>,
    #[serde(default, rename = "type", borrow)]
    kind: Option<Cow<'e, str>>,
}

/// Makes an envelope of an event. `most` are the bytes that it may have unpacked; `id` is for one that has none.
pub fn envelope_of_event(body: Vec<u8>, most: usize, id: EventId) -> Result<Vec<u8>, BadEvent> {
    let json = unpack(body, most)?;
    // An array would do for serde.
    let is_object = json.trim_ascii_start().starts_with(b"{");
    let minimal: Minimal<'_> = serde_json::from_slice(&json).ok().filter(|_| is_object).ok_or(BadEvent::Json)?;
    let id = match &minimal.event_id {
        Some(text) => EventId::parse(text.as_bytes()).ok_or(BadEvent::Json)?,
        None => id,
    };
    let kind = match minimal.kind.as_deref() {
        Some("transaction") => "transaction",
        Some("feedback") => "feedback",
        Some("csp" | "hpkp" | "expectct" | "expectstaple") => "security",
        _ => "event",
    };
    let header = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"{kind}\",\"length\":{}}}\n", json.len());
    Ok([header.as_bytes(), &json, b"\n"].concat())
}

fn unpack(body: Vec<u8>, most: usize) -> Result<Vec<u8>, BadEvent> {
    if body.trim_ascii_start().starts_with(b"{") {
        return Ok(body);
    }
    // Where base64 stands in a query as it is, its plus signs have become spaces.
    let mut text = body.trim_ascii().to_vec();
    text.iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'+');
    let packed = STANDARD.decode(&text).map_err(|_| BadEvent::Text)?;
    if packed.starts_with(b"{") {
        return Ok(packed);
    }
    match unpack_zlib(&packed, most) {
        Unpacked::Whole(json) => Ok(json),
        Unpacked::TooLarge => Err(BadEvent::TooLarge),
        Unpacked::Broken => Err(BadEvent::Text),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn made(body: &[u8]) -> Result<String, BadEvent> {
        let made = envelope_of_event(body.to_vec(), 1000, EventId::from_random([0; 16]))?;
        Ok(String::from_utf8(made).unwrap())
    }

    #[test]
    fn an_event_becomes_an_item_byte_for_byte() {
        let json = " {\"event_id\":\"FC6D8C0C-43FC-4630-AD85-0EE518F1B9D0\", \"x\":[1.50]}\n";
        let envelope = format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n{json}\n", json.len());
        assert_eq!(made(json.as_bytes()), Ok(envelope.clone()));
        let packed = STANDARD.encode(zlib(json.as_bytes()));
        assert_eq!(made(packed.as_bytes()), Ok(envelope.clone()));
        assert_eq!(made(format!(" {}\n", packed.replace('+', " ")).as_bytes()), Ok(envelope));
        let plain = STANDARD.encode("{}");
        let new = "{\"event_id\":\"00000000000040008000000000000000\"}\n{\"type\":\"event\",\"length\":2}\n{}\n";
        assert_eq!((made(b"{}").as_deref(), made(plain.as_bytes()).as_deref()), (Ok(new), Ok(new)));
    }

    #[test]
    fn its_type_is_the_items() {
        for (kind, item) in [
            ("\"transaction\"", "transaction"),
            ("\"csp\"", "security"),
            ("\"feedback\"", "feedback"),
            ("\"error\"", "event"),
            ("null", "event"),
        ] {
            let envelope = made(format!("{{\"type\":{kind}}}").as_bytes()).unwrap();
            assert!(envelope.contains(&format!("\n{{\"type\":\"{item}\",")), "{kind}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let bomb = STANDARD.encode(zlib(format!("{{\"a\":\"{}\"}}", "x".repeat(2000)).as_bytes()));
        for (body, expected) in [
            (&b""[..], BadEvent::Text),
            (b"[]", BadEvent::Text),
            (b"\xff\xfe", BadEvent::Text),
            (b"aGVsbG8=", BadEvent::Text),
            (b"{\"a\":tru}", BadEvent::Json),
            (b"{}{}", BadEvent::Json),
            (b"{\"event_id\":\"x\"}", BadEvent::Json),
            (b"{\"event_id\":7}", BadEvent::Json),
            (b"{\"type\":[]}", BadEvent::Json),
            (bomb.as_bytes(), BadEvent::TooLarge),
        ] {
            assert_eq!(made(body), Err(expected), "{:?}", String::from_utf8_lossy(body));
        }
        assert_eq!(made(STANDARD.encode(zlib(b"[]")).as_bytes()), Err(BadEvent::Json));
    }

    #[test]
    fn deep_nesting_is_looked_at_on_a_small_stack() {
        let json = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let work = move || made_of(json.into_bytes());
        let made_of_it = std::thread::Builder::new().stack_size(48 << 10).spawn(work).unwrap().join().unwrap();
        assert!(made_of_it);
    }

    fn made_of(json: Vec<u8>) -> bool {
        envelope_of_event(json, 1 << 20, EventId::from_random([0; 16])).is_ok()
    }
}
