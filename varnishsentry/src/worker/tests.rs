// SPDX-License-Identifier: BSD-2-Clause
//! From groups to events as Sentry gets them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use delivery::journal::Journal;
use event::vsl::tags::content;
use parking_lot::Mutex;
use serde_json::{Value, json};
use transaction::consumer::Consumer;
use transaction::counters::Counters;
use transaction::group::{Group, Incomplete, Record, Side};
use transaction::source::{Child, Lost, SourceEvent};
use transaction::tags::Tags;

use super::clients::Clients;
use super::consumer::{Server, Worker};
use super::view::View;
use crate::config::load::load_text;
use crate::config::worker::Surroundings;
use crate::log::sample::{group, group_of, groups, tags};

const LONG: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Journal for Lines {
    fn log(&self, text: &str) {
        self.0.lock().push(text.to_owned());
    }
}

/// A worker with its client, which writes its events here.
struct World {
    worker: Worker,
    clients: Clients,
    client: Arc<client::Client>,
    view: Arc<View>,
    lines: Arc<Lines>,
}

fn world(config: &str) -> World {
    let tags: &'static Tags = Box::leak(Box::new(tags()));
    let around = Surroundings { tags, credentials: None, variable: |_| None, host: "edge1", is_dry: false };
    let config = load_text(Path::new("/f"), &format!("debug = true\n{config}"), &around).unwrap();
    let settings = Arc::new(config.workers.into_iter().next().unwrap());
    let (lines, view) = (Arc::new(Lines::default()), Arc::new(View::default()));
    let mut clients = Clients::new(lines.clone());
    let client = clients.take_over([&settings.settings].into_iter()).remove(0);
    let server = Server { tags, name: "Varnish Cache".to_owned(), version: "7.1.1".to_owned() };
    let worker = Worker::new(server, settings, client.clone(), view.clone());
    World { worker, clients, client, view, lines }
}

impl World {
    /// Reads a group as a reader would: the whole only if it is wanted.
    fn read(&mut self, group: &Group) {
        let mut glimpse = Group::default();
        for one in group.transactions() {
            glimpse.begin(one.head);
            one.records()
                .filter(|record| self.worker.wanted()[usize::from(record.tag)] != 0)
                .for_each(|record| glimpse.push(record));
        }
        if self.worker.wants(&glimpse) {
            self.worker.group(group);
        }
    }

    /// The events so far, with their files.
    fn events(&self) -> Vec<(Value, Value)> {
        assert!(self.client.flush(LONG));
        let lines = self.lines.0.lock();
        let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed.map(|line| (line["event"].clone(), line["files"].clone())).collect()
    }
}

fn one(world: &World) -> (Value, Value) {
    let events = world.events();
    assert_eq!(events.len(), 1, "{events:?}");
    events.into_iter().next().unwrap()
}

#[test]
fn a_503_is_an_event_with_both_sides_and_its_whole_log() {
    let mut world = world("environment = 'test'\n[tags]\nsite = 'eu-1'\n");
    let groups = groups();
    groups.iter().filter(|group| !std::ptr::eq(*group, group_of(&groups, "/esi"))).for_each(|group| world.read(group));
    let events = world.events();
    let titles: Vec<_> =
        events.iter().map(|(event, _)| event["logentry"]["formatted"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        titles,
        [
            "[FetchError] backend dead: fail errno 0 (Success)",
            "[RespStatus] 500",
            "[RespStatus] 500",
            "[RespStatus] 500"
        ]
    );
    let (event, files) = &events[0];
    assert_eq!(event["level"], "error");
    assert_eq!(event["logger"], "varnishsentry");
    assert_eq!(event["transaction"], "vcl_backend_error");
    assert_eq!(event["fingerprint"], json!(["fetch_error", "FetchError"]));
    assert_eq!(event["server_name"], "edge1");
    assert_eq!(event["environment"], "test");
    assert_eq!(event["timestamp"], json!(1_795_972_464.459_874_f64), "when the log says that it was");
    assert_eq!(
        event["tags"],
        json!({"filter": "fetch_error", "type": "backend", "worker": "default", "side": "client", "status": "503", "vcl.name": "boot",
               "vcl.sub": "vcl_deliver", "cache": "pass", "listener": "a0", "backend": "dead", "site": "eu-1"})
    );
    let request = &event["request"];
    assert_eq!((&request["method"], &request["url"]), (&json!("GET"), &json!("http://127.0.0.1:18080/dead/x")));
    assert_eq!(request["query_string"], "token=[Filtered]");
    assert_eq!(request["headers"]["Cookie"], "a=[Filtered]; sid=[Filtered]");
    assert_eq!((request["headers"]["X-Set"].as_str(), request["headers"]["X-Gone"].as_str()), (Some("new"), None));
    let response = &event["contexts"]["response"];
    assert_eq!((&response["status_code"], &response["reason"]), (&json!(503), &json!("Backend fetch failed")));
    assert_eq!(event["contexts"]["varnish"]["xid"], 5);
    assert_eq!(event["contexts"]["varnish"]["session_xid"], 4);
    assert_eq!(event["contexts"]["varnish"]["response_body_bytes"], 278);
    assert_eq!(event["contexts"]["fetch"]["xid"], 6);
    assert_eq!(event["contexts"]["fetch"]["status"], "503");
    assert_eq!(event["contexts"]["runtime"], json!({"name": "Varnish Cache", "version": "7.1.1"}));
    assert_eq!(event["contexts"]["timestamps"]["Resp"], 1.286);
    let matched = [
        "[error/fetch_error] [FetchError] backend dead: fail errno 0 (Success)",
        "[error/5xx] [RespStatus] 503",
        "[error/guru_meditation] [BerespStatus] 503",
    ];
    assert_eq!(event["extra"]["matched"], json!(matched));
    let log = files["varnishlog.txt"].as_str().unwrap();
    assert!(log.starts_with("*   << Request  >> 5         \n-   Begin          req 4 rxreq\n"), "{log}");
    assert!(log.contains("\n**  << BeReq    >> 6         \n--  Begin          bereq 5 pass\n"), "{log}");
    assert!(log.contains("--  FetchError     backend dead: fail errno 0 (Success)\n"), "{log}");
    assert_eq!(log.lines().count(), 79 + 1, "all there is");
    let crumbs = event["breadcrumbs"]["values"].as_array().unwrap();
    let fetch_error = crumbs.iter().find(|crumb| crumb["category"] == "FetchError").unwrap();
    assert_eq!((&fetch_error["level"], &fetch_error["data"]["xid"]), (&json!("error"), &json!(6)));
    assert_eq!(
        world.view.found().into_iter().collect::<Vec<_>>(),
        [("5xx".to_owned(), 3), ("fetch_error".to_owned(), 1)]
    );
}

#[test]
fn an_include_that_failed_is_told_with_its_own_request_and_the_whole_tree() {
    let mut world = world("");
    let groups = groups();
    world.read(group_of(&groups, "/esi"));
    let (event, files) = one(&world);
    assert_eq!(event["request"]["url"], "http://127.0.0.1:18080/dead/inner");
    let varnish = &event["contexts"]["varnish"];
    assert_eq!(
        (&varnish["xid"], &varnish["esi_level"], &varnish["transactions"]),
        (&json!(32_775), &json!(1), &json!(6))
    );
    assert_eq!(varnish["parent_xid"], 32_773);
    assert_eq!(event["contexts"]["fetch"]["xid"], 32_776);
    let log = files["varnishlog.txt"].as_str().unwrap();
    for head in
        ["*   << Request  >> 32773", "**  << Request  >> 32775", "*** << BeReq    >> 32776", "*** << BeReq    >> 32778"]
    {
        assert!(log.contains(head), "{head} in {log}");
    }
}

#[test]
fn what_was_answered_after_a_restart_is_the_answer() {
    let tags = tags();
    let printed = "*   << Request  >> 2\n-   Begin          req 1 rxreq\n-   ReqMethod      GET\n-   ReqURL         /one\n-   VCL_Log        first\n-   Link           bereq 3 fetch\n-   Link           req 4 restart\n\
                   *   << Request  >> 4\n-   Begin          req 2 restart\n-   ReqMethod      GET\n-   ReqURL         /two\n-   RespProtocol   HTTP/1.1\n-   RespStatus     200\n-   RespReason     OK\n-   VCL_call       DELIVER\n\
                   **  << BeReq    >> 3\n--  Begin          bereq 2 fetch\n--  BackendOpen    24 boot.origin 192.0.2.7 80 192.0.2.1 4711 connect\n--  FetchError     http first read error: EOF\n--  BerespStatus   503";
    let mut world = world("");
    world.read(&group(&tags, printed));
    let (event, _) = one(&world);
    assert_eq!(event["request"]["url"], "/two");
    assert_eq!(event["contexts"]["response"]["status_code"], 200);
    assert_eq!(event["contexts"]["varnish"]["restarts"], 1);
    assert_eq!(
        (&event["tags"]["backend"], &event["contexts"]["fetch"]["endpoint"]),
        (&json!("origin"), &json!("192.0.2.7:80"))
    );
    assert_eq!(event["logentry"]["formatted"], "[FetchError] http first read error: EOF");
}

#[test]
fn a_transaction_that_is_told_too_early_says_why() {
    let mut world = world("");
    let mut early = group(&tags(), "*   << Request  >> 2\n-   Begin          req 1 rxreq\n-   VCL_Error      x\n");
    early.mark(Incomplete::StoreOverflow);
    world.read(&early);
    let (event, _) = one(&world);
    assert_eq!(event["contexts"]["varnish"]["incomplete"], "store overflow");
    assert_eq!(event["tags"]["incomplete"], "store_overflow");
}

#[test]
fn rules_of_the_operators_take_out_change_and_name_events() {
    let mut world = world(
        "[[filters.ReqURL]]\nregexp = '^/retry'\nname = 'again'\nlevel = 'info'\n\
         [[ignore]]\nurl = '^/500'\n[[ignore]]\nstatus = '^500$'\nurl = '^/synth'\n\
         [[before_send]]\nurl = '^/dead'\nset_level = 'warning'\nremove = '^(request.query_string|breadcrumbs.Timestamp)$'\n[builtin]\n\"5xx\" = 'fatal'\n",
    );
    groups().iter().for_each(|group| world.read(group));
    let told = world.events().into_iter().map(|(event, _)| {
        (
            event["tags"]["filter"].as_str().unwrap().to_owned(),
            event["level"].as_str().unwrap().to_owned(),
            event["request"]["url"].as_str().unwrap().to_owned(),
        )
    });
    let told: Vec<_> = told.collect();
    let of = |filter: &str, level: &str, path: &str| {
        (filter.to_owned(), level.to_owned(), format!("http://127.0.0.1:18080{path}"))
    };
    assert_eq!(
        told,
        [
            of("5xx", "warning", "/dead/x"),
            of("5xx", "warning", "/dead/inner"),
            of("5xx", "fatal", "/pass/500"),
            of("again", "info", "/retry")
        ]
    );
    let (event, files) = world.events().remove(0);
    assert_eq!(event["request"]["query_string"], Value::Null);
    assert!(!files["varnishlog.txt"].as_str().unwrap().contains("Timestamp"));
}

#[test]
fn events_of_one_kind_are_throttled_and_other_kinds_are_not() {
    let mut world = world("throttle = 2\n");
    let groups = groups();
    for _ in 0..5 {
        world.read(group_of(&groups, "/dead/x?token=abc"));
        world.read(group_of(&groups, "/500"));
    }
    let events = world.events();
    let of = |filter: &str| events.iter().filter(|(event, _)| event["tags"]["filter"] == filter).count();
    assert_eq!((of("fetch_error"), of("5xx")), (2, 2));
    assert_eq!(world.view.found()["5xx"], 5);
}

#[test]
fn a_backend_that_turns_is_an_event_of_its_own_kind() {
    let mut world = world("[builtin]\nbackend_healthy = 'info'\n");
    let tag = tags().named("Backend_health").unwrap().0;
    for text in [
        "boot.web1 Went sick -------- 2 3 8 0.000000 0.000000 \"Open error 111 (Connection refused)\"",
        "boot.web1 Still sick -------- 1 3 8 0.000000 0.000000 \"Open error 111 (Connection refused)\"",
        "reload_2.web1 Went healthy 4---X-RH 3 3 8 0.1 0.1 \"HTTP/1.1 200 OK\"",
    ] {
        world.worker.record(Record { tag, side: Side::None, text: text.as_bytes() }, SystemTime::now());
    }
    let events = world.events();
    let told: Vec<_> =
        events.iter().map(|(event, _)| (&event["level"], &event["fingerprint"], &event["tags"]["backend"])).collect();
    let (sick, healthy) =
        (json!(["backend_sick", "Backend_health", "web1"]), json!(["backend_healthy", "Backend_health", "web1"]));
    assert_eq!(told, [(&json!("error"), &sick, &json!("web1")), (&json!("info"), &healthy, &json!("web1"))]);
    assert!(events[0].0["logentry"]["formatted"].as_str().unwrap().starts_with("[Backend_health] boot.web1 Went sick"));
}

#[test]
fn a_panic_is_an_event_with_its_text_and_without_what_clients_said() {
    let mut world = world("[lifecycle]\nevents = 'start, death'\n");
    let text = "Panic at: Sun, 29 Nov 2026 17:14:29 GMT\nAssert error in ccf_panic(), cache/cache_panic.c line 834:\n  Condition(x == 0) not true.\n\
                version = varnish-7.1.1 revision 7cee, vrt api = 15.0\nBacktrace:\n  0x55d39751008c: varnishd(+0x5908c) [0x55d39751008c]\nthr.req = 0x7f {\n  client = 192.0.2.77 4711 a0,\n\
                  http[req] = 0x7f {\n    hdrs {\n      \"GET\",\n      \"/a?token=s3cret1\",\n      \"HTTP/1.1\",\n      \"Cookie: sid=s3cret2\",\n      \"Authorization: Bearer s3cret3s3cret3\",\n    },\n  },\n},\n";
    let now = SystemTime::now();
    let child = Some(Child { pid: 4711, started: now.duration_since(UNIX_EPOCH).unwrap().as_secs() - 90 });
    world.worker.happened(&SourceEvent::ChildGone { child, panic: Some(text.to_owned()) }, now);
    world.worker.happened(
        &SourceEvent::ChildSeen {
            child: Some(Child { pid: 4712, started: 0 }),
            is_new: true,
            identity: Some("edge7".to_owned()),
        },
        now,
    );
    let events = world.events();
    assert_eq!(events.len(), 2);
    let (event, files) = &events[0];
    let what = "Assert error in ccf_panic(), cache/cache_panic.c line 834: Condition(x == 0) not true.";
    assert_eq!(event["exception"]["values"][0]["type"], "Panic");
    assert_eq!(event["exception"]["values"][0]["value"], what);
    assert_eq!((&event["level"], &event["fingerprint"]), (&json!("fatal"), &json!(["child_panic", what])));
    assert_eq!(
        (&event["contexts"]["varnish"]["child_pid"], &event["contexts"]["varnish"]["child_seconds"]),
        (&json!(4711), &json!(90))
    );
    assert!(event["contexts"]["panic"]["where"].as_str().unwrap().contains("varnishd(+0x5908c)"));
    let file = files["panic.txt"].as_str().unwrap();
    assert!(
        file.starts_with("Panic at: ")
            && file.contains("Condition(x == 0) not true.")
            && file.contains("Cookie: sid=[Filtered]"),
        "{file}"
    );
    let all = format!("{event}{files}");
    for secret in ["s3cret", "192.0.2.77"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    let (event, _) = &events[1];
    assert_eq!(
        (&event["logentry"]["formatted"], &event["level"]),
        (&json!("varnishd child 4712 started"), &json!("info"))
    );
    assert_eq!(event["tags"]["identity"], "edge7");
    assert_eq!(world.view.identity().as_deref(), Some("edge7"));
}

#[test]
fn a_death_without_a_panic_is_told_as_the_module_tells_it() {
    let mut world = world("");
    let counted = |deaths| {
        let mut counters = Counters::default();
        counters.push("MGT.child_died", deaths);
        counters
    };
    let now = SystemTime::now();
    world.worker.tick(&counted(0), now);
    world.worker.happened(&SourceEvent::ChildGone { child: Some(Child { pid: 7, started: 0 }), panic: None }, now);
    world.worker.tick(&counted(1), now);
    let (event, files) = one(&world);
    assert_eq!(event["logentry"]["message"], "varnishd child {1} died, it had run for at most {2} s");
    assert_eq!((&event["fingerprint"], &event["level"], files), (&Value::Null, &json!("fatal"), Value::Null));
}

#[test]
fn counters_and_lost_parts_of_the_log_are_events() {
    let mut world = world("");
    let now = SystemTime::now();
    for (second, dropped) in [(0, 5), (1, 9)] {
        let mut counters = Counters::default();
        counters.push("MAIN.sess_dropped", dropped);
        world.worker.tick(&counters, now + Duration::from_secs(second));
    }
    world.worker.happened(&SourceEvent::Lost(Lost { overruns: 2, ..Lost::default() }), now);
    let events = world.events();
    let told: Vec<_> = events
        .iter()
        .map(|(event, _)| (event["logentry"]["formatted"].as_str().unwrap(), &event["fingerprint"], &event["level"]))
        .collect();
    let dropped = "MAIN.sess_dropped grows by 4 a second, which is over its threshold of 1";
    let lost = "parts of the log could not be read: 2 overruns";
    assert_eq!(
        told,
        [
            (dropped, &json!(["threads", "MAIN.sess_dropped"]), &json!("warning")),
            (lost, &json!(["log_lost"]), &json!("warning"))
        ]
    );
}

#[test]
fn a_trace_that_came_is_continued_and_none_is_begun() {
    let tags = tags();
    let with = |line: &str| {
        format!(
            "*   << Request  >> 2\n-   ReqMethod      GET\n-   ReqURL         /\n-   ReqHeader      {line}\n-   VCL_Error      x\n"
        )
    };
    let mut world = world("");
    world.read(&group(&tags, &with("sentry-trace: 771a43a4192642f0b136d5159a501700-00f067aa0ba902b7-1")));
    world.read(&group(&tags, &with("X: y")));
    let traces: Vec<_> = world.events().into_iter().map(|(event, _)| event["contexts"]["trace"].clone()).collect();
    assert_eq!(
        (&traces[0]["trace_id"], &traces[0]["parent_span_id"]),
        (&json!("771a43a4192642f0b136d5159a501700"), &json!("00f067aa0ba902b7"))
    );
    assert_eq!((&traces[0]["op"], &traces[1]), (&json!("http.server"), &Value::Null));
}

/// In each tag that there is a secret, in the form that such a record may have it.
#[test]
fn no_secret_leaves_whatever_record_it_is_in() {
    const SECRET: &str = "hunter2hunter2";
    let tags = tags();
    let mut seen = 0;
    for (number, name) in tags.iter() {
        use event::capture::content::Content;
        let texts = match content(name) {
            // The server writes these, of nothing that a client has said.
            Content::Figures => continue,
            Content::Header => vec![
                format!("Cookie: a=b; my_session={SECRET}"),
                format!("Authorization: Bearer {SECRET}"),
                format!("X-Api-Key: {SECRET}"),
            ],
            Content::Url => vec![format!("/a?access_token={SECRET}&b=c"), format!("http://user:{SECRET}@h/")],
            Content::ClientAddress => vec!["198.51.100.77 4711 a0".to_owned()],
            Content::Fragment => vec![format!("X-Api-Key: {SECRET}")],
            Content::Text => vec![
                format!("sent Authorization: Bearer {SECRET} there"),
                format!("password={SECRET}"),
                format!("got /a?access_token={SECRET}"),
            ],
        };
        for text in texts {
            seen += 1;
            let mut world = world(&format!("[[filters.{name}]]\n[[filters.VCL_Log]]\n"));
            let mut group = group(&tags, "*   << Request  >> 2\n-   VCL_Log        marked");
            group.push(Record { tag: number, side: Side::Client, text: text.as_bytes() });
            world.read(&group);
            world.worker.record(Record { tag: number, side: Side::None, text: text.as_bytes() }, SystemTime::now());
            let events = world.events();
            assert!(!events.is_empty());
            let all = format!("{events:?}");
            assert!(!all.contains(SECRET) && !all.contains("198.51.100.77"), "{name} {text:?}: {all}");
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn an_address_is_sent_if_the_operator_wants_it() {
    let groups = groups();
    for (config, user) in [
        ("", Value::Null),
        ("[privacy]\nsend_default_pii = true\n", json!({"ip_address": "127.0.0.1"})),
        ("[privacy]\nsend_default_pii = true\nanonymize_ip = true\n", json!({"ip_address": "127.0.0.0"})),
    ] {
        let mut world = world(config);
        world.read(group_of(&groups, "/500"));
        let (event, _) = one(&world);
        assert_eq!(event["user"], user, "{config}");
        assert!(world.clients.shutdown());
    }
}
