// SPDX-License-Identifier: BSD-2-Clause
//! The contexts of an event. Sentry checks two by their names and types, `trace` and `response`; all others
//! are taken as they come, within a size.

use std::borrow::Cow;
use std::collections::BTreeMap;

use protocol::text::{fit, line, line_of, text};
use protocol::trace::Trace;
use serde::Serialize;

use crate::capture::numbers::{Number, unpack};
use crate::payload::headers::{Headers, cost};

/// Bytes of one context, names and punctuation included.
const MAX_CONTEXT: usize = 8192;
/// Of them in `response`: what its headers, its numbers and a reason of characters of four bytes leave for the rest.
const MAX_RESPONSE: usize = 1700;
/// Limit for the headers of `response`.
pub(super) const MAX_RESPONSE_HEADERS: usize = 5600;
const MAX_NAME: usize = 200;

type Context<'a> = BTreeMap<Cow<'a, str>, Value<'a>>;

/// What a key may have.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Count(u64),
    /// What is no number (NaN) has no JSON but null.
    Real(f64),
    Headers(Headers<'a>),
    List(Vec<String>),
}

/// The contexts by name.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Contexts<'a>(BTreeMap<Cow<'a, str>, Context<'a>>);

impl<'a> Contexts<'a> {
    /// Sets one key; `path` is the context's name, NUL, the key.
    pub fn set(&mut self, path: &'a [u8], value: Value<'a>) {
        let Some(nul) = path.iter().position(|byte| *byte == 0) else { return };
        let (context, key) = path.split_at_checked(nul).unwrap_or_default();
        self.set_key(context, key.strip_prefix(b"\0").unwrap_or_default(), value);
    }

    /// Sets all numbers of a packed field that `keep` has, reals to three decimals: what is shown are seconds and milliseconds,
    /// of times that are known to the microsecond.
    pub fn set_numbers(&mut self, context: &'a [u8], packed: &'a [u8], keep: impl Fn(&[u8]) -> bool) {
        for (key, number) in unpack(packed).filter(|(key, _)| keep(key)) {
            let value = match number {
                Number::Count(count) => Value::Count(count),
                Number::Real(real) => Value::Real((real * 1e3).round() / 1e3),
            };
            self.set_key(context, key, value);
        }
    }

    fn set_key(&mut self, context: &'a [u8], key: &'a [u8], value: Value<'a>) {
        let mut key = line(key, MAX_NAME);
        if key == "type" {
            // Sentry would read the whole context as one of that type.
            key = Cow::Borrowed("type_");
        }
        self.0.entry(line(context, MAX_NAME)).or_default().insert(key, value);
    }

    pub fn set_text(&mut self, path: &'a [u8], value: &'a [u8]) {
        self.set(path, Value::Text(text(value, MAX_CONTEXT)));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes all contexts ones that Sentry takes; says how many values were left out for lack of room.
    pub fn finish(&mut self) -> usize {
        if self.0.get("trace").is_some_and(|trace| !is_trace(trace)) {
            self.0.remove("trace");
        }
        if let Some(trace) = self.0.get_mut("trace") {
            trace.retain(|key, value| match &**key {
                "trace_id" | "span_id" | "op" => true,
                "parent_span_id" => is_id(Some(value), 16),
                _ => false,
            });
        }
        if let Some(response) = self.0.get_mut("response") {
            response.retain(|key, value| match &**key {
                "headers" | "cookies" => false,
                "status_code" | "body_size" => matches!(value, Value::Int(0..)),
                _ => true,
            });
        }
        let shrink = |(name, context): (&Cow<'a, str>, &mut Context<'a>)| {
            // The server adds the name as `type`.
            let limit = if name == "response" { MAX_RESPONSE } else { MAX_CONTEXT };
            shrink(context, limit - cost("type", name))
        };
        let left_out = self.0.iter_mut().map(shrink).sum();
        self.0.retain(|_, context| !context.is_empty());
        left_out
    }

    /// Adds the task's trace; of what VCL has set, `op` stays, for the ids are also in the headers that went on.
    pub fn set_trace(&mut self, trace: &Trace, op: &'a [u8]) {
        let context = self.0.entry(Cow::Borrowed("trace")).or_default();
        context.retain(|key, _| key == "op");
        if !op.is_empty() {
            context.entry(Cow::Borrowed("op")).or_insert_with(|| Value::Text(line(op, MAX_NAME)));
        }
        let ids = [("trace_id", Some(trace.id())), ("span_id", Some(trace.span())), ("parent_span_id", trace.parent())];
        let ids = ids.into_iter().filter_map(|(key, id)| Some((Cow::Borrowed(key), Value::Text(Cow::Owned(id?)))));
        context.extend(ids);
    }

    /// Adds the response of the wire; wins over what VCL has set.
    pub fn set_response(
        &mut self,
        status: Option<u16>,
        reason: Cow<'a, [u8]>,
        body_size: Option<u64>,
        headers: Headers<'a>,
    ) {
        let reason = line_of(reason, MAX_NAME);
        if status.is_none() && reason.is_empty() && headers.is_empty() {
            return;
        }
        let response = self.0.entry(Cow::Borrowed("response")).or_default();
        response.extend(status.map(|status| (Cow::Borrowed("status_code"), Value::Int(status.into()))));
        response.extend(body_size.map(|size| (Cow::Borrowed("body_size"), Value::Count(size))));
        if !reason.is_empty() {
            response.insert(Cow::Borrowed("reason"), Value::Text(reason));
        }
        if !headers.is_empty() {
            response.insert(Cow::Borrowed("headers"), Value::Headers(headers.sorted()));
        }
    }
}

/// Cuts or takes out what is over `limit`; says how many were taken out.
fn shrink(context: &mut Context<'_>, limit: usize) -> usize {
    let before = context.len();
    let mut room = limit;
    context.retain(|key, value| {
        let Some(left) = room.checked_sub(cost(key, "")) else { return false };
        let size = match value {
            Value::Text(text) => match fit(std::mem::take(text), left) {
                Some(fitting) => {
                    *text = fitting;
                    text.len()
                }
                None => return false,
            },
            Value::Int(number) => digits(number.unsigned_abs()) + usize::from(*number < 0),
            Value::Count(number) => digits(*number),
            Value::Real(number) if number.is_finite() => number.to_string().len(),
            // Null; headers, which are added later, within a limit of their own; a list, which no context has.
            Value::Real(_) | Value::Headers(_) | Value::List(_) => 0,
        };
        room = left.saturating_sub(size);
        size <= left
    });
    before - context.len()
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |exponent| exponent as usize + 1)
}

/// Without both ids Sentry takes no `trace`.
fn is_trace(trace: &Context<'_>) -> bool {
    is_id(trace.get("trace_id"), 32) && is_id(trace.get("span_id"), 16)
}

fn is_id(value: Option<&Value<'_>>, digits: usize) -> bool {
    let Some(Value::Text(id)) = value else { return false };
    id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts<'a>(set: &[(&'a str, &'a str)]) -> Contexts<'a> {
        let mut contexts = Contexts::default();
        set.iter().for_each(|(path, value)| contexts.set_text(path.as_bytes(), value.as_bytes()));
        contexts
    }

    fn finished(set: &[(&str, &str)]) -> String {
        let mut contexts = contexts(set);
        contexts.finish();
        serde_json::to_string(&contexts).unwrap()
    }

    #[test]
    fn a_trace_without_both_ids_is_left_out_and_strange_keys_of_it_go() {
        let (trace, span) = ("0123456789abcdef0123456789ABCDEF", "0123456789abcdef");
        for (set, json) in [
            (&[("trace\0trace_id", trace)][..], "{}".to_owned()),
            (&[("trace\0trace_id", &trace[1..]), ("trace\0span_id", span)], "{}".to_owned()),
            (&[("trace\0trace_id", trace), ("trace\0span_id", "0000000000000000")], "{}".to_owned()),
            (
                &[
                    ("trace\0trace_id", trace),
                    ("trace\0span_id", span),
                    ("trace\0parent_span_id", "x"),
                    ("trace\0sampled", "1"),
                    ("trace\0op", "http.server"),
                ],
                format!(r#"{{"trace":{{"op":"http.server","span_id":"{span}","trace_id":"{trace}"}}}}"#),
            ),
        ] {
            assert_eq!(finished(set), json);
        }
    }

    #[test]
    fn the_tasks_trace_wins_but_for_what_it_is_about() {
        let (id, span) = ("771a43a4192642f0b136d5159a501700", "00f067aa0ba902b7");
        let header = format!("sentry-trace: {id}-{span}-1");
        let trace = Trace::of([header.as_bytes()].into_iter(), || 1);
        let ids = format!(r#""parent_span_id":"{span}","span_id":"0000000000000001","trace_id":"{id}""#);
        let json = |set: &[(&str, &str)], op: &str| {
            let mut contexts = contexts(set);
            contexts.finish();
            contexts.set_trace(&trace, op.as_bytes());
            serde_json::to_string(&contexts).unwrap()
        };
        let mine = [("trace\0trace_id", &*"1".repeat(32)), ("trace\0span_id", span), ("trace\0op", "vcl")];
        assert_eq!(json(&mine, "http.server"), format!(r#"{{"trace":{{"op":"vcl",{ids}}}}}"#));
        assert_eq!(json(&[], "http.server"), format!(r#"{{"trace":{{"op":"http.server",{ids}}}}}"#));
        assert_eq!(json(&[], ""), format!(r#"{{"trace":{{{ids}}}}}"#));
    }

    #[test]
    fn no_context_has_a_type_and_a_path_without_a_key_is_ignored() {
        assert_eq!(finished(&[("varnish\0type", "a"), ("varnish", "b")]), r#"{"varnish":{"type_":"a"}}"#);
    }

    #[test]
    fn the_response_of_the_wire_wins_and_keeps_its_types() {
        let mut contexts = contexts(&[
            ("response\0status_code", "many"),
            ("response\0headers", "none"),
            ("response\0reason", "mine"),
            ("response\0kind", "synth"),
        ]);
        contexts.set(b"response\0body_size", Value::Int(-1));
        contexts.finish();
        contexts.set_response(Some(503), Cow::Borrowed(b"Backend fetch failed"), Some(278), Headers::default());
        assert_eq!(
            serde_json::to_string(&contexts).unwrap(),
            r#"{"response":{"body_size":278,"kind":"synth","reason":"Backend fetch failed","status_code":503}}"#
        );
    }

    #[test]
    fn a_response_has_room_for_all_that_comes_of_the_wire() {
        let long = "x".repeat(9000);
        let mut contexts = contexts(&[("response\0a", &long), ("response\0b", &long)]);
        contexts.finish();
        let reason = "\u{1f600}".repeat(300);
        contexts.set_response(Some(503), Cow::Borrowed(reason.as_bytes()), Some(u64::MAX), Headers::default());
        let rest = serde_json::to_string(&contexts.0["response"]).unwrap();
        let size = rest.len() + cost("headers", "") + MAX_RESPONSE_HEADERS;
        assert!((MAX_CONTEXT - 100..=MAX_CONTEXT).contains(&size), "{size}");
    }

    #[test]
    fn a_number_takes_the_room_of_its_digits_and_its_sign() {
        for (number, size) in [(Value::Int(7), 1), (Value::Int(-7), 2), (Value::Int(-1234), 5), (Value::Count(10), 2)] {
            let mut contexts = Contexts::default();
            contexts.set(b"a\0k", number);
            let context = contexts.0.get_mut("a").unwrap();
            assert_eq!(shrink(context, cost("k", "") + size), 0, "{context:?}");
            assert_eq!(shrink(context, cost("k", "") + size - 1), 1, "{size}");
        }
    }

    #[test]
    fn a_context_stays_within_its_size() {
        let long = "x".repeat(9000);
        let mut contexts = contexts(&[("a\0k1", &long), ("a\0k2", &long), ("a\0k3", &long), ("a\0k4", "short")]);
        contexts.set("a\0k0".as_bytes(), Value::Real(1e220));
        assert_eq!(contexts.finish(), 3);
        let texts = contexts.0["a"].values().filter_map(|value| match value {
            Value::Text(text) => Some(text.len()),
            _ => None,
        });
        assert_eq!(texts.collect::<Vec<_>>(), [MAX_CONTEXT - 13 - 10 - 221 - 10]);
    }
}
