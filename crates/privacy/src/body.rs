// SPDX-License-Identifier: BSD-2-Clause
//! A request's body as it may leave: forms and JSON without the values of sensitive names, all else by its
//! length alone.
//!
//! What a body is said to be and what it is differ often enough (`curl -d '{…}'` sends a form), so whatever
//! does not read as what it should be is hidden rather than passed.

use std::borrow::Cow;

use protocol::percent;

use crate::half::ends_in_half;
use crate::json::Json;
use crate::scrub::Scrub;
use crate::secret::{FILTERED, hide, split_pair};
use crate::syntax::MAX_DEPTH;

/// What a cut body ends in.
const MARK: &[u8] = b"...";

/// What is known of a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body<'a> {
    /// Its first bytes.
    pub bytes: &'a [u8],
    /// How long all of it is.
    pub len: u64,
    /// The headers `Content-Type` and `Content-Encoding`, empty without.
    pub content_type: &'a [u8],
    pub content_encoding: &'a [u8],
}

impl Scrub<'_> {
    /// The body as it may leave.
    pub fn body(self, body: Body<'_>) -> Vec<u8> {
        let cut = body.len > body.bytes.len() as u64;
        let is_encoded = !body.content_encoding.is_empty() && !body.content_encoding.eq_ignore_ascii_case(b"identity");
        let media_type = body.content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |known: &[u8]| media_type.eq_ignore_ascii_case(known);
        let is_form = is(b"application/x-www-form-urlencoded");
        let is_json = is(b"application/json") || is(b"text/json") || ends_in_json(media_type);
        let mut out = match body.bytes {
            bytes
                if is_encoded || !is_form && !is_json || bytes.contains(&0) || is_json && self.privacy.allowed_only =>
            {
                return format!("[{} bytes]", body.len).into_bytes();
            }
            bytes if is_json || begins_as_json(bytes) => Json::new(self, bytes, 0).scrubbed().into_owned(),
            bytes => self.form(bytes, cut),
        };
        // A name in one field, and its value in another.
        if let Cow::Owned(left) = self.text_at(&out, false) {
            out = left;
        }
        if cut {
            out.extend_from_slice(MARK);
        }
        out
    }

    /// A form's pairs. What is no pair, or holds what a form would have encoded, is not read but hidden.
    fn form(self, form: &[u8], cut: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(form.len());
        let last = form.iter().filter(|byte| **byte == b'&').count();
        for (index, piece) in form.split(|byte| *byte == b'&').enumerate() {
            if index > 0 {
                out.push(b'&');
            }
            match split_pair(piece) {
                Some((name, _)) if name.iter().any(is_foreign) => out.extend_from_slice(FILTERED),
                Some((_, b"")) => out.extend_from_slice(piece),
                Some((name, value))
                    if self.hides_field(name)
                        || value.iter().any(is_foreign)
                        || self.hides_value(value)
                        || cut && index == last && ends_in_half(value) =>
                {
                    if !value.iter().any(is_foreign) {
                        self.take_secret(value);
                    }
                    hide(name, &mut out);
                }
                None if !piece.is_empty() => out.extend_from_slice(FILTERED),
                _ => out.extend_from_slice(piece),
            }
        }
        out
    }

    /// Whether an encoded value is a secret by its looks, or has one in it. What is encoded too deep is one.
    fn hides_value(self, value: &[u8]) -> bool {
        if self.carries_secret(value) {
            return true;
        }
        let mut decoded = Cow::Borrowed(value);
        for depth in 0..=MAX_DEPTH {
            if self.hides_json(&decoded, depth) {
                return true;
            }
            let Cow::Owned(deeper) = percent::decode(&decoded) else { return false };
            decoded = Cow::Owned(deeper);
        }
        true
    }

    /// Whether a text within JSON has something to hide.
    pub(crate) fn hides_text(self, text: &[u8], depth: usize) -> bool {
        self.carries_secret(text) || self.hides_json(text, depth)
    }

    /// Whether `text` is JSON with something to hide. What is in others too deep is.
    fn hides_json(self, text: &[u8], depth: usize) -> bool {
        begins_as_json(text)
            && (depth == MAX_DEPTH || matches!(Json::new(self, text, depth + 1).scrubbed(), Cow::Owned(_)))
    }
}

fn ends_in_json(media_type: &[u8]) -> bool {
    media_type.last_chunk::<5>().is_some_and(|end| end.eq_ignore_ascii_case(b"+json"))
}

/// A bracket alone does not make it JSON: `[warning] disk full`.
fn begins_as_json(text: &[u8]) -> bool {
    let Some((bracket, rest)) = text.trim_ascii_start().split_first() else { return false };
    let rest = rest.trim_ascii_start();
    match (bracket, rest.first()) {
        (b'{', Some(b'"' | b'}') | None) | (b'[', Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9') | None) => true,
        (b'[', _) => [&b"true"[..], b"false", b"null"].into_iter().any(|word| rest.starts_with(word)),
        _ => false,
    }
}

/// Whether a form would have encoded `byte`, or a sloppy one at least those that say it is none.
fn is_foreign(byte: &u8) -> bool {
    byte.is_ascii_control() || b"\"<>{}\\".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content_type: &str, bytes: &str) -> String {
        let content_type = content_type.as_bytes();
        let body = Body { bytes: bytes.as_bytes(), len: bytes.len() as u64, content_type, content_encoding: b"" };
        String::from_utf8(Scrub::new(false).body(body)).unwrap()
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[test]
    fn sensitive_fields_of_a_form_are_hidden() {
        for (whole, kept) in [
            ("name=ada&password=s3cr3t&page=2", "name=ada&password=[Filtered]&page=2"),
            ("user%5BPassword%5D=s3&x=a+b%21&token=", "user%5BPassword%5D=[Filtered]&x=a+b%21&token="),
            ("next=%2Flogin%3Ftoken%3Ds3&a=b", "next=[Filtered]&a=b"),
            ("data=%7B%22token%22%3A%22s3%22%7D&a=%7B%22b%22%3A1%7D", "data=[Filtered]&a=%7B%22b%22%3A1%7D"),
            ("data=%257B%2522token%2522%253A%2522s3%2522%257D", "data=[Filtered]"),
            ("data=%7B+%22token%22+%3A+%22s3%22+%7D", "data=[Filtered]"),
            ("a=Bearer+s3&b=eyJhbGciOi.eyJzdWIiOi.c2ln", "a=[Filtered]&b=[Filtered]"),
            // Said to be forms.
            ("s3cr3t", "[Filtered]"),
            ("a=1&s3cr3t&&b=2", "a=1&[Filtered]&&b=2"),
            ("a=1\r\npassword: s3cr3t", "a=[Filtered]"),
            ("<a href=\"x\">s3cr3t</a>", "[Filtered]"),
            ("x=<password>s3cr3t</password>", "x=[Filtered]"),
            (" {\"token\":\"s3\",\"a\":1}", " {\"token\":\"[Filtered]\",\"a\":1}"),
            ("a=1&name=password&value=s3&b=2", "a=1&name=password&value=[Filtered]&b=2"),
            ("value=s3&name=my%20token", "value=[Filtered]&name=my%20token"),
        ] {
            assert_eq!(body(FORM, whole), kept);
        }
    }

    #[test]
    fn sensitive_values_of_json_are_hidden_and_the_rest_stays_as_it_came() {
        for (whole, kept) in [
            (r#"{"a": 1.50, "b": [true, null, "x"], "c": {}}"#, r#"{"a": 1.50, "b": [true, null, "x"], "c": {}}"#),
            (r#"{"password" : "s\"3", "a":"b"}"#, r#"{"password" : "[Filtered]", "a":"b"}"#),
            (r#"{"auth":{"user":["s3","}"]},"a":-1e9}"#, r#"{"auth":"[Filtered]","a":-1e9}"#),
            (r#"[{"token":12345},{"to\u006ben":null}]"#, r#"[{"token":"[Filtered]"},{"to\u006ben":"[Filtered]"}]"#),
            (r#"{"url":"https:\/\/h\/?token=s3","b":"https://u:s3@h/"}"#, r#"{"url":"[Filtered]","b":"[Filtered]"}"#),
            (r#"{"a":"Bearer s3"}"#, r#"{"a":"[Filtered]"}"#),
            (r#"{"a":"{\"token\":\"s3\"}","b":"{\"c\":1}"}"#, r#"{"a":"[Filtered]","b":"{\"c\":1}"}"#),
            (r#"{"a":"[warning] full","b":"[true,\"token=s3\"]"}"#, r#"{"a":"[warning] full","b":"[Filtered]"}"#),
            (r#""just a text""#, r#""just a text""#),
            (
                r#"[{"name":"lang","value":"de"},{"name":"password","value":"s3"}]"#,
                r#"[{"name":"lang","value":"de"},{[Filtered]}]"#,
            ),
            (r#"{"a":["password","s3"]}"#, r#"{"a":["password","[Filtered]"]}"#),
        ] {
            assert_eq!(body("application/json", whole), kept);
            assert_eq!(body("Application/Problem+JSON", whole), kept);
        }
    }

    #[test]
    fn from_where_it_is_no_json_on_the_rest_is_hidden() {
        for (whole, kept) in [
            ("token=s3", "[Filtered]"),
            ("{token: 's3'}", "{[Filtered]"),
            (r#"{"a":1} {"b":"s3"}"#, r#"{"a":1} [Filtered]"#),
            (r#"{"a":1] "s3""#, r#"{"a":1[Filtered]"#),
            (r#"{"a":'s3'}"#, r#"{"a":[Filtered]"#),
            (r#"{"token":s3 s3,"b":1}"#, r#"{"token":"[Filtered]" [Filtered]"#),
            (r#"{"a" "s3"}"#, r#"{"a" [Filtered]"#),
            ("]s3", "[Filtered]"),
        ] {
            assert_eq!(body("application/json", whole), kept);
        }
    }

    #[test]
    fn a_cut_body_says_so_and_hides_the_same() {
        let cut = |content_type: &str, bytes: &str| {
            let (bytes, content_type) = (bytes.as_bytes(), content_type.as_bytes());
            let body = Body { bytes, len: 1_000_000, content_type, content_encoding: b"" };
            String::from_utf8(Scrub::new(false).body(body)).unwrap()
        };
        let json = r#"{"name":"ada","token":{"a":["s3"],"b":2},"next":"eyJhbGciOi.eyJzdWIiOi.c2ln","z":[tru"#;
        for end in 0..=json.len() {
            let kept = cut("application/json", &json[..end]);
            assert!(kept.ends_with("...") && !kept.contains("s3") && !kept.contains("eyJh"), "{kept}");
        }
        assert_eq!(
            cut("application/json", json),
            r#"{"name":"ada","token":"[Filtered]","next":"[Filtered]","z":[tru..."#
        );
        assert_eq!(cut(FORM, "a=1&password=s3"), "a=1&password=[Filtered]...");
    }

    #[test]
    fn half_a_secret_at_the_end_of_a_cut_body_is_hidden() {
        let cut = |content_type: &str, text: &str| {
            let (bytes, content_type) = (text.as_bytes(), content_type.as_bytes());
            let body = Body { bytes, len: 1_000_000, content_type, content_encoding: b"" };
            String::from_utf8(Scrub::new(false).body(body)).unwrap()
        };
        for value in [
            "eyJhbGciOi",
            "eyJhbGciOi.eyJzdW",
            "https://ada:s3",
            "/a?next=//ada:s3",
            "/a?b=c&d=eyJhbGciOi",
            "https%3A%2F%2Fada%3As3",
            "%2565yJhbGciOi.eyJ",
        ] {
            let form = format!("a={value}").replace('&', "%26");
            assert_eq!(cut(FORM, &form), "a=[Filtered]...", "{form}");
            assert_eq!(cut("application/json", &format!("{{\"a\":\"{value}")), "{\"a\":\"[Filtered]\"...", "{value}");
        }
        for value in ["eyJhbGciOi!", "https://h:8080", "https://h/a:s", "ada:b"] {
            let (form, json) = (format!("a={value}"), format!("{{\"a\":\"{value}"));
            assert_eq!(cut(FORM, &form), form.clone() + "...");
            assert_eq!(cut("application/json", &json), json.clone() + "...");
            // Not at the end.
            assert_eq!(cut(FORM, "a=https%3A%2F%2Fada%3As&b="), "a=https%3A%2F%2Fada%3As&b=...");
        }
        assert_eq!(body(FORM, "a=eyJhbGciOi"), "a=eyJhbGciOi");
    }

    #[test]
    fn any_other_body_is_told_by_its_length() {
        for content_type in ["", "text/plain", "multipart/form-data; boundary=x", "application/octet-stream"] {
            assert_eq!(body(content_type, "a=secret"), "[8 bytes]");
        }
        assert_eq!(body("application/json", "\"a\0\""), "[4 bytes]");
        let (content_type, content_encoding) = (&b"application/json"[..], &b"gzip"[..]);
        let packed = Body { bytes: b"{}", len: 9, content_type, content_encoding };
        assert_eq!(Scrub::new(false).body(packed), b"[9 bytes]");
    }
}
