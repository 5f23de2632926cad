// SPDX-License-Identifier: BSD-2-Clause
//! Baggage (W3C) and what Sentry has in it: the dynamic sampling context, by which all servers of a trace
//! decide alike whether to keep it (develop.sentry.dev/sdk/telemetry/traces/dynamic-sampling-context).
//!
//! Whoever begins a trace makes the context. After that nobody changes it: a trace that is continued has the
//! one that came with it, or none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::dsn::Dsn;
use crate::header::parse;
use crate::percent;
use crate::text::line;
use crate::trace::Trace;

/// Bytes of a `baggage` header that everybody has to hand on.
const MAX_HEADER: usize = 8192;
const MAX_VALUE: usize = 200;
const PREFIX: &[u8] = b"sentry-";
/// What goes to Sentry: others could be anything, of anybody.
const KEYS: [&str; 10] = [
    "trace_id",
    "public_key",
    "sample_rate",
    "sample_rand",
    "sampled",
    "release",
    "environment",
    "transaction",
    "org_id",
    "replay_id",
];

/// The members of all `baggage` headers among `lines`, `Name: text`.
pub fn members<'l>(lines: impl Iterator<Item = &'l [u8]>) -> impl Iterator<Item = &'l [u8]> {
    // Nearly every line has another first letter.
    let lines = lines.filter(|line| matches!(line.first(), Some(b'b' | b'B')));
    let values = lines.filter_map(parse).filter(|(name, _)| name.eq_ignore_ascii_case(b"baggage"));
    let members = values.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty())
}

/// Whether a member is Sentry's.
pub fn is_sentrys(member: &[u8]) -> bool {
    member.starts_with(PREFIX)
}

/// A dynamic sampling context; serializes as the envelope header `trace`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SamplingContext<'a>(BTreeMap<&'static str, Cow<'a, str>>);

impl<'a> SamplingContext<'a> {
    /// The context of a trace that begins here. Nothing is sampled here, so it has no rate and no decision.
    pub fn begun(
        trace: &Trace,
        dsn: &'a Dsn,
        organization: Option<&'a str>,
        environment: &'a str,
        release: Option<&'a str>,
    ) -> SamplingContext<'a> {
        let known = [
            ("public_key", Some(dsn.public_key())),
            ("org_id", organization.or(dsn.organization())),
            ("environment", Some(environment)),
            ("release", release),
        ];
        let known = known.into_iter().filter_map(|(key, value)| Some((key, Cow::Borrowed(value?))));
        SamplingContext(known.chain([("trace_id", Cow::Owned(trace.id()))]).collect())
    }

    /// The context that came with `trace`; `None` if there was none, or one of another trace.
    pub fn continued(trace: &Trace, members: impl Iterator<Item = &'a [u8]>) -> Option<SamplingContext<'a>> {
        let mut context = BTreeMap::new();
        for (key, value) in members.filter_map(split) {
            if let Some(key) = KEYS.iter().find(|known| known.as_bytes() == key) {
                let value = match percent::decode_escapes(value) {
                    Cow::Borrowed(value) => line(value, MAX_VALUE),
                    Cow::Owned(value) => Cow::Owned(line(&value, MAX_VALUE).into_owned()),
                };
                context.insert(*key, value);
            }
        }
        let is_of_the_trace = context.get("trace_id").is_some_and(|id| **id == trace.id());
        (is_of_the_trace && context.contains_key("public_key")).then_some(SamplingContext(context))
    }

    /// Keeps what `keep` says, which may change the values.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Cow<'a, str>) -> bool) {
        self.0.retain(|key, value| keep(key, value));
    }

    fn members(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(key, value)| format!("sentry-{key}={}", percent::encode_all(value.as_bytes())))
    }
}

/// The `baggage` header for the next one in `trace`: Sentry's members, those that came with the trace or else
/// those of `begun`, then those of others, as far as there is room. Empty if there are none.
pub fn header<'l>(
    trace: &Trace,
    lines: impl Iterator<Item = &'l [u8]> + Clone,
    begun: Option<&SamplingContext<'_>>,
) -> Vec<u8> {
    let mut header = Vec::new();
    let mut add = |member: &[u8]| {
        let comma = usize::from(!header.is_empty());
        if header.len() + comma + member.len() <= MAX_HEADER {
            header.extend_from_slice(b",".get(..comma).unwrap_or_default());
            header.extend_from_slice(member);
        }
    };
    if !trace.is_continued() {
        begun.iter().flat_map(|context| context.members()).for_each(|member| add(member.as_bytes()));
    } else if is_of(trace, members(lines.clone())) {
        members(lines.clone()).filter(|member| is_sentrys(member)).for_each(&mut add);
    }
    members(lines).filter(|member| !is_sentrys(member)).for_each(&mut add);
    header
}

/// The organization that the `baggage` of a request with the header `lines` names, which is that of whoever asks.
pub fn organization<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Option<&'l [u8]> {
    let mut values = members(lines).filter_map(split).filter(|(key, _)| *key == b"org_id").map(|(_, value)| value);
    values.next().filter(|value| !value.is_empty())
}

/// Whether no member says that Sentry's are of another trace.
fn is_of<'l>(trace: &Trace, members: impl Iterator<Item = &'l [u8]>) -> bool {
    let mut ids = members.filter_map(split).filter(|(key, _)| *key == b"trace_id");
    ids.all(|(_, id)| *id == *trace.id().as_bytes())
}

/// Key, without the prefix, and value of one of Sentry's members; its properties are left out.
fn split(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let pair = member.split(|byte| *byte == b';').next()?.strip_prefix(PREFIX)?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((pair.get(..equals)?.trim_ascii(), pair.get(equals + 1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "771a43a4192642f0b136d5159a501700";
    const OTHER: &str = "11111111111111111111111111111111";

    fn continued() -> Trace {
        let line = format!("sentry-trace: {ID}-00f067aa0ba902b7-1");
        Trace::of([line.as_bytes()].into_iter(), || 7)
    }

    fn begun() -> Trace {
        Trace::of(std::iter::empty(), || 7)
    }

    fn header_of(trace: &Trace, lines: &[&str]) -> String {
        let dsn = Dsn::parse("https://0123abcd@o42.ingest.sentry.io/7").unwrap();
        let context = SamplingContext::begun(trace, &dsn, None, "production", Some("shop@1.2+3"));
        let lines = lines.iter().map(|line| line.as_bytes());
        String::from_utf8(header(trace, lines, Some(&context))).unwrap()
    }

    fn context_of(members: &[&str]) -> Option<String> {
        let context = SamplingContext::continued(&continued(), members.iter().map(|member| member.as_bytes()));
        context.map(|context| serde_json::to_string(&context).unwrap())
    }

    #[test]
    fn members_are_those_of_all_headers_of_the_name() {
        let lines = ["Host: b", "baggage: a=1 ,\tb=2;p", "X-Baggage: c=3", "BAGGAGE: ,,sentry-d=4", "baggage:", "b"];
        let found: Vec<_> = members(lines.iter().map(|line| line.as_bytes())).collect();
        assert_eq!(found, [&b"a=1"[..], b"b=2;p", b"sentry-d=4"]);
        assert_eq!(found.iter().filter(|member| is_sentrys(member)).count(), 1);
    }

    #[test]
    fn a_trace_that_begins_here_has_a_context_of_the_clients() {
        let id = begun().id();
        let own = format!(
            "sentry-environment=production,sentry-org_id=42,sentry-public_key=0123abcd,sentry-release=shop%401.2%2B3,\
             sentry-trace_id={id}"
        );
        assert_eq!(header_of(&begun(), &[]), own);
        // What others have put there stays, what is Sentry's is of no trace.
        let lines = ["baggage: vendor=1;p=2, sentry-trace_id=x,sentry-sampled=true", "baggage: more=%20"];
        assert_eq!(header_of(&begun(), &lines), format!("{own},vendor=1;p=2,more=%20"));
    }

    #[test]
    fn a_context_that_came_with_the_trace_goes_on_as_it_came() {
        let sentrys = format!("sentry-trace_id={ID};p=1,sentry-public_key=abc,sentry-user_id=Am%C3%A9lie");
        assert_eq!(header_of(&continued(), &[&format!("baggage: vendor=1,{sentrys}")]), format!("{sentrys},vendor=1"));
    }

    #[test]
    fn nothing_is_added_to_a_trace_that_came_without_a_context() {
        assert_eq!(header_of(&continued(), &[]), "");
        assert_eq!(header_of(&continued(), &["baggage: vendor=1"]), "vendor=1");
    }

    #[test]
    fn a_context_of_another_trace_goes_no_further() {
        let line = format!("baggage: sentry-trace_id={OTHER},sentry-public_key=abc,vendor=1");
        assert_eq!(header_of(&continued(), &[&line]), "vendor=1");
    }

    #[test]
    fn what_does_not_fit_into_a_header_is_left_out_whole_and_sentrys_is_first() {
        let big = format!("big={}", "x".repeat(8000));
        let lines = [format!("baggage: {big},{big},small=1"), format!("baggage: sentry-trace_id={ID}")];
        let header = header_of(&continued(), &lines.each_ref().map(String::as_str));
        assert_eq!(header, format!("sentry-trace_id={ID},{big},small=1"));
        let full = format!("baggage: a={}", "x".repeat(MAX_HEADER - 2));
        assert_eq!(header_of(&continued(), &[&full]).len(), MAX_HEADER);
        assert_eq!(header_of(&continued(), &[&(full + "x")]), "");
    }

    #[test]
    fn the_envelopes_context_has_the_known_keys_decoded() {
        let id = format!("sentry-trace_id={ID}");
        let members =
            [&id, "sentry-public_key = abc ;p", "sentry-release=a%40b+c%zz", "sentry-user_id=1", "sentry-x=y"];
        let expected = format!(r#"{{"public_key":"abc","release":"a@b+c%zz","trace_id":"{ID}"}}"#);
        assert_eq!(context_of(&members), Some(expected));
    }

    #[test]
    fn without_the_traces_id_and_a_key_there_is_no_context() {
        let (id, other) = (format!("sentry-trace_id={ID}"), format!("sentry-trace_id={OTHER}"));
        let key = "sentry-public_key=a";
        for members in [&[][..], &[&*id], &[key], &[&other, key], &["sentry-trace_id", key]] {
            assert_eq!(context_of(members), None, "{members:?}");
        }
    }
}
