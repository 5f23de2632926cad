// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of requests, from head to entry.

mod fixture;

use std::io::Write;

use event::rules::ignore::{Expressions, Rule};
use fixture::{World, envelope, event};
use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::category::{Categories, Category};
use protocol::reason::Reason;
use serde_json::Value;
use tunnel::NoBody;
use tunnel::answer::{Outcome, Refusal};
use tunnel::count::Figures;
use tunnel::request::Request;
use tunnel::settings::{By, ClientIp};

const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";

fn post<'r>(url: &'r str) -> Request<'r> {
    Request { method: b"POST", url: url.as_bytes(), ..Request::default() }
}

#[test]
fn a_browsers_envelope_goes_on_as_it_came() {
    let mut world = World::new(|_| {});
    let body = format!(
        "{{\"event_id\":\"{ID}\",\"sent_at\":\"2026-01-01T00:00:01.000Z\",\"sdk\":{{\"name\":\"sentry.javascript.browser\"}},\"dsn\":\"https://k@o1.ingest.example/42\",\"trace\":{{\"trace_id\":\"1\",\"public_key\":\"k\"}}}}\n{{\"type\":\"event\"}}\n{{\"message\":\"x\"}}"
    );
    let request = Request {
        origin: Some(b"https://shop.example"),
        user_agent: Some(b"Mozilla/5.0"),
        content_type: Some(b"text/plain;charset=UTF-8"),
        client: "192.0.2.1".parse().ok(),
        ..post("/1nkzn7d")
    };
    let answer = world.ask(&request, Ok(body.into_bytes()));
    assert_eq!((answer.status(), &*answer.result(), answer.project()), (200, "processed", Some("42")));
    assert_eq!(String::from_utf8_lossy(&answer.response()), format!("{{\"id\":\"{ID}\"}}"));
    world.wait(9);
    let expected = format!(
        "{{\"sdk\":{{\"name\":\"sentry.javascript.browser\"}},\"event_id\":\"{ID}\",\"trace\":{{\"trace_id\":\"1\",\"public_key\":\"k\"}},\"sent_at\":\"2026-01-01T00:00:10.000Z\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"x\"}}\n"
    );
    assert_eq!(world.written(0), expected);
    let entry = &world.sink.entries[0];
    let lines = "X-Sentry-Forwarded-For: 192.0.2.1\nOrigin: https://shop.example\nUser-Agent: Mozilla/5.0\n";
    assert_eq!(entry.headers().map(|headers| headers.as_text()), Some(lines));
    assert_ne!(entry.id().to_string(), ID, "anybody may send the same one twice");
    assert_eq!(entry.dsn().map(|dsn| dsn.to_string()).as_deref(), Some("o1.ingest.example/42"));
}

#[test]
fn only_listed_keys_pass_and_all_that_name_one_must_agree() {
    let mut world = World::new(|_| {});
    let session = |header: &str| format!("{header}\n{{\"type\":\"session\"}}\n{{}}\n").into_bytes();
    let dsn = |dsn: &str| session(&format!("{{\"dsn\":\"{dsn}\"}}"));
    for (url, body, status, result) in [
        ("/api/42/envelope/?sentry_key=k", session("{}"), 200, "processed"),
        ("/api/42/envelope/?sentry_key=k", dsn("https://k@evil.example/42"), 200, "processed"),
        ("/t?sentry_key=k", session("{}"), 200, "processed"),
        ("/api/42/envelope/", dsn("https://k@h/42"), 200, "processed"),
        ("/t", dsn("https://k@h/42"), 200, "processed"),
        ("/t", dsn("https://l@h/43"), 200, "processed"),
        ("/t", dsn("https://k@h/43"), 403, "refused: no such key and project"),
        ("/t", dsn("https://evil@h/42"), 403, "refused: no such key and project"),
        ("/api/42/envelope/?sentry_key=l", session("{}"), 403, "refused: no such key and project"),
        ("/t?sentry_key=evil", session("{}"), 403, "refused: no such key and project"),
        ("/api/43/envelope/", dsn("https://k@h/42"), 403, "refused: the keys or projects that are named differ"),
        ("/t?sentry_key=l", dsn("https://k@h/42"), 403, "refused: the keys or projects that are named differ"),
        ("/t?sentry_key=k&sentry_key=l", session("{}"), 403, "refused: the keys or projects that are named differ"),
        ("/t", session("{}"), 400, "refused: no key and project are named"),
        ("/api/42/envelope/", session("{}"), 400, "refused: no key and project are named"),
        ("/t", dsn("nonsense"), 400, "refused: no key and project are named"),
    ] {
        let text = String::from_utf8_lossy(&body).into_owned();
        // With a host of its own, and as the list has it.
        for text in [text.replace("@h/", "@o1.ingest.example/"), text] {
            let answer = world.ask(&post(url), Ok(text.clone().into_bytes()));
            assert_eq!((answer.status(), &*answer.result()), (status, result), "{url} {text}");
        }
    }
    assert_eq!(world.sink.entries.len(), 12);
    assert!(world.sink.entries.iter().all(|entry| entry.dsn().is_some_and(|dsn| dsn.host() == "o1.ingest.example")));
}

#[test]
fn the_list_is_taken_anew_while_requests_come() {
    let mut world = World::new(|arguments| (arguments.dsns, arguments.has_file) = ("https://k@h/42", true));
    let told =
        world.tunnel.set_file(b"# shop\nhttps://m@h/44\nnonsense\n", &|dsn| world.shared.destination(dsn, world.start));
    assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>().len(), 1);
    let dsns = |world: &World| world.tunnel.dsns().iter().map(|dsn| dsn.to_string()).collect::<Vec<_>>();
    assert_eq!(dsns(&world), ["h/42", "h/44"]);
    let session = |key: &str, project| {
        format!("{{\"dsn\":\"https://{key}@h/{project}\"}}\n{{\"type\":\"session\"}}\n{{}}").into_bytes()
    };
    assert_eq!(world.post("/t", &session("m", 44)), "processed");
    world.tunnel.set_file(b"https://n@h/45", &|dsn| world.shared.destination(dsn, world.start));
    assert_eq!(dsns(&world), ["h/42", "h/45"]);
    assert_eq!(world.post("/t", &session("m", 44)), "refused: no such key and project");
    assert_eq!(world.post("/t", &session("n", 45)), "processed");
    assert_eq!(world.post("/t", &session("k", 42)), "processed");
}

#[test]
fn the_paths_are_those_of_the_sdk_whatever_the_upstream() {
    let world = World::new(|arguments| {
        arguments.dsns = "https://0123456789abcdef@sentry.example.com/42 https://k@h/1";
        arguments.upstream = "http://sentry:9000/x";
    });
    assert_eq!(world.tunnel.path(1).as_deref(), Some("/1nkzn7d"));
    assert!(world.tunnel.path(2).is_some_and(|path| path != "/1nkzn7d"));
    assert_eq!([0, 3, -1, i64::MIN, i64::MAX].map(|number| world.tunnel.path(number)), [const { None }; 5]);
    assert_eq!(world.tunnel.dsns()[0].envelope_url(), "http://sentry:9000/x/api/42/envelope/");
}

#[test]
fn a_request_is_judged_by_its_head_first() {
    let mut world = World::new(|arguments| arguments.max_body = 2000);
    let whole = event("{}");
    let table: &[(Request<'_>, u16, &str)] = &[
        (Request { method: b"PUT", ..post("/t") }, 405, "refused: method not allowed"),
        (Request { method: b"OPTIONS", ..post("/t") }, 405, "refused: method not allowed"),
        (Request { method: b"GET", ..post("/t") }, 405, "refused: method not allowed"),
        (Request { method: b"GET", ..post("/api/42/store/?sentry_key=k") }, 405, "refused: method not allowed"),
        (
            Request { method: b"GET", ..post("/api/42/envelope/?sentry_data={}&sentry_key=k") },
            405,
            "refused: method not allowed",
        ),
        (Request { content_length: Some(2001), ..post("/t") }, 413, "refused: the body is too large"),
        (Request { content_length: Some(u64::MAX), ..post("/t") }, 413, "refused: the body is too large"),
        (Request { content_length: Some(2000), ..post("/t") }, 200, "processed"),
        (
            Request { content_encoding: Some(b"compress"), ..post("/t") },
            400,
            "refused: the content encoding is not known, or the body is not what it says",
        ),
    ];
    for (request, status, result) in table {
        let answer = world.ask(request, Ok(whole.clone()));
        assert_eq!((answer.status(), &*answer.result()), (*status, *result), "{request:?}");
    }
}

#[test]
fn a_body_that_is_not_there_is_refused_by_why() {
    let mut world = World::new(|_| {});
    for (no_body, refusal, status) in [
        (NoBody::TooLarge, Refusal::TooLarge, 413),
        (NoBody::Late, Refusal::Unread, 400),
        (NoBody::Failed, Refusal::Unread, 400),
        (NoBody::Taken, Refusal::Taken, 400),
        (NoBody::NoStorage, Refusal::NoStorage, 503),
    ] {
        let answer = world.ask(&post("/t"), Err(no_body));
        assert_eq!((answer.outcome(), answer.status()), (Outcome::Refused(refusal), status));
    }
    assert_eq!(world.post("/t", b"hello"), "refused: the envelope header is not one JSON object on the first line");
    assert_eq!(world.post("/t", b""), "refused: the envelope header is not one JSON object on the first line");
    assert_eq!(world.post("/t", b"{}\n"), "refused: there are no items");
    assert_eq!(world.tunnel.reading(), 0);
}

#[test]
fn readers_clients_and_all_of_them_have_their_bounds() {
    let mut world = World::new(|arguments| (arguments.per_client, arguments.max_readers) = (2, 1));
    let answers: Vec<_> = (0..3).map(|_| world.event("{}")).collect();
    assert_eq!(answers, ["processed", "processed", "refused: too many requests of this client"]);
    let other = Request { client: "192.0.2.2".parse().ok(), ..post("/t") };
    let now = world.now();
    let ticket = world.tunnel.admit(&other, now);
    assert!(ticket.is_ok() && world.tunnel.reading() == 1);
    let refused = world.tunnel.admit(&other, now).err().unwrap();
    assert_eq!((refused.status(), &*refused.result()), (503, "refused: too many bodies are being read"));
    drop(ticket);
    assert_eq!(world.ask(&other, Ok(event("{}"))).status(), 200);
    let answer = world.ask(&other, Ok(event("{}")));
    assert_eq!((answer.status(), answer.rate_limits(now).as_deref()), (429, Some("60::key")));
    world.wait(60);
    assert_eq!(world.event("{}"), "processed");
    let mut world = World::new(|arguments| arguments.max_rate = 200);
    let passed = (0..300).filter(|_| world.event("{}") != "refused: too many requests").count();
    assert_eq!(passed, 200);
}

#[test]
fn ten_of_a_kind_pass_a_second_and_the_next_tells_how_many_did_not() {
    let mut world = World::new(|_| {});
    let json = r#"{"exception":{"values":[{"type":"TypeError","value":"x","stacktrace":{"frames":[{"function":"f","lineno":1}]}}]}}"#;
    let results: Vec<_> = (0..25).map(|_| world.event(json)).collect();
    assert!(results.iter().take(10).all(|result| result == "processed"));
    assert!(results.iter().skip(10).all(|result| result == "throttled"));
    assert_eq!(world.event(&json.replace("lineno\":1", "lineno\":2")), "processed", "another kind");
    assert_eq!(world.refused(), [(Category::Error, 1, Reason::Throttled); 15]);
    world.wait(1);
    assert_eq!(world.event(json), "processed");
    let told = world.written(11);
    let event = json.replacen('{', "{\"extra\":{\"sentry.suppressed\":15},", 1);
    assert!(told.ends_with(&format!("{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len())), "{told}");
    assert_eq!(world.event(json), "processed");
    assert!(world.written(12).contains(json), "told once");
}

#[test]
fn what_says_nothing_is_throttled_by_client_and_what_is_no_event_is_not() {
    let mut world = World::new(|arguments| arguments.throttle = 1);
    let other = Request { client: "192.0.2.2".parse().ok(), ..post("/t") };
    assert_eq!(
        (world.event("{}"), world.event("{\"level\":\"info\"}")),
        ("processed".to_owned(), "throttled".to_owned())
    );
    assert_eq!(world.ask(&other, Ok(event("{}"))).result(), "processed");
    for items in [[("session", "{}")], [("transaction", "{\"message\":\"x\"}")], [("replay_event", "{}")]] {
        let results = [(); 3].map(|()| world.post("/t", &envelope(&items)));
        assert_eq!(results, ["processed"; 3], "{items:?}");
    }
    let report = br#"{"csp-report":{"effective-directive":"img-src","blocked-uri":"https://evil/x"}}"#;
    let results = [(); 2].map(|()| world.post("/api/42/security/?sentry_key=k", report));
    assert_eq!(results, ["processed", "throttled"]);
}

#[test]
fn by_url_a_page_is_one_key_and_by_none_nothing_is() {
    let mut world = World::new(|arguments| (arguments.throttle, arguments.by) = (1, By::Url));
    let at = |page: &str, message: &str| format!(r#"{{"message":"{message}","request":{{"url":"https://a/{page}"}}}}"#);
    let results = [("x?1", "a"), ("x?2", "b"), ("y", "a")].map(|(page, message)| world.event(&at(page, message)));
    assert_eq!(results, ["processed", "throttled", "processed"]);
    let referer = Request { referer: Some(b"https://a/y#z"), ..post("/t") };
    assert_eq!(world.ask(&referer, Ok(event("{\"message\":\"c\"}"))).result(), "throttled");
    let mut world = World::new(|arguments| (arguments.throttle, arguments.by) = (1, By::None));
    assert!((0..50).all(|_| world.event("{\"message\":\"a\"}") == "processed"));
}

#[test]
fn rules_and_noise_are_ignored_whole_and_by_name() {
    let mut world = World::new(|arguments| arguments.throttle = 0);
    let rule = |expressions: &Expressions<'_>| std::sync::Arc::new(Rule::new(expressions).unwrap());
    world
        .tunnel
        .ignore(&rule(&Expressions { message: "^TypeError: .*undefined", level: "^error$", ..Expressions::default() }))
        .unwrap();
    world.tunnel.ignore(&rule(&Expressions { url: "^https://staging", ..Expressions::default() })).unwrap();
    world.tunnel.ignore(&rule(&Expressions { user_agent: "MSIE", ..Expressions::default() })).unwrap();
    let thrown = r#"{"exception":[{"type":"TypeError","value":"x is undefined"}]}"#;
    let from_robot = r#"{"request":{"headers":{"User-Agent":"Googlebot/2.1"}}}"#;
    let table = |noise: &'static str| {
        [
            (thrown, "ignored"),
            (r#"{"level":"warning","exception":[{"type":"TypeError","value":"x is undefined"}]}"#, "processed"),
            (r#"{"message":"x","request":{"url":"https://staging.example/"}}"#, "ignored"),
            (r#"{"message":"x","request":{"url":"https://shop.example/"}}"#, "processed"),
            (r#"{"logentry":{"message":"TypeError: %s","formatted":"TypeError: undefined"}}"#, "ignored"),
            (from_robot, noise),
        ]
    };
    for (json, expected) in table("processed") {
        assert_eq!(world.event(json), expected, "{json}");
    }
    let old = Request { user_agent: Some(b"MSIE 6"), ..post("/t") };
    assert_eq!(world.ask(&old, Ok(envelope(&[("session", "{}")]))).result(), "ignored");
    world.refused();
    world.tunnel.ignore_builtin();
    for (json, expected) in table("ignored: crawler") {
        assert_eq!(world.event(json), expected, "{json}");
    }
    assert_eq!(
        world.event(r#"{"exception":[{"type":"Error","value":"ResizeObserver loop limit exceeded"}]}"#),
        "ignored: resize_observer"
    );
    let script_error = r#"{"exception":{"values":[{"type":"Error","value":"Script error.","stacktrace":{"frames":[{"filename":"https://a/","function":"?","lineno":0}]}}]}}"#;
    assert_eq!(world.event(script_error), "ignored: script_error");
    assert!(world.refused().iter().all(|(_, _, reason)| *reason == Reason::Ignored));
    let whole = envelope(&[("attachment", "abc"), ("event", thrown), ("session", "{}")]);
    assert_eq!(world.post("/t", &whole), "ignored");
    let all = [(Category::Error, 1), (Category::Attachment, 3), (Category::Session, 1)];
    assert_eq!(world.refused(), all.map(|(category, quantity)| (category, quantity, Reason::Ignored)));
}

#[test]
fn types_that_are_dropped_stay_behind_with_what_belongs_to_them() {
    let mut world = World::new(|arguments| arguments.drop_items = "replay_event, transaction");
    let body = envelope(&[("transaction", "{}"), ("profile", "{}"), ("session", "{}"), ("replay_recording", "xyz")]);
    assert_eq!(world.post("/t", &body), "processed");
    assert!(world.written(0).ends_with("}\n{\"type\":\"session\",\"length\":2}\n{}\n"));
    let expected = [(Category::Transaction, 1), (Category::Profile, 1), (Category::Replay, 1)];
    assert_eq!(world.refused(), expected.map(|(category, quantity)| (category, quantity, Reason::Ignored)));
    assert_eq!(world.post("/t", &envelope(&[("replay_video", "{}")])), "dropped");
}

#[test]
fn limits_are_obeyed_item_by_item() {
    let mut world = World::new(|_| {});
    world.limit("60:session;log_byte:key");
    let log = envelope(&[("event", "{}"), ("session", "{}"), ("log", "{\"items\":[]}"), ("attachment", "x")]);
    assert_eq!(world.post("/t", &log), "processed");
    assert_eq!(
        world.sink.entries[0].parts().iter().map(|part| part.category).collect::<Vec<_>>(),
        [Category::Error, Category::Attachment]
    );
    let expected = [(Category::Session, 1), (Category::LogItem, 1), (Category::LogByte, 12)];
    assert_eq!(world.refused(), expected.map(|(category, quantity)| (category, quantity, Reason::RatelimitBackoff)));
    world.limit("60:error:key");
    assert_eq!(world.post("/t", &log), "limited");
    let answer = world.ask(&post("/t"), Ok(event("{}")));
    assert_eq!(
        (answer.status(), answer.rate_limits(world.now()).as_deref()),
        (429, Some("60:error:key, 60:log_byte:key, 60:session:key"))
    );
    assert_eq!(world.post("/t", &envelope(&[("client_report", "{}")])), "processed");
    world.wait(61);
    assert_eq!(world.post("/t", &log), "processed");
    // What is limited later stays behind later.
    let may = Categories::ALL.without(Category::Error);
    let written = world.written_bytes(2, may);
    assert!(
        !written.windows(7).any(|window| window == b"\"event\"")
            && written.windows(9).any(|window| window == b"\"session\"")
    );
}

#[test]
fn a_share_is_by_chance_and_a_replay_is_whole() {
    let mut world = World::new(|arguments| (arguments.share, arguments.throttle) = ("42=0.5,43=0", 0));
    let kept = (0..200).filter(|_| world.event("{}") == "processed").count();
    assert!((60..140).contains(&kept), "{kept}");
    assert_eq!(world.refused().len(), 200 - kept);
    let other = b"{\"dsn\":\"https://l@h/43\"}\n{\"type\":\"event\"}\n{}";
    assert_eq!(world.post("/t", other), "sampled");
    let mut seen = [0, 0];
    for number in 0..40 {
        let body = format!(
            "{{\"event_id\":\"{number:032x}\",\"dsn\":\"https://k@h/42\"}}\n{{\"type\":\"replay_event\"}}\n{{}}\n{{\"type\":\"replay_recording\"}}\nx"
        );
        let results: Vec<_> = (0..5).map(|_| world.post("/t", body.as_bytes())).collect();
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        seen[usize::from(results[0] == "processed")] += 1;
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

#[test]
fn packed_bodies_are_looked_at_and_bombs_are_not() {
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let mut world = World::new(|arguments| arguments.max_body = 4096);
    let request = Request { content_encoding: Some(b"gzip"), ..post("/t") };
    let body = event("{\"message\":\"packed\"}");
    assert_eq!(world.ask(&request, Ok(gzip(&body))).result(), "processed");
    assert!(world.written(0).ends_with("{\"message\":\"packed\"}\n"));
    assert_eq!(world.ask(&request, Ok(gzip(&vec![b' '; 1 << 20]))).status(), 413);
    assert_eq!(world.ask(&request, Ok(body)).status(), 400);
}

#[test]
fn old_sdks_and_browsers_reports_become_envelopes() {
    let mut world = World::new(|_| {});
    let json = format!("{{\"event_id\":\"{ID}\",\"message\":\"old\"}}");
    let auth = Request { sentry_auth: Some(b"Sentry sentry_version=7, sentry_key=k"), ..post("/api/42/store/") };
    let answer = world.ask(&auth, Ok(json.clone().into_bytes()));
    assert_eq!(String::from_utf8_lossy(&answer.response()), format!("{{\"id\":\"{ID}\"}}"));
    let written = format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n{json}\n", json.len());
    assert_eq!(world.written(0), written);
    let keyed = Request { url: b"/api/store/", ..auth };
    assert_eq!(world.ask(&keyed, Ok(json.clone().into_bytes())).result(), "processed");
    let url = format!("/api/42/store/?sentry_version=7&sentry_key=k&sentry_data={}", json.replace('"', "%22"));
    let get = Request { method: b"GET", ..post(&url) };
    let answer = world.ask(&get, Err(NoBody::Taken));
    assert_eq!((answer.status(), answer.content_type()), (200, "image/gif"));
    assert!(answer.response().starts_with(b"GIF89a"));
    assert_eq!(world.written(2), written);
    let whole = Request { content_type: Some(b"application/x-sentry-envelope"), ..auth };
    assert_eq!(world.ask(&whole, Ok(event("{}"))).result(), "processed");
    let report = b"{\"csp-report\":{}}";
    assert_eq!(world.post("/api/42/csp-report/?sentry_key=k&sentry_release=r1", report), "processed");
    assert!(
        world
            .written(4)
            .ends_with("{\"type\":\"raw_security\",\"length\":17,\"sentry_release\":\"r1\"}\n{\"csp-report\":{}}\n")
    );
    assert_eq!(world.sink.entries[4].parts()[0].category, Category::Security);
    for (url, body, result) in [
        ("/api/42/store/?sentry_key=k", "hello", "refused: the event is neither JSON nor base64 of zlib"),
        ("/api/42/store/?sentry_key=k", "{]", "refused: the event is not one JSON object, or its event_id is none"),
        ("/api/42/security/?sentry_key=k", "[]", "refused: the report is not one JSON object"),
    ] {
        assert_eq!(world.post(url, body.as_bytes()), result);
    }
}

#[test]
fn the_clients_address_is_never_what_it_says() {
    for (how, expected) in
        [(ClientIp::Send, Some("192.0.2.77")), (ClientIp::Short, Some("192.0.2.0")), (ClientIp::None, None)]
    {
        let mut world = World::new(|arguments| arguments.client_ip = how);
        let request = Request { client: "192.0.2.77".parse().ok(), ..post("/t") };
        world.ask(&request, Ok(event("{}")));
        let text = world.sink.entries[0].headers().map(|headers| headers.as_text().to_owned()).unwrap_or_default();
        assert_eq!(text, expected.map(|address| format!("X-Sentry-Forwarded-For: {address}\n")).unwrap_or_default());
    }
}

#[test]
fn a_queue_that_takes_nothing_is_told_by_status() {
    let mut world = World::new(|_| {});
    for (reason, status, result) in [
        (Reason::QueueOverflow, 413, "refused: the body is too large"),
        (Reason::Closed, 503, "refused: not taken at present"),
        (Reason::NoDsn, 503, "refused: not taken at present"),
    ] {
        world.sink.says = Some(reason);
        let answer = world.ask(&post("/t"), Ok(event("{}")));
        assert_eq!((answer.status(), &*answer.result()), (status, result));
    }
    assert!(world.sink.refused.is_empty(), "the queue has counted it");
}

#[test]
fn all_requests_are_counted_once_in_all_and_by_project() {
    let mut world = World::new(|arguments| (arguments.throttle, arguments.share) = (2, "43=0"));
    (0..5).for_each(|_| drop(world.event("{\"message\":\"x\"}")));
    world.post("/t", b"{\"dsn\":\"https://l@h/43\"}\n{\"type\":\"event\"}\n{}");
    world.post("/t", b"hello");
    world.post("/t?sentry_key=k", b"hello");
    world.post("/t?sentry_key=evil", b"hello");
    let figures = Figures::<Value> { waiting: 2, average: None, percentile: None, projects: Vec::new() };
    let count: Value = serde_json::from_str(&world.tunnel.count(&figures)).unwrap();
    let of = |of: &Value| {
        let number = |name: &str| of[name].as_u64().unwrap();
        assert_eq!(number("accepted"), number("processed") + number("ignored"));
        ["accepted", "processed", "ignored", "refused"].map(number)
    };
    assert_eq!(of(&count), [6, 2, 4, 3]);
    assert_eq!(of(&count["projects"]["42"]), [5, 2, 3, 1]);
    assert_eq!(of(&count["projects"]["43"]), [1, 0, 1, 0]);
    assert_eq!(count["ignored_by"], serde_json::json!({"throttle": 3, "share": 1}));
    assert_eq!(count["refused_by"], serde_json::json!({"malformed": 2, "unknown_key": 1}));
}
