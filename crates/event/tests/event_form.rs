// SPDX-License-Identifier: BSD-2-Clause
//! The JSON of events, compared with what was written by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::numbers::Numbers;
use event::capture::record::Record;
use event::capture::scope::Scope;
use event::identity::Identity;
use event::payload::json;
use privacy::scrub::Scrub;
use protocol::event_id::EventId;

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_767_225_600_250_000)
}

fn record(base: Scope, write: impl Fn(&mut Fields)) -> Record {
    let mut fields = Fields::default();
    write(&mut fields);
    Record::new(EventId::from_random([0x11; 16]), at(), Level::Error, Arc::new(base), fields)
}

fn json_of(record: &Record, identity: &Identity, send_pii: bool) -> String {
    let mut out = b"what was there".to_vec();
    json::write(record, identity, Scrub::new(send_pii), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The event of `write` between what every event starts and ends with.
fn body(write: impl Fn(&mut Fields)) -> String {
    body_of(&record(Scope::default(), write))
}

fn body_of(record: &Record) -> String {
    let json = json_of(record, &Identity::default(), false);
    let head = "{\"event_id\":\"11111111111141119111111111111111\",\"timestamp\":1767225600.25,\
                \"platform\":\"other\",\"level\":\"error\",\"logger\":\"varnish.vcl\",\"environment\":\"production\"";
    let tail = format!(
        ",\"sdk\":{{\"name\":\"sentry.varnish\",\"version\":\"{}\",\"settings\":{{\"infer_ip\":\"never\"}}}}}}",
        env!("CARGO_PKG_VERSION")
    );
    let body = json.strip_prefix(head).and_then(|rest| rest.strip_suffix(&*tail));
    body.unwrap_or_else(|| panic!("{json}")).to_owned()
}

fn put(fields: &mut Fields, all: &[(Kind, &str, &str)]) {
    all.iter().for_each(|(kind, name, value)| fields.put(*kind, name.as_bytes(), value.as_bytes()));
}

#[test]
fn an_event_with_everything_in_it() {
    let mut base = Scope::default();
    base.set_tag(b"site", b"shop").unwrap();
    base.add_breadcrumb(at() - Duration::from_secs(60), Level::Info, b"vcl", b"loaded").unwrap();
    let mut task = Scope::default();
    task.add_breadcrumb(at() - Duration::from_secs(1), Level::Warning, b"backend", b"retry").unwrap();
    task.set_extra(b"grace", b"10s").unwrap();
    task.set_user(b"id", b"4711").unwrap();
    task.set_fingerprint(&[b"{{ default }}", b"", b"web7"]).unwrap();
    task.set_transaction(b"vcl_backend_error").unwrap();
    let mut made = record(base, |fields| {
        put(
            fields,
            &[
                (Kind::Message, "", "backend {1} failed: {2}"),
                (Kind::Param, "1", "web7"),
                (Kind::Param, "2", "503"),
                (Kind::Method, "", "GET"),
                (Kind::Scheme, "", "https"),
                (Kind::Url, "", "/cart?page=2&token=s3cr3t#top"),
                (Kind::RequestHeader, "", "Accept: */*"),
                (Kind::RequestHeader, "", "Host: shop.example"),
                (Kind::RequestHeader, "", "Authorization: Basic czNjcjN0"),
                (Kind::RequestHeader, "", "Cookie: lang=de; sid=s3cr3t"),
                (Kind::Status, "", "503"),
                (Kind::Reason, "", "Backend fetch failed"),
                (Kind::ResponseHeader, "", "Set-Cookie: sid=s3cr3t; Path=/"),
                (Kind::ClientIp, "", "192.0.2.1"),
                (Kind::Tag, "vcl.sub", "backend_error"),
                (Kind::Context, "runtime\0name", "varnish"),
            ],
        );
        fields.put(Kind::ContextInt, b"varnish\0xid", &32770i64.to_le_bytes());
        fields.put(Kind::ContextReal, b"varnish\0ttl", &(-1.5f64).to_le_bytes());
        fields.begin_scopes();
        task.write(fields);
    });
    made.suppressed = 7;
    made.occurrences = 50;
    let identity = Identity::default()
        .with_release("shop@1.2.3")
        .and_then(|identity| identity.with_dist("7"))
        .and_then(|identity| identity.with_environment("staging"))
        .map(|identity| identity.with_server_name(b"cache-7"))
        .unwrap();
    let expected = r#"{"event_id":"11111111111141119111111111111111","timestamp":1767225600.25,"platform":"other",
"level":"error","logger":"varnish.vcl","transaction":"vcl_backend_error","transaction_info":{"source":"custom"},"server_name":"cache-7",
"release":"shop@1.2.3","environment":"staging","dist":"7",
"logentry":{"message":"backend {1} failed: {2}","params":["web7","503"],"formatted":"backend web7 failed: 503"},
"fingerprint":["{{ default }}","web7"],
"tags":{"site":"shop","vcl.sub":"backend_error"},
"user":{"id":"4711","ip_address":"192.0.2.1"},
"request":{"method":"GET","url":"https://shop.example/cart","query_string":"page=2&token=[Filtered]",
"headers":{"Host":"shop.example","Accept":"*/*","Cookie":"lang=de; sid=[Filtered]","Authorization":"[Filtered]"}},
"contexts":{"response":{"headers":{"Set-Cookie":"sid=[Filtered]; Path=/"},"reason":"Backend fetch failed","status_code":503},
"runtime":{"name":"varnish"},"varnish":{"ttl":-1.5,"xid":32770}},
"breadcrumbs":{"values":[
{"timestamp":1767225540.25,"level":"info","category":"vcl","message":"loaded"},
{"timestamp":1767225599.25,"level":"warning","category":"backend","message":"retry"}]},
"extra":{"grace":"10s","sentry.occurrences":50,"sentry.suppressed":7},
"sdk":{"name":"sentry.varnish","version":"VERSION"}}"#;
    let expected = expected.replace('\n', "").replace("VERSION", env!("CARGO_PKG_VERSION"));
    assert_eq!(json_of(&made, &identity, true), expected);
}

#[test]
fn an_event_with_nothing_in_it() {
    assert_eq!(body(|_| {}), "");
    assert_eq!(body(|fields| fields.put(Kind::Message, b"", b"")), "");
}

#[test]
fn without_pii_the_clients_address_stays_here() {
    assert_eq!(body(|fields| fields.put(Kind::ClientIp, b"", b"192.0.2.1")), "");
}

#[test]
fn a_server_takes_the_users_address_from_elsewhere_only_if_vcl_asks_for_it_or_pii_may_leave() {
    let of = |address: &[u8], send_pii| {
        let mut task = Scope::default();
        task.set_user(b"ip_address", address).unwrap();
        let made = record(Scope::default(), |fields| {
            fields.begin_scopes();
            task.write(fields);
        });
        json_of(&made, &Identity::default(), send_pii)
    };
    let never = r#""settings":{"infer_ip":"never"}"#;
    assert!(of(b"192.0.2.1", false).contains(never));
    for (address, send_pii) in [(&b"{{auto}}"[..], false), (b"{{auto}}", true), (b"192.0.2.1", true), (b"", true)] {
        let json = of(address, send_pii);
        assert!(!json.contains("infer_ip"), "{json}");
    }
}

#[test]
fn an_exception_takes_the_place_of_the_message() {
    let fields =
        [(Kind::Message, "", "ignored"), (Kind::Exception, "FetchError", "no backend {1}"), (Kind::Param, "1", "web7")];
    assert_eq!(
        body(|out| put(out, &fields)),
        r#","exception":{"values":[{"type":"FetchError","value":"no backend web7","mechanism":{"type":"varnish","handled":true}}]}"#
    );
}

#[test]
fn what_the_task_knows_yields_to_the_vcls_scope_and_that_to_the_tasks() {
    let mut base = Scope::default();
    base.set_tag(b"both", b"vcl").unwrap();
    base.set_tag(b"vcl", b"vcl").unwrap();
    base.set_fingerprint(&[b"vcl"]).unwrap();
    base.set_transaction(b"vcl").unwrap();
    let made = record(base, |fields| {
        put(fields, &[(Kind::Tag, "vcl", "known"), (Kind::Tag, "known", "known"), (Kind::Logger, "", "edge")]);
        fields.begin_scopes();
        put(fields, &[(Kind::Tag, "both", "task"), (Kind::Fingerprint, "", "a"), (Kind::Fingerprint, "", "b")]);
    });
    let json = json_of(&made, &Identity::default(), false);
    assert!(
        json.contains(r#""logger":"edge","transaction":"vcl","transaction_info":{"source":"custom"},"environment""#),
        "{json}"
    );
    let expected = r#""fingerprint":["a","b"],"tags":{"both":"task","known":"known","vcl":"vcl"}"#;
    assert!(json.contains(expected), "{json}");
}

#[test]
fn the_vcls_fingerprint_holds_where_the_task_has_none() {
    let mut base = Scope::default();
    base.set_fingerprint(&[b"vcl"]).unwrap();
    assert_eq!(body_of(&record(base, |_| {})), r#","fingerprint":["vcl"]"#);
}

#[test]
fn tags_are_brought_into_the_form_that_sentry_takes() {
    let long = "x".repeat(300);
    for (name, value, tags) in [
        ("a b/c\u{e4}", "v", r#","tags":{"a-b_c_":"v"}"#),
        ("k", " a\r\nb\u{0}\t", r#","tags":{"k":"a  b"}"#),
        ("k", "", ""),
        ("k", " \u{2028}", ""),
        ("", "v", ""),
        ("k", &long, &format!(r#","tags":{{"k":"{}..."}}"#, &long[..197])),
        (&long, "v", &format!(r#","tags":{{"{}...":"v"}}"#, &long[..197])),
    ] {
        assert_eq!(body(|fields| put(fields, &[(Kind::Tag, name, value)])), tags);
    }
}

#[test]
fn an_empty_tag_takes_an_earlier_one_away() {
    let mut base = Scope::default();
    base.set_tag(b"k", b"vcl").unwrap();
    let made = record(base, |fields| {
        fields.begin_scopes();
        fields.put(Kind::Tag, b"k", b"");
    });
    assert_eq!(body_of(&made), "");
}

#[test]
fn names_that_become_the_same_make_one_key() {
    let same = |fields: &mut Fields| {
        for name in [b"\xff", b"\xfe"] {
            fields.put(Kind::Extra, name, name);
            fields.put(Kind::Context, &[b"c\0", &name[..]].concat(), b"v");
        }
        put(fields, &[(Kind::Tag, "a b", "1"), (Kind::Tag, "a-b", "2")]);
    };
    assert_eq!(
        body(same),
        ",\"tags\":{\"a-b\":\"2\"},\"contexts\":{\"c\":{\"\u{fffd}\":\"v\"}},\"extra\":{\"\u{fffd}\":\"\u{fffd}\"}"
    );
}

#[test]
fn logger_and_transaction_are_one_line_and_not_too_long() {
    let long = "x".repeat(300);
    let fields = [(Kind::Logger, "", &*format!("a\n{long}")), (Kind::Transaction, "", &*format!("b\r{long}"))];
    let json = json_of(&record(Scope::default(), |out| put(out, &fields)), &Identity::default(), false);
    let expected = format!(r#""logger":"a {}...","transaction":"b {}...""#, &long[..59], &long[..195]);
    assert!(json.contains(&expected), "{json}");
}

#[test]
fn a_method_or_status_that_is_none_is_left_out() {
    for (method, request) in [
        ("PURGE", r#","request":{"method":"PURGE"}"#),
        ("M-SEARCH", r#","request":{"method":"M-SEARCH"}"#),
        ("X", ""),
        ("PRI*", ""),
        ("B\u{0}D", ""),
    ] {
        assert_eq!(body(|fields| put(fields, &[(Kind::Method, "", method)])), request);
    }
    for status in ["", "abc", "-1", "5030000"] {
        assert_eq!(body(|fields| put(fields, &[(Kind::Status, "", status)])), "");
    }
}

#[test]
fn numbers_that_are_none_are_null() {
    let real = |fields: &mut Fields| {
        fields.put(Kind::ContextReal, b"c\0k", &f64::NAN.to_le_bytes());
        fields.put(Kind::ContextInt, b"c\0short", b"1");
    };
    assert_eq!(body(real), r#","contexts":{"c":{"k":null}}"#);
}

#[test]
fn packed_numbers_are_values_of_their_context_to_three_decimals() {
    let mut numbers = Numbers::default();
    numbers.real("ttl", 119.999_499_9);
    numbers.count("hits", 3);
    let fields = |fields: &mut Fields| {
        fields.put(Kind::Context, b"varnish\0cache", b"hit");
        fields.put(Kind::Numbers, b"varnish", numbers.packed());
    };
    assert_eq!(body(fields), r#","contexts":{"varnish":{"cache":"hit","hits":3,"ttl":119.999}}"#);
}

#[test]
fn the_size_of_the_body_is_the_content_length_where_there_is_a_body() {
    for (method, status, length, response) in [
        ("GET", "200", "278", r#"{"body_size":278,"headers":{"Content-Length":"278"},"status_code":200}"#),
        ("HEAD", "200", "278", r#"{"headers":{"Content-Length":"278"},"status_code":200}"#),
        ("GET", "304", "278", r#"{"headers":{"Content-Length":"278"},"status_code":304}"#),
        ("GET", "200", "-1", r#"{"headers":{"Content-Length":"-1"},"status_code":200}"#),
    ] {
        let header = format!("Content-Length: {length}");
        let all = [(Kind::Method, "", method), (Kind::Status, "", status), (Kind::ResponseHeader, "", &*header)];
        let request = format!(r#","request":{{"method":"{method}"}},"contexts":{{"response":{response}}}"#);
        assert_eq!(body(|fields| put(fields, &all)), request);
    }
}

#[test]
fn a_request_body_is_a_text_without_secrets_and_within_what_sentry_keeps() {
    let data = |content_type: &str, bytes: &[u8], len: u64| {
        let json = body(|fields| {
            fields.put(Kind::RequestHeader, b"", content_type.as_bytes());
            fields.put(Kind::Body, &len.to_le_bytes(), bytes);
        });
        let (_, data) = json.split_once(r#""data":"#).unwrap_or_else(|| panic!("{json}"));
        data.strip_suffix('}').unwrap().to_owned()
    };
    let json = "content-type: application/json";
    assert_eq!(data(json, br#"{"token":"s3","a":1}"#, 20), r#""{\"token\":\"[Filtered]\",\"a\":1}""#);
    assert_eq!(data(json, br#"{"a":"b"#, 20), r#""{\"a\":\"b...""#);
    assert_eq!(data("Content-Type: image/png", b"\x89PNG", 70_000), r#""[70000 bytes]""#);
    assert_eq!(data("Content-Type: application/json\r", b"[1,\x802]", 6), r#""[1,[Filtered]""#);
    let long = format!("\"{}\"", "\u{e9}".repeat(4095));
    assert_eq!(data(json, long.as_bytes(), 8192).len(), "\"\\\"...\"".len() + 8186);
}

#[test]
fn breadcrumbs_keep_the_newest_hundred_and_those_out_of_time_go() {
    let crumb = |seconds: f64| [b"info\0cat\0".as_slice(), &seconds.to_le_bytes()].concat();
    let made = record(Scope::default(), |fields| {
        for seconds in (0..105).rev() {
            fields.put(Kind::Breadcrumb, &crumb(f64::from(seconds)), seconds.to_string().as_bytes());
        }
        for seconds in [f64::NAN, f64::INFINITY, -1.0, 1e12] {
            fields.put(Kind::Breadcrumb, &crumb(seconds), b"out of time");
        }
        fields.put(Kind::Breadcrumb, b"info", b"no time");
    });
    let body = body_of(&made);
    let first = r#","breadcrumbs":{"values":[{"timestamp":5.0,"level":"info","category":"cat","message":"5"},"#;
    assert!(body.starts_with(first) && body.ends_with(r#""message":"104"}]}"#), "{body}");
    assert_eq!(body.matches("\"message\"").count(), 100);
}

#[test]
fn what_there_was_no_room_for_is_counted() {
    let made = record(Scope::default(), |fields| {
        fields.put(Kind::Extra, b"big", &[b'x'; Record::MAX_SIZE]);
        for number in 0..20 {
            fields.put(Kind::RequestHeader, b"", format!("X-{number}: {}", "v".repeat(700)).as_bytes());
        }
    });
    let body = body_of(&made);
    let headers = body.matches("\"X-").count();
    assert!(body.ends_with(&format!(r#","extra":{{"sentry.fields_left_out":{}}}"#, 21 - headers)), "{body}");
}

#[test]
fn all_extras_together_stay_within_their_size() {
    // 16 KiB each as they are sent, a third of that as they are set.
    let full = || {
        let mut scope = Scope::default();
        (0..5).for_each(|number| scope.set_extra(format!("{number}").as_bytes(), &[0xff; 5461]).unwrap());
        scope
    };
    let made = record(full(), |fields| {
        fields.begin_scopes();
        for number in 5..17 {
            fields.put(Kind::Extra, format!("{number}").as_bytes(), &[0xff; 5400]);
        }
    });
    let json: serde_json::Value = serde_json::from_str(&json_of(&made, &Identity::default(), false)).unwrap();
    let extra = json["extra"].as_object().unwrap();
    let size: usize = extra.values().map(|value| value.as_str().map_or(0, str::len)).sum();
    assert!((240_000..262_144).contains(&size), "{size}");
    assert_eq!((extra.len(), &extra["sentry.fields_left_out"]), (17, &serde_json::json!(1)));
}

#[test]
fn a_time_before_1970_counts_as_1970() {
    let id = EventId::from_random([0; 16]);
    let made = Record::new(id, UNIX_EPOCH - Duration::from_secs(1), Level::Fatal, Arc::default(), Fields::default());
    let json = json_of(&made, &Identity::default(), false);
    assert!(json.contains(r#""timestamp":0.0,"platform":"other","level":"fatal""#), "{json}");
}
