// SPDX-License-Identifier: BSD-2-Clause
//! How many events of its key were held back, told in an event: `"extra": {"sentry.suppressed": 7}`, spliced into its bytes. All others stay as they are.

use std::ops::Range;

use crate::envelope::Item;
use crate::json::Cursor;

const NAME: &str = "sentry.suppressed";

/// Tells it in the item at `place`, whose payload is an event; `false` if that has no room for it: it is no object, or its `extra` is neither an object nor null. The places of the items in the body are
/// those after it.
pub fn tell(count: u64, body: &mut Vec<u8>, items: &mut [Item], place: usize) -> bool {
    let Some(item) = items.get(place).cloned() else { return false };
    let Some(payload) = body.get(item.payload.clone()) else { return false };
    let Some((at, text)) = splice(count, payload) else { return false };
    let grown = text.len() - at.len();
    let Some(header) = body.get(item.header.clone()) else { return false };
    let length = length(header).map(|at| (at, (payload.len() + grown).to_string()));
    let at = item.payload.start + at.start..item.payload.start + at.end;
    body.reserve(text.len() + 20);
    body.splice(at, text.bytes());
    let mut moved = 0;
    if let Some((at, text)) = length {
        moved = text.len() - at.len();
        body.splice(item.header.start + at.start..item.header.start + at.end, text.bytes());
    }
    let shift = |range: &mut Range<usize>, by: usize| *range = range.start + by..range.end + by;
    if let Some(own) = items.get_mut(place) {
        own.header.end += moved;
        shift(&mut own.payload, moved);
        own.payload.end += grown;
    }
    for later in items.iter_mut().skip(place + 1) {
        shift(&mut later.header, moved + grown);
        shift(&mut later.payload, moved + grown);
    }
    true
}

/// Which bytes of an event give way to which text, that is no shorter.
fn splice(count: u64, event: &[u8]) -> Option<(Range<usize>, String)> {
    let mut cursor = Cursor::new(event);
    if cursor.peek()? != b'{' {
        return None;
    }
    let begin = cursor.place() + 1;
    // To its end: there may be another one behind the first.
    let (mut extras, mut members) = (Vec::new(), 0_usize);
    cursor.members(|cursor, name| {
        members += 1;
        cursor.peek()?;
        let start = cursor.place();
        cursor.skip()?;
        if name.is("extra") {
            extras.push(start..cursor.place());
        }
        Some(())
    })?;
    let extra = match &extras[..] {
        [] => {
            let comma = if members > 0 { "," } else { "" };
            return Some((begin..begin, format!("\"extra\":{{\"{NAME}\":{count}}}{comma}")));
        }
        [extra] => extra.clone(),
        _ => return None,
    };
    let value = event.get(extra.clone())?;
    if value == b"null" {
        return Some((extra, format!("{{\"{NAME}\":{count}}}")));
    }
    in_object(count, value).map(|(at, text)| (extra.start + at.start..extra.start + at.end, text))
}

/// As [`splice`], of the object that `extra` is.
fn in_object(count: u64, object: &[u8]) -> Option<(Range<usize>, String)> {
    if !object.starts_with(b"{") {
        return None;
    }
    let (mut known, mut members) = (0_usize, 0_usize);
    Cursor::new(object).members(|cursor, name| {
        members += 1;
        known += usize::from(name.is(NAME));
        cursor.skip()
    })?;
    // Nobody else has that name. Whoever uses it all the same has said it already.
    if known > 0 {
        return None;
    }
    let comma = if members > 0 { "," } else { "" };
    Some((1..1, format!("\"{NAME}\":{count}{comma}")))
}

/// Where an item's header has the number that is its length, if it has one.
fn length(header: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    Cursor::new(header).members(|cursor, name| {
        cursor.peek()?;
        let start = cursor.place();
        cursor.skip()?;
        let at = start..cursor.place();
        if name.is("length") && header.get(at.clone()) != Some(b"null") {
            found = Some(at);
        }
        Some(())
    })?;
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::envelope::read;

    fn told(event: &str) -> Option<String> {
        let (at, text) = splice(7, event.as_bytes())?;
        let mut event = event.to_owned();
        event.replace_range(at, &text);
        Some(event)
    }

    #[test]
    fn the_number_goes_where_there_is_room_for_it_and_nothing_else_changes() {
        for (event, expected) in [
            ("{}", r#"{"extra":{"sentry.suppressed":7}}"#),
            (" { \"a\" : 1 } ", r#" {"extra":{"sentry.suppressed":7}, "a" : 1 } "#),
            (r#"{"extra":{}}"#, r#"{"extra":{"sentry.suppressed":7}}"#),
            (
                r#"{"a":[{"extra":1}],"extra": { "b":[1.50]} ,"c":"ä"}"#,
                r#"{"a":[{"extra":1}],"extra": {"sentry.suppressed":7, "b":[1.50]} ,"c":"ä"}"#,
            ),
            (r#"{"\u0065xtra":{}}"#, r#"{"\u0065xtra":{"sentry.suppressed":7}}"#),
            (r#"{"extra":null,"a":1}"#, r#"{"extra":{"sentry.suppressed":7},"a":1}"#),
            ("{\"extra\": null}\n", "{\"extra\": {\"sentry.suppressed\":7}}\n"),
        ] {
            assert_eq!(told(event).as_deref(), Some(expected), "{event}");
        }
        for event in [
            "",
            "[]",
            "7",
            "{",
            r#"{"extra":"x"}"#,
            r#"{"extra":[]}"#,
            r#"{"extra":7}"#,
            r#"{"extra":{},"extra":{}}"#,
            r#"{"extra":{"sentry.suppressed":1}}"#,
            r#"{"extra":{"sentry\u002esuppressed":1}}"#,
            r#"{"extra":{"a":1}"#,
        ] {
            assert_eq!(told(event), None, "{event}");
        }
    }

    #[test]
    fn the_item_says_its_new_length_and_the_others_are_where_they_are() {
        for (body, expected) in [
            (
                "{\"a\":1}\n{\"type\":\"session\"}\n{}\n{ \"length\" : 9 ,\"type\":\"event\",\"x\": {\"length\":9}}\n{\"a\":\n\"\"}\n{\"type\":\"attachment\",\"length\":3}\na\nb\n",
                "{\"a\":1}\n{\"type\":\"session\"}\n{}\n{ \"length\" : 41 ,\"type\":\"event\",\"x\": {\"length\":9}}\n{\"extra\":{\"sentry.suppressed\":7},\"a\":\n\"\"}\n{\"type\":\"attachment\",\"length\":3}\na\nb\n",
            ),
            (
                "{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"event\",\"length\":null}\n{}\n{\"type\":\"x\"}\ny\n",
                "{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"event\",\"length\":null}\n{\"extra\":{\"sentry.suppressed\":7}}\n{\"type\":\"x\"}\ny\n",
            ),
        ] {
            let mut bytes = body.as_bytes().to_vec();
            let mut items = read(&bytes).unwrap().items;
            assert!(tell(7, &mut bytes, &mut items, 1));
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
            assert_eq!(read(&bytes).unwrap().items, items);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,5}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("(extra|a|b|.{0,3})", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_json_is_the_same_json_and_the_number(event in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&event) } else { serde_json::to_string(&event) }.unwrap();
            let object = event.as_object();
            let extra = object.and_then(|event| event.get("extra"));
            let has_room = object.is_some() && extra.is_none_or(|extra| extra.is_null() || extra.is_object());
            match told(&text) {
                None => prop_assert!(!has_room),
                Some(told) => {
                    prop_assert!(has_room);
                    let mut told: Map<String, Value> = serde_json::from_str(&told).unwrap();
                    let extra = told.get_mut("extra").unwrap().as_object_mut().unwrap();
                    prop_assert_eq!(extra.remove(NAME), Some(Value::from(7)));
                    let mut before = object.unwrap().clone();
                    let entry = before.entry("extra").or_insert(Value::Null);
                    if entry.is_null() {
                        *entry = Value::Object(Map::new());
                    }
                    prop_assert_eq!(told, before);
                }
            }
        }
    }
}
