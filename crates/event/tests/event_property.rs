// SPDX-License-Identifier: BSD-2-Clause
//! Whatever bytes a record holds, its event is JSON that keeps Sentry's rules, and no secret is in it.

mod promise;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::identity::Identity;
use event::payload::json;
use privacy::scrub::Scrub;
use promise::{SECRET, SENSITIVE, escaped, keeps_the_rules};
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::event_id::EventId;
use serde_json::Value;

type Put = (Kind, Vec<u8>, Vec<u8>);

fn json_of(puts: &[Put], send_pii: bool) -> String {
    let id = EventId::from_random([7; 16]);
    let at = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let mut fields = Fields::default();
    for (index, (kind, name, value)) in puts.iter().enumerate() {
        if index == puts.len() / 2 {
            fields.begin_scopes();
        }
        fields.put(*kind, name, value);
    }
    let record = Record::new(id, at, Level::Error, Arc::default(), fields);
    let mut out = Vec::new();
    json::write(&record, &Identity::default(), Scrub::new(send_pii), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Bytes as the wire has them: any, or of what the formats are made of, few or many.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-z%{}1-4:;,=&?#@/\"'<> \\\\\\[\\].\u{0}-\u{1f}\u{e4}\u{2028}-]{0,60}";
    prop_oneof![
        vec(any::<u8>(), 0..60),
        text.prop_map(String::into_bytes),
        (any::<u8>(), 0..20_000usize).prop_map(|(byte, count)| vec![byte; count]),
        ("[a-zäöü😀 ]{1,9}", 0..2000usize).prop_map(|(text, count)| text.repeat(count).into_bytes()),
    ]
}

fn name(kind: Kind) -> BoxedStrategy<Vec<u8>> {
    let context = prop_oneof![Just("trace"), Just("response"), Just("varnish"), Just("")];
    let key = prop_oneof![Just("trace_id"), Just("span_id"), Just("status_code"), Just("headers"), Just("type")];
    let user = prop_oneof![Just("id"), Just("email"), Just("username"), Just("ip_address"), Just("geo")];
    match kind {
        Kind::Param => "[0-9]".prop_map(String::into_bytes).boxed(),
        Kind::User => prop_oneof![user.prop_map(|name| name.as_bytes().to_vec()), bytes()].boxed(),
        Kind::Context | Kind::ContextInt | Kind::ContextReal => {
            let known = (context.clone(), key).prop_map(|(context, key)| format!("{context}\0{key}").into_bytes());
            let any = (context, bytes()).prop_map(|(context, key)| [context.as_bytes(), b"\0", &key].concat());
            prop_oneof![known, any, bytes()].boxed()
        }
        Kind::Body => vec(any::<u8>(), 8).boxed(),
        Kind::Breadcrumb => (bytes(), any::<f64>())
            .prop_map(|(category, seconds)| [b"info\0", &*category, b"\0", &seconds.to_le_bytes()].concat())
            .boxed(),
        Kind::Match => (0..6u8, bytes(), bytes())
            .prop_map(|(content, tag, rule)| [&[content], &b"error\0"[..], &tag, b"\0", &rule].concat())
            .boxed(),
        _ => bytes().boxed(),
    }
}

fn value(kind: Kind) -> BoxedStrategy<Vec<u8>> {
    match kind {
        Kind::RequestHeader | Kind::ResponseHeader => {
            (bytes(), bytes()).prop_map(|(name, value)| [&*name, b": ", &value].concat()).boxed()
        }
        Kind::ContextInt | Kind::ContextReal => vec(any::<u8>(), 8).boxed(),
        Kind::Numbers => {
            let entry = (bytes(), 0..3u8, vec(any::<u8>(), 8));
            let entry = entry.prop_map(|(key, kind, number)| [&[key.len() as u8, kind], &*number, &key].concat());
            prop_oneof![vec(entry, 0..9).prop_map(|entries| entries.concat()), bytes()].boxed()
        }
        _ => bytes().boxed(),
    }
}

fn puts() -> impl Strategy<Value = Vec<Put>> {
    // Neither is a field that anybody fills: the one marks a place, the other needs its reader.
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Scopes | Kind::Log)).collect();
    let put = proptest::sample::select(kinds).prop_flat_map(|kind| (Just(kind), name(kind), value(kind)));
    vec(put, 0..40)
}

proptest! {
    // A failure becomes a case of a unit test, not a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_make_json_that_keeps_sentrys_rules(puts in puts(), send_pii: bool) {
        let json = json_of(&puts, send_pii);
        prop_assert!(json.len() < 1024 * 1024);
        let event: Value = serde_json::from_str(&json).unwrap();
        keeps_the_rules(&event);
    }

    #[test]
    fn no_secret_leaves(put in secret_put(), others in puts(), send_pii: bool) {
        let mut puts = others;
        puts.retain(|(kind, ..)| *kind != put.0);
        puts.push(put);
        let json = json_of(&puts, send_pii);
        prop_assert!(!json.contains(SECRET), "{}", json);
    }
}

/// A sensitive name in any case, with letters around it that make no harmless word of it (`side`, `author`).
fn sensitive() -> impl Strategy<Value = String> {
    ("[QXZqxz-]{0,6}", proptest::sample::select(&SENSITIVE[..]), "[QXZqxz_-]{0,6}", any::<u64>()).prop_map(
        |(before, word, after, cases)| {
            let spell = |(at, c): (usize, char)| if cases >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
            format!("{before}{}{after}", word.chars().enumerate().map(spell).collect::<String>())
        },
    )
}

/// A target or URL with a secret in it, and bytes around it that are no secret.
fn secret_url() -> impl Strategy<Value = String> {
    let noise = "[a-z0-9/=&;,.:\"' ä%]{0,20}";
    let pair = (sensitive(), any::<u64>(), "[?&;#]")
        .prop_map(|(name, which, mark)| format!("{mark}{}={SECRET}", escaped(&name, which, "")));
    let encoded = (sensitive(), any::<u64>())
        .prop_map(|(name, which)| format!("?next={}", escaped(&format!("/login?{name}={SECRET}"), which, "?=&%")));
    let twice = sensitive()
        .prop_map(|name| format!("?next={}", escaped(&escaped(&format!("/login?{name}={SECRET}"), 0, "?="), 0, "%")));
    let user = Just(format!("?next=https://user:{SECRET}@shop.example/"));
    let tail = prop_oneof![pair, encoded, twice, user];
    let head = prop_oneof![
        Just("/shop".to_owned()),
        Just("https://shop.example".to_owned()),
        Just(format!("https://user:{SECRET}@shop.example/a")),
        Just(format!("//{SECRET}@shop.example/a")),
    ];
    (head, "[a-z0-9/.]{0,9}", tail, "[&;#]", noise)
        .prop_map(|(head, path, tail, mark, noise)| format!("{head}/{path}{tail}{mark}{noise}"))
}

fn secret_put() -> impl Strategy<Value = Put> {
    let noise = "[a-z0-9/=&;,.:\"'<> ä%]{0,20}";
    let sides = prop_oneof![Just(Kind::RequestHeader), Just(Kind::ResponseHeader)];
    let header = |line: BoxedStrategy<String>| {
        (sides.clone(), line).prop_map(|(kind, line)| (kind, vec![], line.into_bytes())).boxed()
    };
    let named = (sensitive(), noise).prop_map(|(name, noise)| format!("X{name}: {noise}{SECRET}{noise}"));
    let urls = proptest::sample::select(&["Referer", "origin", "LOCATION", "Content-Location", "X-Original-URL"][..]);
    let url = (urls, secret_url()).prop_map(|(name, url)| format!("{name}: {url}"));
    let link = (secret_url(), noise).prop_map(|(url, noise)| {
        format!("Link: <https://a.example/>; rel=\"x\", <{}>; rel=y{noise}", url.replace(['"', '<', '>', ' '], ""))
    });
    let pair = (noise, "[&;? ]", sensitive(), "[\"']?")
        .prop_map(|(noise, mark, name, quote)| format!("X-Any: {noise}{mark}{name}={quote}{SECRET}{quote}"));
    let cookie = (noise, sensitive(), noise).prop_map(|(before, name, after)| {
        format!("Cookie: {};{name}={SECRET}{};lang=de", before.replace(';', ""), after.replace(';', ""))
    });
    let set_cookie = ("[a-z]{1,9}", noise)
        .prop_map(|(name, noise)| format!("Set-Cookie: {name}={SECRET}{}; Path=/; HttpOnly", noise.replace(';', "")));
    let json = ("[{,]", sensitive(), "[ ]?", "[a-z ,}:]{0,9}", "\\\\{0,3}").prop_map(
        |(before, name, space, noise, slashes)| {
            let quote = format!("{slashes}\"");
            format!("X-Any: {before}{quote}a{quote}:1,{quote}{name}{quote}{space}:{quote}{noise}{SECRET}{quote}}}")
        },
    );
    let host = Just(format!("Host: user:{SECRET}@shop.example"));
    prop_oneof![
        header(named.boxed()),
        header(url.boxed()),
        header(link.boxed()),
        header(pair.boxed()),
        header(cookie.boxed()),
        header(set_cookie.boxed()),
        header(json.boxed()),
        header(host.boxed()),
        secret_url().prop_map(|url| (Kind::Url, vec![], url.into_bytes())),
    ]
}
