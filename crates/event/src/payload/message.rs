// SPDX-License-Identifier: BSD-2-Clause
//! What an event is about: a message with its parameters, or an exception.

use std::borrow::Cow;

use protocol::text::{cut, fit, line, text};
use serde::Serialize;

const MAX_MESSAGE: usize = 8192;
const MAX_TYPE: usize = 256;
/// Bytes of all parameters together. They are shown next to the message, which has them in full.
const MAX_PARAMS: usize = 2048;

/// What fills `{1}` … `{9}`.
#[derive(Debug, Default)]
pub(super) struct Params<'a>([Option<&'a [u8]>; 9]);

impl<'a> Params<'a> {
    /// Sets the parameter of the placeholder `digit`; what is no such digit is ignored.
    pub fn set(&mut self, digit: &[u8], value: &'a [u8]) {
        let [digit @ b'1'..=b'9'] = digit else { return };
        if let Some(slot) = self.0.get_mut(usize::from(digit - b'1')) {
            *slot = Some(value);
        }
    }

    /// The parameters as a list, with gaps, up to the last one that is set.
    fn list(&self) -> Vec<Option<Cow<'a, str>>> {
        let used = self.0.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        // The server counts quotes and comma too.
        let limit = MAX_PARAMS / used.max(1) - 3;
        self.0.iter().take(used).map(|value| fit(text((*value)?, limit), limit)).collect()
    }

    /// `template` with its placeholders filled, in one pass: a placeholder in a parameter stays, as one
    /// without a parameter does.
    fn fill<'t>(&self, template: &Cow<'t, str>) -> Cow<'t, str> {
        if !template.contains('{') {
            return template.clone();
        }
        let mut filled = String::with_capacity(template.len());
        let mut rest = &**template;
        while let Some(open) = rest.find('{') {
            // A short template may name a long parameter many times.
            if filled.len() > MAX_MESSAGE * size_of::<char>() {
                break;
            }
            let (before, placeholder) = rest.split_at(open);
            filled.push_str(before);
            match self.starting(placeholder) {
                Some(value) => {
                    filled.push_str(&text(value, MAX_MESSAGE));
                    rest = placeholder.get("{1}".len()..).unwrap_or_default();
                }
                None => {
                    filled.push('{');
                    rest = placeholder.get(1..).unwrap_or_default();
                }
            }
        }
        filled.push_str(rest);
        cut(Cow::Owned(filled), MAX_MESSAGE)
    }

    /// The parameter of the placeholder that `template` starts with.
    fn starting(&self, template: &str) -> Option<&'a [u8]> {
        let [b'{', digit, b'}', ..] = template.as_bytes() else { return None };
        *self.0.get(usize::from(digit.checked_sub(b'1')?))?
    }
}

/// A message; Sentry groups by the unfilled one.
#[derive(Debug, Serialize)]
pub(super) struct LogEntry<'a> {
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Option<Cow<'a, str>>>,
    formatted: Cow<'a, str>,
}

impl<'a> LogEntry<'a> {
    pub fn new(template: &'a [u8], params: &Params<'a>) -> LogEntry<'a> {
        let message = text(template, MAX_MESSAGE);
        LogEntry { params: params.list(), formatted: params.fill(&message), message }
    }

    /// A text without placeholders, which has been brought into form.
    pub fn as_it_is(text: String) -> LogEntry<'a> {
        LogEntry { params: Vec::new(), formatted: Cow::Owned(text.clone()), message: Cow::Owned(text) }
    }
}

/// The exceptions of an event; VCL reports one at a time.
#[derive(Debug, Serialize)]
pub(super) struct Exceptions<'a> {
    values: [Exception<'a>; 1],
}

#[derive(Debug, Serialize)]
struct Exception<'a> {
    r#type: Cow<'a, str>,
    value: Cow<'a, str>,
    mechanism: Mechanism,
}

#[derive(Debug, Serialize)]
struct Mechanism {
    r#type: &'static str,
    handled: bool,
}

impl<'a> Exceptions<'a> {
    /// `value` is filled as a message is.
    pub fn new(name: &'a [u8], value: &'a [u8], params: &Params<'_>) -> Exceptions<'a> {
        let name = line(name, MAX_TYPE);
        // Sentry drops an exception that has neither type nor value.
        let r#type = if name.is_empty() { Cow::Borrowed("Error") } else { name };
        let value = params.fill(&text(value, MAX_MESSAGE));
        Exceptions { values: [Exception { r#type, value, mechanism: Mechanism { r#type: "varnish", handled: true } }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params<'a>(set: &[(&str, &'a str)]) -> Params<'a> {
        let mut params = Params::default();
        set.iter().for_each(|(digit, value)| params.set(digit.as_bytes(), value.as_bytes()));
        params
    }

    #[test]
    fn placeholders_are_filled_in_one_pass_and_others_stay() {
        for (template, set, filled) in [
            ("{1} failed: {2}", &[("1", "web7"), ("2", "503")][..], "web7 failed: 503"),
            ("{2}{1}{2}", &[("1", "a"), ("2", "b")], "bab"),
            ("{1} {2}", &[("1", "{2}"), ("2", "{1}")], "{2} {1}"),
            ("{1} {3}", &[("1", "a")], "a {3}"),
            ("{{1}} {0} {5} {a} {} { {1", &[("1", "a")], "{a} {0} {5} {a} {} { {1"),
            ("ä{1}ö", &[("1", "\u{fc}")], "äüö"),
            ("{1}", &[("1", "a"), ("1", "b")], "b"),
            ("none", &[("0", "x"), ("10", "x"), ("", "x")], "none"),
        ] {
            assert_eq!(params(set).fill(&template.into()), filled);
        }
    }

    #[test]
    fn a_message_without_parameters_has_no_list_of_them() {
        let entry = LogEntry::new(b"backend {1} is sick", &Params::default());
        let same = "backend {1} is sick";
        assert_eq!(serde_json::to_string(&entry).unwrap(), format!(r#"{{"message":"{same}","formatted":"{same}"}}"#));
    }

    #[test]
    fn a_gap_in_the_parameters_keeps_the_others_in_place() {
        let entry = LogEntry::new(b"{1} {3}", &params(&[("1", "a"), ("3", "c")]));
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            r#"{"message":"{1} {3}","params":["a",null,"c"],"formatted":"a c"}"#
        );
    }

    #[test]
    fn a_long_parameter_named_many_times_ends_at_the_limit() {
        let long = "ä".repeat(30_000);
        let template = "{1}".repeat(2000);
        let params = params(&[("1", &long), ("4", &long)]);
        assert_eq!(params.fill(&template.into()).chars().count(), MAX_MESSAGE);
        assert!(params.list().iter().flatten().map(|value| value.len() + 3).sum::<usize>() <= MAX_PARAMS);
    }

    #[test]
    fn an_exception_without_a_type_gets_one() {
        let exception = Exceptions::new(b"", b"backend {1}", &params(&[("1", "web7")]));
        assert_eq!(
            serde_json::to_string(&exception).unwrap(),
            r#"{"values":[{"type":"Error","value":"backend web7","mechanism":{"type":"varnish","handled":true}}]}"#
        );
    }
}
