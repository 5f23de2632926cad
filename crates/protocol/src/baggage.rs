// SPDX-License-Identifier: BSD-2-Clause
//! Baggage (W3C) and what Sentry has in it: the dynamic sampling context, by which all servers of a trace
//! decide alike whether to keep it (develop.sentry.dev/sdk/telemetry/traces/dynamic-sampling-context).
//!
//! Whoever begins a trace makes the context. After that nobody changes it: a trace that is continued has the
//! one that came with it, or none. Only the random value is added where it is missing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::dsn::Dsn;
use crate::header::parse;
use crate::percent;
use crate::sample_rand::SampleRand;
use crate::text::line_of;
use crate::trace::Trace;

/// Bytes of a `baggage` header that everybody has to hand on.
const MAX_HEADER: usize = 8192;
/// Characters of a value of a context.
pub const MAX_VALUE: usize = 200;
const PREFIX: &[u8] = b"sentry-";
const SAMPLE_RAND: &str = "sample_rand";
/// What goes to Sentry: others could be anything, of anybody.
const KEYS: [&str; 10] = [
    "trace_id",
    "public_key",
    "sample_rate",
    SAMPLE_RAND,
    "sampled",
    "release",
    "environment",
    "transaction",
    "org_id",
    "replay_id",
];

/// The members of all `baggage` headers among `lines`, `Name: text`.
pub fn members<'l>(lines: impl Iterator<Item = &'l [u8]> + Clone) -> impl Iterator<Item = &'l [u8]> + Clone {
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
        let made = [("trace_id", trace.id()), (SAMPLE_RAND, SampleRand::begun(trace).to_string())];
        SamplingContext(known.chain(made.map(|(key, value)| (key, Cow::Owned(value)))).collect())
    }

    /// The context that came with `trace`; `None` if there was none, or one of another trace.
    pub fn continued(trace: &Trace, members: impl Iterator<Item = &'a [u8]> + Clone) -> Option<SamplingContext<'a>> {
        let made = missing_rand(trace, members.clone()).map(|made| (SAMPLE_RAND, Cow::Owned(made.to_string())));
        let known = members.filter(|member| !is_bad_rand(member)).filter_map(split).filter_map(|(key, value)| {
            let key = KEYS.iter().find(|known| known.as_bytes() == key)?;
            Some((*key, line_of(percent::decode_escapes(value), MAX_VALUE)))
        });
        let context: BTreeMap<_, _> = known.chain(made).collect();
        let is_of_the_trace = context.get("trace_id").is_some_and(|id| **id == trace.id());
        (is_of_the_trace && context.contains_key("public_key")).then_some(SamplingContext(context))
    }

    /// Keeps what `keep` says, which may change the values, in [`MAX_VALUE`] characters.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Cow<'a, str>) -> bool) {
        self.0.retain(|key, value| keep(key, value));
    }

    fn members(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(key, value)| format!("sentry-{key}={}", percent::encode_all(value.as_bytes())))
    }
}

/// The `baggage` header for the next one in `trace`: Sentry's members, those that came with the trace or else
/// those of `begun`, then those of others, as far as there is room. Empty if there are none. Where a trace that came is not continued, its
/// baggage is to be ignored, but that is Sentry's: what others say is not said of Sentry's trace, and would have passed a proxy without Sentry.
pub fn header<'l>(
    trace: &Trace,
    lines: impl Iterator<Item = &'l [u8]> + Clone,
    begun: Option<&SamplingContext<'_>>,
) -> Vec<u8> {
    let mut header = Vec::new();
    if !trace.is_continued() {
        begun.iter().flat_map(|context| context.members()).for_each(|member| add(&mut header, member.as_bytes()));
    } else if is_of(trace, members(lines.clone())) {
        let sentrys = members(lines.clone()).filter(|member| is_sentrys(member) && !is_bad_rand(member));
        sentrys.for_each(|member| add(&mut header, member));
        if let Some(made) = missing_rand(trace, header.split(|byte| *byte == b',')) {
            add(&mut header, format!("sentry-{SAMPLE_RAND}={made}").as_bytes());
        }
    }
    members(lines).filter(|member| !is_sentrys(member)).for_each(|member| add(&mut header, member));
    header
}

/// Adds a member, if there is room for it.
fn add(header: &mut Vec<u8>, member: &[u8]) {
    let comma = usize::from(!header.is_empty());
    if header.len() + comma + member.len() <= MAX_HEADER {
        header.extend_from_slice(b",".get(..comma).unwrap_or_default());
        header.extend_from_slice(member);
    }
}

/// The organization that the `baggage` of a request with the header `lines` names, which is that of whoever asks.
pub fn organization<'l>(lines: impl Iterator<Item = &'l [u8]> + Clone) -> Option<&'l [u8]> {
    let mut values = members(lines).filter_map(split).filter(|(key, _)| *key == b"org_id").map(|(_, value)| value);
    values.next().filter(|value| !value.is_empty())
}

/// Whether no member says that Sentry's are of another trace.
fn is_of<'l>(trace: &Trace, members: impl Iterator<Item = &'l [u8]>) -> bool {
    let mut ids = members.filter_map(split).filter(|(key, _)| *key == b"trace_id");
    ids.all(|(_, id)| *id == *trace.id().as_bytes())
}

/// The random value of a context that came without one; `None` also if there is no context.
fn missing_rand<'l>(trace: &Trace, members: impl Iterator<Item = &'l [u8]> + Clone) -> Option<SampleRand> {
    let sentrys = members.filter(|member| is_sentrys(member));
    let mut rands = sentrys.clone().filter(|member| !is_bad_rand(member)).filter_map(split);
    if sentrys.clone().next().is_none() || rands.any(|(key, _)| key == SAMPLE_RAND.as_bytes()) {
        return None;
    }
    let rate = sentrys.filter_map(split).filter(|(key, _)| *key == b"sample_rate").last();
    let rate = rate.map(|(_, rate)| percent::decode_escapes(rate));
    SampleRand::continued(trace, rate.as_deref().and_then(|rate| str::from_utf8(rate).ok()))
}

/// Whether a member says that it is the random value, and is none.
fn is_bad_rand(member: &[u8]) -> bool {
    split(member)
        .filter(|(key, _)| *key == SAMPLE_RAND.as_bytes())
        .is_some_and(|(_, value)| !str::from_utf8(&percent::decode_escapes(value)).is_ok_and(SampleRand::is_one))
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
             sentry-sample_rand={},sentry-trace_id={id}",
            SampleRand::begun(&begun())
        );
        assert_eq!(header_of(&begun(), &[]), own);
        // What others have put there stays, what is Sentry's is of no trace, or of one of another organization, which is not continued.
        let lines =
            ["baggage: vendor=1;p=2, sentry-trace_id=x,sentry-sampled=true,sentry-org_id=7", "baggage: more=%20"];
        assert_eq!(header_of(&begun(), &lines), format!("{own},vendor=1;p=2,more=%20"));
    }

    #[test]
    fn a_context_that_came_with_the_trace_goes_on_as_it_came() {
        for rand in ["0.000001", "0", "0.123456789;p=1", " 0.5", "0%2e5"] {
            let sentrys = format!(
                "sentry-trace_id={ID};p=1,sentry-public_key=abc,sentry-user_id=Am%C3%A9lie,sentry-sample_rand={rand}"
            );
            let header = header_of(&continued(), &[&format!("baggage: vendor=1,{sentrys}")]);
            assert_eq!(header, format!("{sentrys},vendor=1"));
        }
    }

    #[test]
    fn a_random_value_that_is_missing_is_added_and_leads_to_the_decision_that_came() {
        // The trace's decision is to keep it: less than the rate, or else anywhere.
        let (less, anywhere) = ("0.191215", "0.764860");
        assert_eq!(SampleRand::begun(&continued()).to_string(), anywhere);
        for (said, made) in [
            ("sentry-sample_rate=0.25", less),
            ("sentry-sample_rate=0.000001", "0.000000"),
            ("sentry-sample_rate=x", anywhere),
            ("sentry-environment=a", anywhere),
            ("sentry-sample_rand=1.0,sentry-sample_rate=0.25", less),
            ("sentry-sample_rate=0.25,sentry-sample_rand=", less),
            ("sentry-sample_rate=0.25,sentry-sample_rand=nan,sentry-sample_rand=%", less),
            ("sentry-sample_rate=0%2E25,sentry-sample_rand=%31", less),
        ] {
            let sentrys = format!("sentry-trace_id={ID},sentry-public_key=abc,{said}");
            let header = header_of(&continued(), &[&format!("baggage: {sentrys},vendor=1")]);
            let kept: Vec<_> = sentrys.split(',').filter(|member| !member.starts_with("sentry-sample_rand")).collect();
            assert_eq!(header, format!("{},sentry-sample_rand={made},vendor=1", kept.join(",")));
            let context = context_of(&sentrys.split(',').collect::<Vec<_>>()).unwrap();
            assert!(context.contains(&format!(r#""sample_rand":"{made}""#)), "as in the envelope: {context}");
        }
        let impossible = format!("sentry-trace_id={ID},sentry-sample_rate=0.0");
        assert_eq!(header_of(&continued(), &[&format!("baggage: {impossible}")]), impossible);
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
        let made = SampleRand::begun(&continued());
        assert_eq!(header, format!("sentry-trace_id={ID},sentry-sample_rand={made},{big},small=1"));
        let full = format!("baggage: a={}", "x".repeat(MAX_HEADER - 2));
        assert_eq!(header_of(&continued(), &[&full]).len(), MAX_HEADER);
        assert_eq!(header_of(&continued(), &[&(full + "x")]), "");
    }

    #[test]
    fn the_envelopes_context_has_the_known_keys_decoded() {
        let id = format!("sentry-trace_id={ID}");
        let members =
            [&id, "sentry-public_key = abc ;p", "sentry-release=a%40b+c%zz", "sentry-user_id=1", "sentry-x=y"];
        let made = SampleRand::begun(&continued());
        let expected =
            format!(r#"{{"public_key":"abc","release":"a@b+c%zz","sample_rand":"{made}","trace_id":"{ID}"}}"#);
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
