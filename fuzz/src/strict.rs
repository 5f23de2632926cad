// SPDX-License-Identifier: BSD-2-Clause
//! Envelopes as Sentry's documentation has them and Relay reads them, read with a parser for all of it and without any regard for cost.

use serde_json::{Map, Value};

/// An envelope, taken apart.
#[derive(Debug, PartialEq)]
pub struct Envelope {
    pub header: Map<String, Value>,
    pub items: Vec<Item>,
}

#[derive(Debug, PartialEq)]
pub struct Item {
    pub header: Map<String, Value>,
    pub payload: Vec<u8>,
}

impl Item {
    pub fn kind(&self) -> &str {
        self.header.get("type").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Whether it is only this parser that does not take it: JSON says nothing of how deep, how large or how paired.
pub fn is_choosy(error: &str) -> bool {
    ["recursion limit", "number out of range", "surrogate", "hex escape"].iter().any(|choice| error.contains(choice))
}

/// One JSON object.
pub fn object(json: &[u8]) -> Result<Map<String, Value>, String> {
    let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err("no object".to_owned()),
    }
}

/// Reads an envelope.
pub fn read(mut body: &[u8]) -> Result<Envelope, String> {
    let header = object(line(&mut body))?;
    let mut items = Vec::new();
    while !body.is_empty() {
        let line_of_header = line(&mut body);
        if line_of_header.is_empty() {
            continue;
        }
        let header = object(line_of_header)?;
        let length = match header.get("length") {
            None | Some(Value::Null) => None,
            Some(length) => Some(length.as_u64().ok_or("a length that is none")? as usize),
        };
        let payload = match length {
            None => line(&mut body).to_vec(),
            Some(length) => {
                let payload = body.get(..length).ok_or("short")?.to_vec();
                body = &body[length..];
                if !line(&mut body).is_empty() {
                    return Err("long".to_owned());
                }
                payload
            }
        };
        let item = Item { header, payload };
        if item.kind().is_empty() && item.header.get("type") != Some(&Value::from("")) {
            return Err("no type".to_owned());
        }
        items.push(item);
    }
    Ok(Envelope { header, items })
}

/// The first line, which is gone then.
fn line<'b>(body: &mut &'b [u8]) -> &'b [u8] {
    let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
    let (line, rest) = body.split_at(end);
    *body = rest.get(1..).unwrap_or_default();
    line
}
