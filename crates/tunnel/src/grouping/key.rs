// SPDX-License-Identifier: BSD-2-Clause
//! What is throttled together, as a number.
//!
//! An event's own fingerprint; else the type of its exception and where it was thrown; else its message without what differs from one to the next. What says none of that has no key, and is its client's: there is never one
//! key for all that have none.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use protocol::event_id::EventId;

use super::fields::{Exception, Fields};
use super::report::Report;
use crate::json::Text;

/// Bytes of a text that tell it from others.
const LIMIT: usize = 512;

/// Makes keys. They mean something only to the one that made them.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    seed: u64,
}

/// What a key is about; no two kinds are ever alike.
#[derive(Clone, Copy, Hash)]
enum About {
    Fingerprint,
    Exception,
    Value,
    Message,
    Report,
    Page,
    Client,
}

impl Keys {
    pub fn new(seed: u64) -> Keys {
        Keys { seed }
    }

    /// The key of an event of a project; `None` if it says nothing that others would say, too.
    pub fn event(&self, project: &str, fields: &Fields<'_>) -> Option<u64> {
        let is_default = |part: &Text<'_>| part.is("{{ default }}") || part.is("{{default}}");
        let own = default_key(fields);
        if fields.fingerprint.iter().all(is_default) {
            return own.map(|own| self.key(project, own, |_| {}));
        }
        Some(self.key(project, Own { about: About::Fingerprint, key: 0 }, |hasher| {
            for part in &fields.fingerprint {
                if is_default(part) {
                    own.map(|own| own.key).hash(hasher);
                } else {
                    add(hasher, *part);
                }
            }
        }))
    }

    /// The key of a security report: what was violated, and whose doing it was.
    pub fn report(&self, project: &str, report: &Report<'_>) -> Option<u64> {
        if *report == Report::default() {
            return None;
        }
        Some(self.key(project, Own { about: About::Report, key: 0 }, |hasher| {
            let (directive, subject) = (report.directive.decoded(LIMIT), report.subject.decoded(LIMIT));
            directive.split(|byte| *byte == b' ').next().hash(hasher);
            origin(&subject).hash(hasher);
        }))
    }

    /// The key of all that comes from a page, whatever its query.
    pub fn page(&self, project: &str, url: &[u8]) -> Option<u64> {
        let page = page(url);
        let own = Own { about: About::Page, key: 0 };
        (!page.is_empty()).then(|| self.key(project, own, |hasher| page.hash(hasher)))
    }

    /// The key of a client in a project. Those whose address is not known have one together.
    pub fn client(&self, project: &str, client: Option<IpAddr>) -> u64 {
        self.key(project, Own { about: About::Client, key: 0 }, |hasher| client.map(network).hash(hasher))
    }

    /// A number for an id that looks like chance and is the same each time.
    pub fn chance(&self, id: EventId) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, id).hash(&mut hasher);
        hasher.finish()
    }

    fn key(&self, project: &str, own: Own, more: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, project, own).hash(&mut hasher);
        more(&mut hasher);
        hasher.finish()
    }
}

/// What an event has without a fingerprint.
#[derive(Clone, Copy, Hash)]
struct Own {
    about: About,
    key: u64,
}

fn default_key(fields: &Fields<'_>) -> Option<Own> {
    if let Some(own) = fields.exception.as_ref().and_then(thrown) {
        return Some(own);
    }
    let message = [fields.template, fields.message, fields.formatted].into_iter().find(|text| !text.is_empty())?;
    Some(own(About::Message, |hasher| {
        add_without_numbers(hasher, message);
        // Of a template all places are one, as in Sentry's grouping.
        if fields.template.is_empty() {
            add(hasher, fields.transaction);
        }
    }))
}

/// Type and place of an exception; without a place its type and what it says.
fn thrown(exception: &Exception<'_>) -> Option<Own> {
    if let Some(frame) = exception.frame {
        return Some(own(About::Exception, |hasher| {
            add(hasher, exception.kind);
            add(hasher, frame.module);
            page(&frame.file.decoded(LIMIT)).hash(hasher);
            add(hasher, frame.function);
            (frame.line, frame.column).hash(hasher);
        }));
    }
    if exception.kind.is_empty() && exception.value.is_empty() {
        return None;
    }
    Some(own(About::Value, |hasher| {
        add(hasher, exception.kind);
        add_without_numbers(hasher, exception.value);
    }))
}

fn own(about: About, more: impl FnOnce(&mut DefaultHasher)) -> Own {
    let mut hasher = DefaultHasher::new();
    more(&mut hasher);
    Own { about, key: hasher.finish() }
}

fn add(hasher: &mut DefaultHasher, text: Text<'_>) {
    text.decoded(LIMIT).hash(hasher);
}

/// Adds a text in which all numbers are one: ids and times make no new kind of error.
fn add_without_numbers(hasher: &mut DefaultHasher, text: Text<'_>) {
    let text = text.decoded(LIMIT);
    for piece in text.split(u8::is_ascii_digit).filter(|piece| !piece.is_empty()) {
        piece.hash(hasher);
    }
}

/// A URL without query and fragment.
fn page(url: &[u8]) -> &[u8] {
    let end = url.iter().position(|byte| matches!(byte, b'?' | b'#'));
    url.get(..end.unwrap_or(url.len())).unwrap_or(url)
}

/// Scheme and authority of a URL; what is none stays what it is.
fn origin(url: &[u8]) -> &[u8] {
    let start = memchr::memmem::find(url, b"://").map_or(url.len(), |at| at + 3);
    let end = url.iter().skip(start).position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    url.get(..end.map_or(url.len(), |end| start + end)).unwrap_or(url)
}

/// What one client can have of addresses: of IPv6 it is a /64.
fn network(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => address.to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(json: &str) -> Option<u64> {
        Keys::new(1).event("42", &Fields::read(json.as_bytes()))
    }

    /// All have a key; within a row they have one, and no two rows have the same.
    fn assert_groups(rows: &[&[&str]]) {
        let mut seen = Vec::new();
        for row in rows {
            let keys: Vec<_> = row.iter().map(|json| key(json).unwrap()).collect();
            assert!(keys.iter().all(|key| *key == keys[0]), "{row:?}");
            assert!(!seen.contains(&keys[0]), "{row:?}");
            seen.push(keys[0]);
        }
    }

    #[test]
    fn what_sentry_would_group_has_one_key() {
        let thrown = |kind: &str, frames: &str| {
            format!(
                r#"{{"exception":{{"values":[{{"type":"{kind}","value":"v","stacktrace":{{"frames":[{frames}]}}}}]}}}}"#
            )
        };
        let app = r#"{"function":"f","filename":"https://h/app.js?v=1","lineno":1,"colno":2,"in_app":true}"#;
        let same = r#"{"colno":2,"in_app":true,"function":"\u0066","lineno":1,"filename":"https://h/app.js?v=2"}"#;
        let lib = r#"{"function":"g","filename":"lib.js","in_app":false}"#;
        let other = app.replace("\"lineno\":1", "\"lineno\":3");
        let one = thrown("TypeError", app);
        let rows: &[&[&str]] = &[
            &[
                &one,
                &thrown("TypeError", same),
                &thrown("TypeError", &format!("{lib},{app},{lib}")),
                &one.replace("\"v\"", "\"w\""),
            ],
            &[&thrown("RangeError", app)],
            &[&thrown("TypeError", &other)],
            &[
                r#"{"exception":[{"type":"E","value":"row 17 of 3"}]}"#,
                r#"{"exception":[{"type":"E","value":"row 4 of 55"}]}"#,
            ],
            &[r#"{"exception":[{"type":"E","value":"row"}]}"#],
            &[r#"{"exception":[{"type":"E"}]}"#],
            &[
                r#"{"logentry":{"message":"user %s","formatted":"user a"}}"#,
                r#"{"logentry":{"message":"user %s","formatted":"user b"},"transaction":"/x"}"#,
            ],
            &[r#"{"message":"user 1","transaction":"/a"}"#, r#"{"message":"user 22","transaction":"/a"}"#],
            &[r#"{"message":"user 1","transaction":"/b"}"#],
            &[r#"{"fingerprint":["a","b"],"message":"x"}"#, r#"{"fingerprint":["\u0061","b"],"message":"y"}"#],
            &[r#"{"fingerprint":["ab"]}"#],
            &[r#"{"fingerprint":["b","a"]}"#],
            &[
                r#"{"fingerprint":["a","{{ default }}"],"message":"x"}"#,
                r#"{"fingerprint":["a","{{default}}"],"message":"x"}"#,
            ],
            &[r#"{"fingerprint":["a","{{ default }}"],"message":"y"}"#],
            &[
                r#"{"fingerprint":["{{ default }}"],"message":"z"}"#,
                r#"{"message":"z"}"#,
                r#"{"fingerprint":[],"message":"z"}"#,
            ],
        ];
        assert_groups(rows);
    }

    #[test]
    fn what_says_nothing_has_no_key_of_its_own() {
        for json in [
            "{}",
            r#"{"transaction":"/a","level":"error"}"#,
            r#"{"exception":[]}"#,
            r#"{"exception":[{}]}"#,
            r#"{"fingerprint":["{{ default }}"]}"#,
            "garbage",
        ] {
            assert_eq!(key(json), None, "{json}");
        }
        let keys = Keys::new(1);
        let client = |text: &str| keys.client("42", Some(text.parse().unwrap()));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_ne!(keys.client("42", None), client("::"));
    }

    #[test]
    fn projects_and_tunnels_share_no_key() {
        let fields = Fields::read(br#"{"message":"x"}"#);
        let (one, other) = (Keys::new(1), Keys::new(2));
        assert_ne!(one.event("42", &fields), one.event("43", &fields));
        assert_ne!(one.event("42", &fields), other.event("42", &fields));
        assert_ne!(one.client("42", None), one.client("43", None));
    }

    #[test]
    fn a_report_goes_by_what_was_violated_and_by_whom() {
        let keys = Keys::new(1);
        let key = |directive: &str, blocked: &str, page: &str| {
            let json = format!(
                r#"{{"csp-report":{{"violated-directive":"{directive}","blocked-uri":"{blocked}","document-uri":"{page}"}}}}"#
            );
            keys.report("42", &Report::read(json.as_bytes())).unwrap()
        };
        let one = key("img-src 'self'", "https://evil.example/a.gif?1", "https://a/1");
        assert_eq!(one, key("img-src *", "https://evil.example/b.gif", "https://a/2"));
        assert_ne!(one, key("img-src", "https://other.example/a.gif", "https://a/1"));
        assert_ne!(one, key("font-src", "https://evil.example/a.gif", "https://a/1"));
        assert_ne!(key("img-src", "inline", ""), key("img-src", "eval", ""));
        assert_eq!(keys.report("42", &Report::read(b"[]")), None);
    }

    #[test]
    fn a_page_is_one_whatever_its_query() {
        let keys = Keys::new(1);
        assert_eq!(keys.page("42", b"https://a/b?c#d"), keys.page("42", b"https://a/b"));
        assert_eq!(keys.page("42", b"https://a/b#d?"), keys.page("42", b"https://a/b"));
        assert_ne!(keys.page("42", b"https://a/b"), keys.page("42", b"https://a/c"));
        assert_eq!(keys.page("42", b"?c"), None);
    }
}
