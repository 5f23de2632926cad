// SPDX-License-Identifier: BSD-2-Clause
//! What is promised of every event, whatever it was made of: the form that Sentry takes, and no secret.
#![allow(dead_code)] // Each test binary, and the fuzz target, uses its own part.

use serde_json::Value;

pub mod wrap;

/// Words of names whose values never leave.
pub const SENSITIVE: [&str; 18] = [
    "auth",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "key",
    "jwt",
    "bearer",
    "sso",
    "saml",
    "csrf",
    "xsrf",
    "credentials",
    "session",
    "sid",
    "identity",
    "cookie",
];

/// A word that no sensitive name contains and no encoding changes.
pub const SECRET: &str = "hunter2hunter2";

/// `text` with some of its characters percent-encoded, those of `encoded` once and for all.
pub fn escaped(text: &str, which: u64, encoded: &str) -> String {
    let escape = |(at, c): (usize, char)| match c {
        c if c.is_ascii() && (encoded.contains(c) || which >> (at % 64) & 1 == 1) => format!("%{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().enumerate().map(escape).collect()
}

/// Every text of `json`, keys included.
pub fn texts(json: &Value) -> Vec<&str> {
    match json {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(map) => map.iter().flat_map(|(key, value)| [vec![&**key], texts(value)].concat()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => vec![],
    }
}

fn longer_than(json: &Value, limit: usize) -> bool {
    json.as_str().is_some_and(|text| text.chars().count() > limit)
}

fn sum(json: &Value) -> usize {
    texts(json).iter().map(|text| text.len()).sum()
}

/// Panics unless `event` is in a form and of a size that Sentry takes.
pub fn keeps_the_rules(event: &Value) {
    assert!(texts(event).iter().all(|text| !text.contains('\0')));
    for (path, limit) in [
        ("/logger", 64),
        ("/transaction", 200),
        ("/logentry/message", 8192),
        ("/logentry/formatted", 8192),
        ("/exception/values/0/type", 256),
        ("/exception/values/0/value", 8192),
        ("/request/url", 256),
        ("/request/query_string", 1000),
        ("/user/id", 128),
        ("/user/username", 128),
        ("/user/email", 75),
    ] {
        assert!(event.pointer(path).is_none_or(|value| !longer_than(value, limit)), "{}", path);
    }
    for (path, limit) in [("/logentry/params", 2048), ("/request/headers", 8192 + 2048)] {
        assert!(event.pointer(path).is_none_or(|value| sum(value) <= limit), "{}", path);
    }
    for (name, value) in event["tags"].as_object().into_iter().flatten() {
        let good = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        assert!(!name.is_empty() && name.len() <= 200 && name.chars().all(good), "{}", name);
        let value = value.as_str().unwrap_or_default();
        assert!(!value.trim().is_empty() && !value.contains('\n') && value.chars().count() <= 200);
    }
    for context in event["contexts"].as_object().into_iter().flat_map(|contexts| contexts.values()) {
        assert!(sum(context) <= 8192 && context.get("type").is_none());
    }
    assert!(event["extra"].as_object().is_none_or(|extra| extra.values().all(|value| !longer_than(value, 16_384))));
    assert!(sum(&event["extra"]) <= 262_144);
    assert!(event["fingerprint"].as_array().is_none_or(|parts| parts.iter().all(|part| !longer_than(part, 1024))));
    assert!(event["breadcrumbs"]["values"].as_array().is_none_or(|values| values.len() <= 100));
}
