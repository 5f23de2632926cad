// SPDX-License-Identifier: BSD-2-Clause
use std::time::{Duration, UNIX_EPOCH};

use protocol::category::Categories;
use protocol::entry::Scratch;
use protocol::trace::Trace;

use super::*;
use crate::capture::content::Content;
use crate::capture::fields::{Fields, Kind};
use crate::capture::level::Level;
use crate::capture::task_log::{FileForm, LogForm, LogLine, TaskLog};

const LOG: &[u8] = b"Cookie: a=s3\n";
const TRACE: &str = "sentry-trace: 771a43a4192642f0b136d5159a501700-00f067aa0ba902b7";

/// Each line is a header.
fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
    for text in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        each(LogLine { tag: "ReqHeader", text, content: Content::Header, level: Level::Info, at: None, begins: None });
    }
}

fn record(form: LogForm, trace: Option<&str>, log: &[u8]) -> Record {
    let mut fields = Fields::default();
    fields.put(Kind::Message, b"", b"no backend");
    if let Some(line) = trace {
        let trace = Trace::of([line.as_bytes()].into_iter(), || 7);
        fields.put(Kind::Trace, b"http.server", &trace.to_bytes());
    }
    fields.begin_scopes();
    fields.put(Kind::Log, b"", log);
    let at = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let mut record = Record::new(EventId::from_random([0x11; 16]), at, Level::Error, Arc::default(), fields);
    record.log = Some(TaskLog { form, read, file: FileForm::Varnishlog, transaction: "Request", id: 32770, gap: None });
    record
}

fn event(form: LogForm, trace: Option<&str>) -> ErrorEvent {
    ErrorEvent::new(record(form, trace, LOG), Arc::new(Form::default()))
}

/// What is written where only those categories may go: the header's members, and the items with their part.
fn written(event: &ErrorEvent, may: Categories) -> (String, Vec<(usize, String)>) {
    let dsn = Dsn::parse("https://key@o42.ingest.sentry.io/7").unwrap();
    // What is in the buffers means nothing.
    let mut scratch = Scratch { json: b"{".to_vec(), text: "t".to_owned(), trace: b"t".to_vec() };
    let mut envelope = Envelope::default();
    let mut context = Context { dsn: Some(&dsn), wall: UNIX_EPOCH, may, scratch: &mut scratch };
    event.write(&mut context, &mut envelope);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(envelope.members()), envelope.parts().map(|(part, item)| (part, text(item))).collect())
}

#[test]
fn it_is_an_event_in_json_and_the_log_in_a_file_each_under_its_part() {
    let (members, items) = written(&event(LogForm::Attachment, None), Categories::ALL);
    assert_eq!(members, "\"event_id\":\"11111111111141119111111111111111\",");
    let [(0, json), (1, file)] = &*items else { panic!("{items:?}") };
    let mut expected = Vec::new();
    let record = record(LogForm::Attachment, None, LOG);
    json::write(&record, &Identity::default(), Scrub::new(false), &mut expected).unwrap();
    let head = format!("{{\"type\":\"event\",\"length\":{},\"content_type\":\"application/json\"}}\n", expected.len());
    assert_eq!(*json, [head, String::from_utf8(expected).unwrap(), "\n".to_owned()].concat());
    let expected = "{\"type\":\"attachment\",\"length\":71,\"content_type\":\"text/plain\",\
                    \"filename\":\"varnishlog.txt\",\"attachment_type\":\"event.attachment\"}\n\
                    *   << Request  >> 32770     \n-   ReqHeader      Cookie: a=[Filtered]\n\n\n";
    assert_eq!(file, expected);
}

#[test]
fn a_file_goes_only_with_its_event_and_counts_its_bytes() {
    let with_file = event(LogForm::Both, None);
    let parts = [Part::new(Category::Error, 1), Part::new(Category::Attachment, LOG.len() as u64).together_with(0)];
    assert_eq!(with_file.parts(), parts);
    let places = |event: &ErrorEvent, may| written(event, may).1.iter().map(|(part, _)| *part).collect::<Vec<_>>();
    assert_eq!(places(&with_file, Categories::ALL), [0, 1]);
    assert_eq!(places(&with_file, Categories::ALL.without(Category::Attachment)), [0]);
    assert_eq!(places(&with_file, Categories::ALL.without(Category::Error)), [0; 0]);

    let without = event(LogForm::Breadcrumbs, None);
    assert_eq!(without.parts(), &parts[..1]);
    assert_eq!(places(&without, Categories::ALL), [0]);
    // Nothing in it is worth a line.
    let empty = ErrorEvent::new(record(LogForm::Both, None, b"\n\n"), Arc::default());
    assert_eq!((empty.parts().len(), places(&empty, Categories::ALL)), (2, vec![0]));
}

#[test]
fn the_envelope_has_the_sampling_context_of_a_trace_that_began_here() {
    let members = |trace| written(&event(LogForm::None, trace), Categories::ALL).0;
    let begun = members(Some("Host: h"));
    assert!(
        begun.contains(r#""trace":{"environment":"production","org_id":"42","public_key":"key","sample_rand":"0."#)
    );
    // Without baggage nobody knows the context.
    assert!(!members(Some(TRACE)).contains("\"trace\":"));
}

#[test]
fn a_value_of_the_sampling_context_is_not_longer_for_what_stands_for_its_secrets() {
    let trace = Trace::of([TRACE.as_bytes()].into_iter(), || 7);
    let mut fields = Fields::default();
    fields.put(Kind::Trace, b"http.server", &trace.to_bytes());
    let path = "token=a&".repeat(25);
    for member in [&format!("trace_id={}", trace.id()), "public_key=key", &format!("transaction={path}")] {
        fields.put(Kind::Baggage, b"", format!("sentry-{member}").as_bytes());
    }
    let made = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, Arc::default(), fields);
    let (members, _) = written(&ErrorEvent::new(made, Arc::default()), Categories::ALL);
    let value = format!("{}...", &"token=[Filtered]&".repeat(25)[..197]);
    assert!(members.contains(&format!(r#""transaction":"{value}"}}"#)), "{members}");
}

#[test]
fn the_form_says_who_sends_and_what_may_leave() {
    let mut fields = Fields::default();
    fields.put(Kind::Message, b"", b"m");
    fields.put(Kind::ClientIp, b"", b"192.0.2.7");
    let made = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, Arc::default(), fields);
    let json = |form: Form| written(&ErrorEvent::new(made.clone(), Arc::new(form)), Categories::ALL).1.remove(0).1;
    let identity = Identity::default().with_release("shop@1").unwrap();
    assert!(!json(Form::default()).contains("192.0.2.7"));
    let open = json(Form { identity, send_pii: true, privacy: Privacy::default() });
    assert!(open.contains("192.0.2.7") && open.contains("shop@1"), "{open}");
}

#[test]
fn its_size_is_that_of_its_pieces() {
    let event = event(LogForm::None, None);
    let buffer = event.record().buffer_len();
    assert!(buffer > 0);
    let own = allocated(size_of::<ErrorEvent>()) + allocated(buffer);
    assert_eq!(event.size(), own);
    let mut record = record(LogForm::None, None, LOG);
    record.removals = [Arc::new(regex::bytes::Regex::new("^user").unwrap())].into_iter().collect();
    let removed = allocated(record.removals.len_bytes());
    assert!(removed > 0);
    assert_eq!(ErrorEvent::new(record, Arc::default()).size(), own + removed);
    let boxed: Box<dyn Entry> = Box::new(event);
    assert_eq!(
        (boxed.at(), boxed.id().to_hex()),
        (UNIX_EPOCH + Duration::from_secs(1_767_225_600), *b"11111111111141119111111111111111")
    );
    assert!(boxed.dsn().is_none());
}
