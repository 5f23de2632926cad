// SPDX-License-Identifier: BSD-2-Clause
//! Events: whatever a record holds, what would be sent is in the form that Sentry takes, and a secret that the manual says is
//! filtered is not in it, under PRIVACY and REQUEST BODIES.
#![no_main]

#[path = "../../../crates/event/tests/promise/mod.rs"]
mod promise;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use event::capture::content::Content;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::scope::Scope;
use event::error_event::Form;
use fuzz::body::{Body, has};
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use privacy::settings::{Privacy, PrivacyArguments};
use promise::{SECRET, SENSITIVE, escaped, keeps_the_rules};
use protocol::event_id::EventId;

/// Characters that mean something where secrets stand, and some that do not.
const NOISE: &str = "ax09/=&;,.:\"'<> ä%";
/// Headers that are read as what they are.
const HEADERS: [&str; 12] = [
    "Host",
    "Cookie",
    "Set-Cookie",
    "Referer",
    "Link",
    "Location",
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "User-Agent",
    "X-Forwarded-For",
    "X-Any",
];
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

type Put = (Kind, Vec<u8>, Vec<u8>);

fn put(input: &mut Bytes<'_>) -> Put {
    // Not the one that marks a place, nor the one that needs its reader: that is another target's.
    let kinds = Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Scopes | Kind::Log));
    let kind = input.pick(&kinds.collect::<Vec<_>>());
    let name = match kind {
        Kind::Param => vec![b'0' + input.byte() % 10],
        Kind::User => match input.pick(&["id", "email", "username", "ip_address", ""]) {
            "" => input.text(),
            known => known.into(),
        },
        Kind::Context | Kind::ContextInt | Kind::ContextReal => {
            let context = input.pick(&["trace", "response", "varnish", ""]);
            let key = match input.pick(&["trace_id", "span_id", "status_code", "headers", "type", ""]) {
                "" => input.text(),
                known => known.into(),
            };
            [context.as_bytes(), b"\0", &key].concat()
        }
        Kind::Body => input.array::<8>().to_vec(),
        Kind::Breadcrumb => [b"info\0", &*input.text(), b"\0", &input.array::<8>()].concat(),
        Kind::Match => [&[input.byte() % 6], &b"error\0"[..], &input.text(), b"\0", &input.text()].concat(),
        _ => input.text(),
    };
    let value = match kind {
        Kind::RequestHeader | Kind::ResponseHeader => {
            let known = input.pick(&HEADERS).as_bytes().to_vec();
            [&*if input.flag() { known } else { input.text() }, b": ", &input.text()].concat()
        }
        Kind::ContextInt | Kind::ContextReal => input.array::<8>().to_vec(),
        Kind::Numbers => {
            let key = input.text();
            [&[key.len() as u8, input.byte() % 3], &input.array::<8>()[..], &key].concat()
        }
        _ => input.text(),
    };
    (kind, name, value)
}

/// A name with a sensitive word in any case, and anything around it that a name may have.
fn sensitive(input: &mut Bytes<'_>) -> String {
    let (before, after) = (input.word("AxZ-", 4), input.word("AxZ_-", 4));
    let word = input.pick(&SENSITIVE);
    let cases = input.byte();
    let spell = |(at, c): (usize, char)| if cases >> (at % 8) & 1 == 1 { c.to_ascii_uppercase() } else { c };
    format!("{before}{}{after}", word.chars().enumerate().map(spell).collect::<String>())
}

/// `text` percent-encoded a few times: all that would end it where it is put, and other characters as they come.
fn nested(input: &mut Bytes<'_>, text: String) -> String {
    (0..=input.byte() % 4).fold(text, |text, _| escaped(&text, u64::from_le_bytes(input.array()), "?=&;#%\"<> \n"))
}

fn json(input: &mut Bytes<'_>) -> String {
    let (space, noise) = (input.pick(&["", " ", "\n"]), input.word("ax ,:[]{}", 6));
    let name = sensitive(input);
    let name = if input.flag() { format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]) } else { name };
    let value = match input.byte() % 4 {
        0 => format!("\"{noise}{SECRET}\""),
        1 => format!("[1,{{\"a\":\"{SECRET}\"}}]"),
        2 => format!("{{\"a\\\"\":[\"{noise}\",\"{SECRET}\"]}}"),
        _ => format!("\"\\\\\\\"{SECRET}\""),
    };
    format!("{{\"a\":1,{space}\"{name}\"{space}:{space}{value},\"b\":\"{noise}\"}}")
}

fn nested_json(input: &mut Bytes<'_>) -> String {
    let text = json(input);
    nested(input, text)
}

/// What is a secret whatever it is called, from its begin on.
fn credential(input: &mut Bytes<'_>, space: &str) -> String {
    match input.byte() % 3 {
        0 => format!("Bearer{space}{SECRET}"),
        1 => format!("bASIC{space}{SECRET}"),
        _ => format!("eyJ{SECRET}.eyJ{SECRET}.{SECRET}"),
    }
}

/// A target or URL with a secret in it.
fn url(input: &mut Bytes<'_>) -> String {
    let head =
        input.pick(&["/shop", "https://shop.example", "https://user:SECRET@shop.example/a", "//SECRET@shop.example/a"]);
    let (path, mark) = (input.word("ax0/.", 8), input.pick(&["?", "?a=b&", ";", "#"]));
    let name = sensitive(input);
    let tail = match input.byte() % 6 {
        0 => format!("{}={SECRET}", escaped(&name, u64::from_le_bytes(input.array()), "")),
        1 => format!("next={}", nested(input, format!("/login?{name}={SECRET}"))),
        2 => format!("next={}", nested(input, format!("https://user:{SECRET}@shop.example/"))),
        3 => format!("next={}", nested_json(input)),
        4 => {
            let space = input.pick(&["%20", "+"]);
            format!("next={}", credential(input, space))
        }
        _ => format!("next=https://user:{SECRET}@shop.example/"),
    };
    let (end, noise) = (input.pick(&["&", ";", "#", ""]), input.word("ax/=&;,.:\"' ä%", 12));
    let noise = if end.is_empty() { "" } else { &noise };
    format!("{}/{path}{mark}{tail}{end}{noise}", head.replace("SECRET", SECRET))
}

/// The line of a header that must lose a secret.
fn header(input: &mut Bytes<'_>, send_pii: bool) -> String {
    let (noise, more) = (input.word(NOISE, 16), input.word(NOISE, 16));
    let name = sensitive(input);
    match input.byte() % 11 {
        0 => format!("X{name}: {noise}{SECRET}{more}"),
        1 => format!(
            "{}: {}",
            input.pick(&["Referer", "origin", "LOCATION", "Content-Location", "X-Original-URL"]),
            url(input)
        ),
        2 => {
            let url = url(input).replace(['"', '<', '>', ' '], "");
            format!("Link: <https://a.example/>; rel=\"x\", <{url}>; rel=y{more}")
        }
        3 => {
            let (mark, quote) = (input.pick(&["&", ";", "?", " "]), input.pick(&["", "\"", "'"]));
            format!("X-Any: {noise}{mark}{name}={quote}{SECRET}{quote}")
        }
        4 => format!("Cookie: {};{name}={SECRET}{};lang=de", noise.replace(';', ""), more.replace(';', "")),
        5 => format!("Set-Cookie: lang={SECRET}{}; Path=/; HttpOnly", noise.replace(';', "")),
        6 => format!("X-Any: {}", json(input)),
        7 => format!("Host: user:{SECRET}@shop.example"),
        8 => format!("X-Any: {}", credential(input, " ")),
        9 => format!("Refresh: 0; url={}", url(input).replace(['"', '<', '>', ' '], "")),
        _ if send_pii => format!("Cookie: lang={}", credential(input, " ").replace(';', "")),
        _ => format!(
            "{}{SECRET}",
            input.pick(&["Cookie: lang=", "X-Forwarded-For: ", "Via: ", "Client-IP: ", "X_Remote_Addr: "])
        ),
    }
}

/// Fields with a secret in them, and what it takes to read them.
fn secret(input: &mut Bytes<'_>, send_pii: bool) -> Vec<Put> {
    let side = input.pick(&[Kind::RequestHeader, Kind::ResponseHeader]);
    let body = |input: &mut Bytes<'_>, kind: &str, text: String| {
        let text = text.into_bytes();
        // Of a body the begin is there: it may be cut anywhere.
        let cut = text.len() - usize::from(input.byte()) % text.len().min(32);
        let kind = format!("Content-Type: {kind}; charset=utf-8").into_bytes();
        let len = (text.len() as u64).to_le_bytes().to_vec();
        vec![(Kind::RequestHeader, vec![], kind), (Kind::Body, len, text[..cut].to_vec())]
    };
    match input.byte() % 8 {
        0..3 => vec![(side, vec![], header(input, send_pii).into_bytes())],
        3 => vec![(Kind::Url, vec![], url(input).into_bytes())],
        4 => {
            let text = match input.byte() % 3 {
                0 => json(input),
                1 => format!("[{{\"a\":\"{}\"}},1]", credential(input, " ")),
                _ => format!("{{\"a\":[1,{}]}}", serde_json::Value::from(url(input))),
            };
            let kind = input.pick(&[JSON, "text/json", "application/problem+json", FORM, "text/plain"]);
            body(input, kind, text)
        }
        5 => {
            let (noise, name) = (input.word("ax=&%+ä", 12), sensitive(input));
            let pair = match input.byte() % 6 {
                0 => format!("{}={SECRET}", escaped(&name, u64::from_le_bytes(input.array()), "")),
                1 => format!("a={}", nested_json(input)),
                2 => format!("a={}", credential(input, "+")),
                3 => format!("a={}", url(input).replace(['"', '<', '>', ' '], "").replace('&', "%26")),
                4 => format!("a={}", nested(input, format!("https://user:{SECRET}@shop.example/"))),
                _ => format!("a={}", nested(input, format!("/login?{name}={SECRET}"))),
            };
            body(input, FORM, format!("{noise}&{pair}&{noise}"))
        }
        6 => {
            let content = input.pick(&[Content::Header, Content::Url]);
            let text = if content == Content::Url { url(input) } else { header(input, send_pii) };
            vec![(Kind::Match, [&[content as u8], &b"error\0Tag\0rule"[..]].concat(), text.into_bytes())]
        }
        _ => {
            let (noise, name) = (input.word(NOISE, 16), sensitive(input));
            vec![(Kind::Reason, vec![], format!("{noise} {name}={SECRET}").into_bytes())]
        }
    }
}

fn form(send_pii: bool, input: &mut Bytes<'_>) -> Form {
    let names = PrivacyArguments {
        anonymize_ip: input.flag(),
        allowed_only: input.byte() % 8 == 7,
        allow_headers: input.pick(&["", "X-Any, User-Agent"]),
        deny_headers: input.pick(&["", "Host", "cookie, X-Other"]),
        allow_keys: input.pick(&["", "a, x"]),
        deny_keys: input.pick(&["", "next"]),
    };
    Form { send_pii, privacy: Privacy::new(&names).unwrap(), ..Form::default() }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let send_pii = input.flag();
    let form = form(send_pii, &mut input);
    let secret = secret(&mut input, send_pii);
    let (at, begin) = (usize::from(input.byte() % 8), input.byte());
    let mut base = Scope::default();
    let (name, value) = (input.text(), input.text());
    if !has(&name, SECRET) && !has(&value, SECRET) {
        let _ = base.set_tag(&name, &value);
        let _ = base.set_extra(&name, &value);
        let _ = base.set_fingerprint(&[&name, &value]);
        let _ = base.add_breadcrumb(UNIX_EPOCH, Level::Info, &name, &value);
    }
    let mut puts: Vec<Put> = std::iter::from_fn(|| (!input.is_empty()).then(|| put(&mut input))).collect();
    // The fields that a task has once are there once, and its first header of a name counts.
    puts.retain(|(kind, ..)| !secret.iter().any(|(of, ..)| of == kind));
    // A fuzzer that sees what is looked for puts it everywhere.
    puts.retain(|(_, name, value)| !has(name, SECRET) && !has(value, SECRET));
    let at = at.min(puts.len());
    puts.splice(at..at, secret);

    let when = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let mut fields = Fields::default();
    for (index, (kind, name, value)) in puts.iter().enumerate() {
        if index == usize::from(begin) {
            fields.begin_scopes();
        }
        fields.put(*kind, name, value);
    }
    let record = Record::new(EventId::from_random([7; 16]), when, Level::Error, Arc::new(base), fields);
    let body = Body::of(record, form);
    assert!(!body.shows(SECRET), "{}", String::from_utf8_lossy(&body.bytes));
    assert!(body.event_len < 1024 * 1024);
    keeps_the_rules(&body.event);
});
