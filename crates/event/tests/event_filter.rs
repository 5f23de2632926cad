// SPDX-License-Identifier: BSD-2-Clause
//! No secret leaves, whatever notation it is in, whichever way out it takes and whatever the settings are; and what is none stays.

mod promise;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use event::capture::content::Content;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::task_log::{FileForm, LogForm, LogLine, TaskLog};
use event::error_event::{ErrorEvent, Form};
use privacy::settings::{Privacy, PrivacyArguments};
use promise::wrap::wrapped;
use promise::{SECRET, escaped};
use proptest::prelude::*;
use protocol::category::Categories;
use protocol::dsn::Dsn;
use protocol::entry::{Context, Entry, Scratch};
use protocol::envelope::Envelope;
use protocol::event_id::EventId;
use protocol::trace::Trace;
use regex::bytes::Regex;

const TRACE_ID: &str = "771a43a4192642f0b136d5159a501700";

/// The lines of a table.
fn table(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Texts with a secret in them, and whether it has one of several names.
fn forms() -> Vec<(String, bool)> {
    let notations = table(include_str!("forms/notations.txt"));
    let names = || table(include_str!("forms/names.txt"));
    let named = notations.flat_map(|form| names().map(|name| (form.replace("NAME", name), true)));
    let alone = table(include_str!("forms/credentials.txt")).map(|form| (form.to_owned(), false));
    let secret = |form: String| form.replace("SECRET", SECRET).replace('⏎', "\n");
    named.chain(alone).map(|(form, is_named)| (secret(form), is_named)).collect()
}

fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
    for line in bytes.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap();
        let tag = std::str::from_utf8(&line[..at]).unwrap();
        let content = match tag {
            "ReqStart" => Content::ClientAddress,
            _ if tag.ends_with("Header") => Content::Header,
            _ if tag.ends_with("URL") => Content::Url,
            _ => Content::Text,
        };
        each(LogLine {
            tag: TAGS.into_iter().find(|known| *known == tag).unwrap(),
            text: &line[at + 1..],
            content,
            level: Level::Info,
            at: None,
            begins: None,
        });
    }
}
const TAGS: [&str; 5] = ["ReqStart", "ReqHeader", "ReqURL", "VCL_Log", "Error"];

/// The ways out for what a client or a server said.
#[derive(Clone, Copy, Debug)]
enum Exit {
    Log,
    Match,
    Reason,
    RequestHeader,
    ResponseHeader,
    Baggage,
    Cookie,
    Query,
    UrlInLog,
    Form,
    Json,
}
const EXITS: [Exit; 11] = [
    Exit::Log,
    Exit::Match,
    Exit::Reason,
    Exit::RequestHeader,
    Exit::ResponseHeader,
    Exit::Baggage,
    Exit::Cookie,
    Exit::Query,
    Exit::UrlInLog,
    Exit::Form,
    Exit::Json,
];

/// What is put into a record, and what is in its log.
#[derive(Default)]
struct Said {
    puts: Vec<(Kind, Vec<u8>, Vec<u8>)>,
    log: Vec<u8>,
    remove: Vec<&'static str>,
}

impl Said {
    fn put(&mut self, kind: Kind, name: &[u8], value: impl AsRef<[u8]>) {
        self.puts.push((kind, name.to_vec(), value.as_ref().to_vec()));
    }

    fn log(&mut self, tag: &str, text: &str) {
        self.log.extend_from_slice(format!("{tag} {text}\0").as_bytes());
    }

    fn say(&mut self, exit: Exit, text: &str) {
        let encoded = || escaped(text, u64::MAX, "");
        match exit {
            Exit::Log => self.log("VCL_Log", text),
            Exit::Match => {
                let name = [&[Content::Text as u8], &b"error\0VCL_Log\0rule"[..]].concat();
                self.put(Kind::Match, &name, text);
            }
            Exit::Reason => self.put(Kind::Reason, b"", text),
            Exit::RequestHeader => self.put(Kind::RequestHeader, b"", format!("X-Said: {text}")),
            Exit::ResponseHeader => self.put(Kind::ResponseHeader, b"", format!("X-Said: {text}")),
            Exit::Baggage => {
                let header = format!("sentry-trace: {TRACE_ID}-00f067aa0ba902b7-1");
                let trace = Trace::of([header.as_bytes()].into_iter(), || 7);
                self.put(Kind::Trace, b"http.server", trace.to_bytes());
                self.put(Kind::Baggage, b"", format!("sentry-trace_id={TRACE_ID}"));
                self.put(Kind::Baggage, b"", "sentry-public_key=key");
                self.put(Kind::Baggage, b"", format!("sentry-transaction={}", encoded()));
            }
            Exit::Cookie => self.put(Kind::RequestHeader, b"", format!("Cookie: said={}", encoded())),
            Exit::Query => self.put(Kind::Url, b"", format!("/a?said={}", encoded())),
            Exit::UrlInLog => self.log("ReqURL", &format!("/a?said={}", encoded())),
            Exit::Form => self.body("application/x-www-form-urlencoded", format!("said={}&b=1", encoded())),
            Exit::Json => self.body("application/json", serde_json::json!({ "said": text, "b": 1 }).to_string()),
        }
    }

    fn body(&mut self, content_type: &str, text: String) {
        self.put(Kind::RequestHeader, b"", format!("Content-Type: {content_type}"));
        self.put(Kind::Body, &(text.len() as u64).to_le_bytes(), text);
    }

    /// All that would be sent.
    fn sent(self, form: Form) -> String {
        let mut fields = Fields::default();
        self.puts.iter().for_each(|(kind, name, value)| fields.put(*kind, name, value));
        fields.begin_scopes();
        if !self.log.is_empty() {
            fields.put(Kind::Log, b"", &self.log);
        }
        let at = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let mut record = Record::new(EventId::from_random([0x11; 16]), at, Level::Error, Arc::default(), fields);
        if !self.log.is_empty() {
            record.log = Some(TaskLog {
                form: LogForm::Both,
                read,
                file: FileForm::Varnishlog,
                transaction: "Request",
                id: 7,
                gap: None,
            });
        }
        record.removals = self.remove.iter().map(|place| Arc::new(Regex::new(place).unwrap())).collect();
        let dsn = Dsn::parse("https://key@o42.ingest.sentry.io/7").unwrap();
        let (mut scratch, mut envelope) = (Scratch::default(), Envelope::default());
        let mut context = Context { dsn: Some(&dsn), wall: UNIX_EPOCH, may: Categories::ALL, scratch: &mut scratch };
        ErrorEvent::new(record, Arc::new(form)).write(&mut context, &mut envelope);
        let all = [envelope.members(), envelope.items()].concat();
        String::from_utf8(all).unwrap()
    }
}

/// Every setting, on and off.
fn settings() -> impl Iterator<Item = Form> {
    (0..8_u8).map(|bits| {
        let arguments = PrivacyArguments {
            anonymize_ip: bits & 1 != 0,
            allowed_only: bits & 2 != 0,
            allow_headers: "X-Said",
            allow_keys: "said",
            ..PrivacyArguments::default()
        };
        Form { send_pii: bits & 4 != 0, privacy: Privacy::new(&arguments).unwrap(), ..Form::default() }
    })
}

/// Whether the secret can be read, percent-encoded or not.
fn shows(sent: &str) -> bool {
    let mut text = sent.as_bytes().to_vec();
    (0..4).any(|_| {
        let shown = text.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        text = protocol::percent::decode_escapes(&text).into_owned();
        shown
    })
}

#[test]
fn a_secret_is_hidden_in_every_notation_at_every_exit_with_every_setting() {
    let forms = forms();
    assert!(forms.len() >= 300, "{}", forms.len());
    let mut shown = Vec::new();
    for (index, (form, is_named)) in forms.iter().enumerate() {
        // Each notation at each exit, with two of six names.
        for (_, exit) in EXITS.into_iter().enumerate().filter(|(exit, _)| !is_named || (index + exit) % 3 == 0) {
            for (number, settings) in settings().enumerate() {
                // All settings with every eighth.
                if number != 4 && (index + number) % 8 != 0 {
                    continue;
                }
                let mut said = Said::default();
                said.say(exit, form);
                let sent = said.sent(settings);
                if shows(&sent) && shown.len() < 200 {
                    shown.push(format!("{exit:?} {number}: {form}"));
                }
            }
        }
    }
    assert!(shown.is_empty(), "{} shown:\n{}", shown.len(), shown.join("\n"));
}

#[test]
fn half_a_password_or_token_at_the_end_of_a_text_is_hidden() {
    for exit in [Exit::Log, Exit::Match, Exit::Reason] {
        for text in [
            "https://user:SECRET",
            "x {\"a\":\"https://user:12SECRET",
            "password=SECRET",
            "{\"token\":\"SECRET",
            "Authorization: Basic SECRET",
        ] {
            let mut said = Said::default();
            said.say(exit, &text.replace("SECRET", SECRET));
            let sent = said.sent(Form::default());
            assert!(!shows(&sent), "{exit:?} {text}: {sent}");
        }
    }
}

#[test]
fn what_is_no_secret_stays() {
    let mut lost = Vec::new();
    for text in table(include_str!("forms/harmless.txt")) {
        for exit in [Exit::Log, Exit::Match, Exit::Reason, Exit::RequestHeader] {
            for send_pii in [false, true] {
                let mut said = Said::default();
                said.say(exit, text);
                let sent = said.sent(Form { send_pii, ..Form::default() });
                let json = serde_json::to_string(text).unwrap();
                if !sent.contains(&json[1..json.len() - 1]) {
                    lost.push(format!("{exit:?} {send_pii}: {text}"));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn what_is_known_once_is_hidden_everywhere() {
    let places: [(Kind, &str); 8] = [
        (Kind::RequestHeader, "Authorization: Bearer SECRET"),
        (Kind::RequestHeader, "X-Api-Key: SECRET"),
        (Kind::RequestHeader, "Cookie: lang=de; theme=SECRET"),
        (Kind::RequestHeader, "Cookie: lang=de; sid=SECRET"),
        (Kind::ResponseHeader, "Set-Cookie: a=SECRET; Path=/; HttpOnly"),
        (Kind::RequestHeader, "Referer: https://h/?token=SECRET"),
        (Kind::Url, "/a?token=SECRET"),
        (Kind::Url, "https://user:SECRET@h/a"),
    ];
    let texts = ["upstream said SECRET to me", "/b/SECRET/c", "(SECRET)", "xSECRETx", "{\"q\":\"SECRET\"}"];
    for (kind, place) in places {
        for exit in EXITS {
            for text in texts {
                let mut said = Said::default();
                said.put(kind, b"", place.replace("SECRET", SECRET));
                if !(matches!(exit, Exit::Query) && kind == Kind::Url) {
                    said.say(exit, &text.replace("SECRET", SECRET));
                }
                let sent = said.sent(Form::default());
                assert!(!shows(&sent), "{place} {exit:?} {text}: {sent}");
            }
        }
    }
    // Of the log alone, and cut.
    let mut said = Said::default();
    said.log("ReqHeader", &format!("Authorization: {SECRET}"));
    said.log("VCL_Log", &format!("it was {}", &SECRET[..10]));
    said.put(Kind::Reason, b"", SECRET);
    let sent = said.sent(Form::default());
    assert!(!sent.contains(&SECRET[..10]), "{sent}");
}

#[test]
fn an_address_is_hidden_or_anonymous_at_every_exit() {
    let said = || {
        let mut said = Said::default();
        said.put(Kind::ClientIp, b"", "192.0.2.77");
        said.put(Kind::RequestHeader, b"", "X-Forwarded-For: 198.51.100.99, 192.0.2.77");
        said.put(Kind::RequestHeader, b"", "X-Debug: of 192.0.2.77");
        said.put(Kind::Reason, b"", "no 198.51.100.99");
        said.log("ReqStart", "192.0.2.77 40000 a0");
        said.log("ReqHeader", "X-Forwarded-For: 198.51.100.99, 192.0.2.77");
        said.log("VCL_Log", "blocked 192.0.2.77 for 198.51.100.99");
        let name = [&[Content::Text as u8], &b"error\0VCL_Log\0rule"[..]].concat();
        said.put(Kind::Match, &name, "blocked 192.0.2.77");
        said
    };
    let form = |send_pii, anonymize_ip| {
        let arguments = PrivacyArguments { anonymize_ip, ..PrivacyArguments::default() };
        Form { send_pii, privacy: Privacy::new(&arguments).unwrap(), ..Form::default() }
    };
    for (send_pii, anonymize, shown) in [(false, false, None), (false, true, None), (true, true, Some("192.0.2.0"))] {
        let sent = said().sent(form(send_pii, anonymize));
        assert!(!sent.contains("192.0.2.77") && !sent.contains("198.51.100.99"), "{sent}");
        assert_eq!(sent.contains("192.0.2.0"), shown.is_some(), "{sent}");
    }
    assert!(said().sent(form(true, false)).contains("blocked 192.0.2.77"));
}

#[test]
fn the_clients_address_is_known_without_a_header() {
    for (send_pii, anonymize_ip, remove, shown) in [
        (false, false, "^nothing$", "[Filtered]"),
        (true, true, "^nothing$", "192.0.2.0"),
        (true, false, r"^user\.ip_address$", "[Filtered]"),
        (true, false, "^nothing$", "192.0.2.77"),
    ] {
        let mut said = Said { remove: vec![remove], ..Said::default() };
        said.put(Kind::ClientIp, b"", "192.0.2.77");
        said.log("VCL_Log", "blocked 192.0.2.77");
        let arguments = PrivacyArguments { anonymize_ip, ..PrivacyArguments::default() };
        let privacy = Privacy::new(&arguments).unwrap();
        let sent = said.sent(Form { send_pii, privacy, ..Form::default() });
        assert!(sent.contains(&format!("blocked {shown}")), "{shown}: {sent}");
        assert_eq!(sent.contains("192.0.2.77"), shown == "192.0.2.77", "{sent}");
    }
}

#[test]
fn what_the_author_removes_is_gone_at_every_exit() {
    let said = |remove: &'static str| {
        let mut said = Said { remove: vec![remove], ..Said::default() };
        said.put(Kind::Url, b"", "/path-of-it?cart=customer-4711");
        said.put(Kind::RequestHeader, b"", "X-Customer: number-4712");
        said.put(Kind::RequestHeader, b"", "Content-Type: application/json");
        said.put(Kind::Body, &10_u64.to_le_bytes(), "[\"bodyzz\"]");
        said.put(Kind::Reason, b"", "the-reason");
        said.log("ReqURL", "/path-of-it?cart=customer-4711");
        said.log("ReqURL", "/rewritten-to?cart=customer-4713");
        // Too short to be looked for elsewhere.
        said.log("ReqURL", "/short");
        said.log("ReqHeader", "X-Customer: number-4712");
        said.log("VCL_Log", "has customer-4711 and number-4712");
        said.log("Error", "error-text");
        let name = |tag: &str| [&[Content::Text as u8], &b"error\0"[..], tag.as_bytes(), b"\0rule"].concat();
        said.put(Kind::Match, &name("Error"), "error-text");
        said.sent(Form { send_pii: true, ..Form::default() })
    };
    for (remove, gone) in [
        (r"^request\.query_string$", "customer-4711"),
        (r"^request\.query_string$", "customer-4713"),
        (r"^request\.headers\.X-Customer$", "number-4712"),
        (r"^request\.url$", "path-of-it"),
        (r"^request\.url$", "rewritten-to"),
        (r"^request\.url$", "/short"),
        (r"^request\.data$", "bodyzz"),
        (r"^contexts\.response\.reason$", "the-reason"),
        (r"^breadcrumbs\.Error$", "error-text"),
        (r"^breadcrumbs\.VCL_Log$", "has "),
        (r"^extra\.matched$", "[error/rule]"),
    ] {
        assert!(said("^nothing$").contains(gone), "{gone}");
        let sent = said(remove);
        assert!(!sent.contains(gone), "{remove}: {sent}");
    }
}

#[test]
fn only_what_is_allowed_has_a_value_at_any_exit() {
    let arguments = PrivacyArguments { allowed_only: true, allow_keys: "page", ..PrivacyArguments::default() };
    let form = || Form { send_pii: true, privacy: Privacy::new(&arguments).unwrap(), ..Form::default() };
    for exit in [Exit::Log, Exit::Match, Exit::Reason] {
        for text in
            ["x q=customer4711 y", "x {\"q\":\"customer4711\"}", "X-Other: customer4711", "Cookie: q=customer4711"]
        {
            let mut said = Said::default();
            said.say(exit, &format!("{text} page=2"));
            let sent = said.sent(form());
            assert!(!sent.contains("customer4711"), "{exit:?} {text}: {sent}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_is_hidden_in_notations_within_notations(
        innermost: u8,
        ways in proptest::collection::vec(any::<u8>(), 0..4),
        exit in proptest::sample::select(&EXITS[..]),
    ) {
        let text = wrapped(innermost, &ways);
        let mut said = Said::default();
        said.say(exit, &text);
        let sent = said.sent(Form { send_pii: true, ..Form::default() });
        prop_assert!(!shows(&sent), "{:?} {}: {}", exit, text, sent);
    }

    #[test]
    fn a_value_that_was_taken_out_is_found_however_it_is_written(
        value in "[A-Za-z0-9+/=_.~-]{8,40}",
        encoded: u64,
        place in 0..4_usize,
        before in "[a-z ]{0,9}",
    ) {
        let place = ["X-Api-Key: ", "Cookie: sid=", "Authorization: Bearer ", "X-Auth-Token: "][place];
        let mut said = Said::default();
        said.put(Kind::RequestHeader, b"", format!("{place}{value}"));
        said.log("VCL_Log", &format!("{before} {} end", escaped(&value, encoded, "")));
        said.put(Kind::Reason, b"", format!("{before}{value}"));
        let sent = said.sent(Form { send_pii: true, ..Form::default() });
        let decoded = protocol::percent::decode_escapes(sent.as_bytes());
        prop_assert!(!String::from_utf8_lossy(&decoded).contains(&*value), "{}", sent);
    }
}

/// How long this thread has been running, whatever else the machine does.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// A hostile text may cost no more, by its bytes, than any other.
#[test]
fn the_time_is_linear_whatever_the_text() {
    let pieces = [
        "k=",
        "=",
        "\"",
        "\\",
        "a ",
        "key:",
        "key=\"",
        "{",
        "<key ",
        "<a ",
        "//",
        "@",
        "eyJ.",
        "%25",
        "name=\"",
        "name=\"key\"",
        "--key ",
        ",",
        "key,'",
        "\\u0061",
        "Bearer ",
        "aaaaaaaa",
        "&quot;",
        "-ip=",
        "s:1:\"key\";s:",
        "a:b@",
        "'",
        "[key]",
        "key>",
        "k",
        "QUJD",
        "&amp;",
        "\\x22",
        "<name>key</name>",
        "<input name=key>",
        "key:</b>",
        "(key)=(a)",
        "(a)values(",
        "key(\"",
        "key=a(",
        "key=<",
        "key=“",
        "key='''",
        "key:|\n ",
        "key in ",
        "key: value \"",
        "value=x name=key ",
        "name=key&a=b&c=d&",
        "O:1:\"",
        "-----BEGIN PRIVATE KEY-----",
        "CONNECT ",
        "-u a:",
        "token+",
        "value=[x name=key x ",
    ];
    for piece in pieces {
        let cost = |len: usize| {
            let text = piece.repeat(len / piece.len());
            let began = cpu();
            let mut said = Said::default();
            said.put(Kind::RequestHeader, b"", format!("X-Api-Key: {text}"));
            said.put(Kind::RequestHeader, b"", format!("X-Said: {text}"));
            said.put(Kind::RequestHeader, b"", format!("Cookie: {text}"));
            said.put(Kind::Url, b"", format!("/?{text}"));
            said.log("VCL_Log", &text);
            said.sent(Form { send_pii: true, ..Form::default() });
            cpu() - began
        };
        // Eight times the text is 64 times the time where it is not linear, at every attempt; a busy machine is slower at some of them.
        let short = (0..5).map(|_| cost(1000)).min().unwrap_or_default();
        let is_linear = (0..20).any(|_| cost(8000) < short * 30 + Duration::from_millis(5));
        assert!(is_linear, "{piece:?}: {short:?} of 1000 bytes");
    }
}
