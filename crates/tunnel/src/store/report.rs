// SPDX-License-Identifier: BSD-2-Clause
//! A browser's security report: a CSP violation, most of all. It becomes an item `raw_security`, which Sentry makes an event of.

use std::borrow::Cow;

use protocol::event_id::EventId;
use protocol::text;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::request::Target;

/// Characters of a release or environment, at most.
const MAX_WORD: usize = 200;

/// Makes an envelope of a report; `None` for what is not one JSON object. The report's URL may say release and environment.
pub fn envelope_of_report(json: &[u8], target: &Target<'_>, id: EventId) -> Option<Vec<u8>> {
    let is_object = json.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice::<IgnoredAny>(json).ok().filter(|_| is_object)?;
    let mut header = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"raw_security\",\"length\":{}", json.len());
    for name in ["sentry_release", "sentry_environment"] {
        if let Some(value) = target.values(name).next() {
            let value: Cow<'_, str> = text::line(&value, MAX_WORD);
            header.push_str(&format!(",\"{name}\":{}", Value::from(value)));
        }
    }
    header.push_str("}\n");
    Some([header.as_bytes(), json, b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: &str, url: &str) -> Option<String> {
        let made = envelope_of_report(json.as_bytes(), &Target::of(url.as_bytes()), EventId::from_random([0; 16]))?;
        Some(String::from_utf8(made).unwrap())
    }

    #[test]
    fn a_report_becomes_an_item_byte_for_byte() {
        let json = "{\"csp-report\": {}}";
        let head = "{\"event_id\":\"00000000000040008000000000000000\"}\n{\"type\":\"raw_security\",\"length\":18";
        assert_eq!(made(json, "/api/1/security/?sentry_key=k"), Some(format!("{head}}}\n{json}\n")));
        let more = ",\"sentry_release\":\"shop@\\\"1 2\",\"sentry_environment\":\"prod\"";
        let url = "/api/1/security/?sentry_key=k&sentry_environment=prod&sentry_release=shop@%221%0a2&sentry_release=x";
        assert_eq!(made(json, url), Some(format!("{head}{more}}}\n{json}\n")));
    }

    #[test]
    fn what_is_no_object_is_none() {
        for json in ["", "[]", "[{}]", "7", "{", "{}x", "csp", "{\"a\":tru}"] {
            assert_eq!(made(json, "/api/1/security/"), None, "{json}");
        }
    }
}
