// SPDX-License-Identifier: BSD-2-Clause
//! The daemon's log: a file of transactions is read as it was written, whatever else is in it; of those that an expression finds an event is made, with their log in it packed and read again, and a secret that
//! the manual says is filtered is nowhere.
#![no_main]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record as EventRecord;
use event::capture::task_log::LogForm;
use event::error_event::Form;
use fuzz::body::{Body, has};
use fuzz::bytes::Bytes;
use fuzz::records::{SECRET, head, record, secret};
use libfuzzer_sys::fuzz_target;
use protocol::event_id::EventId;
use shim::log::tag_named;
use transaction::group::{Group, Grouping, Incomplete, Kind as TransactionKind, Record};
use transaction::tags::ALL;
use vapi::log::{Log, Outcome};
use vapi::place::Place;
use vapi::sink::{Flow, Found, Sink};
use vapi::tags::installed;
use varnishsentry::config::load::load_text;
use varnishsentry::config::worker::{Surroundings, Worker};
use varnishsentry::filter::matcher::Matcher;
use varnishsentry::log::parts::Parts;
use varnishsentry::log::reading::Reading;
use varnishsentry::report::group_event::GroupEvent;
use varnishsentry::report::group_log::{packed, task_log};

/// Records that are looked at by an expression of the operator's.
const CONFIG: &str = "[[filters.VCL_Log]]\nregexp = \"a\"\n[[filters.ReqHeader]]\nregexp = \"(?i)cookie\"\nlevel = \"info\"\n[[filters.Debug]]\n";
/// Where a client is that is nobody's business.
const ADDRESS: &str = "192.0.2.177";
/// Whose communication a transaction is about: a client's, a backend's.
const MARKERS: [u32; 2] = [1 << 30, 1 << 31];

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().canonicalize().unwrap().join(format!("fuzz-log-{}", std::process::id())));
static WORKER: LazyLock<Worker> = LazyLock::new(|| {
    let around = Surroundings { tags: installed(), credentials: None, variable: |_| None, host: "h", is_dry: false };
    load_text(Path::new("/f"), CONFIG, &around).unwrap().workers.remove(0)
});
static MATCHER: LazyLock<Matcher> =
    LazyLock::new(|| Matcher::new(WORKER.filters.watch.clone(), &WORKER.filters.builtin, installed()));
static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::new(installed()));
/// What a file begins with that varnishlog has written.
static BEGIN: LazyLock<&[u8]> = LazyLock::new(|| {
    let is_one = |begin: &&&[u8]| {
        fs::write(&*FILE, [**begin, &[0; 64][..head() * 4]].concat()).unwrap();
        opened(Grouping::Vxid).is_ok()
    };
    [&b"VSL\0"[..], b"VSL2\0", b"VSL3\0"].iter().find(is_one).copied().expect("the form of log files")
});

/// Whatever is read.
#[derive(Default)]
struct Read {
    groups: Vec<Group>,
    records: usize,
}

impl Sink for Read {
    fn group(&mut self, found: Found<'_>) -> Flow {
        let mut group = Group::default();
        found.copy(ALL, Incomplete::EndOfLog, &mut group);
        self.groups.push(group);
        Flow::Continue
    }

    fn record(&mut self, _: Record<'_>, _: Place<'_>) -> Flow {
        self.records += 1;
        Flow::Continue
    }

    fn panicked(&mut self) {
        unreachable!("a panic ends this program");
    }
}

fn opened(grouping: Grouping) -> Result<Log, String> {
    let mut log = Log::new().unwrap();
    log.query(grouping, None)?;
    log.file(&FILE)?;
    Ok(log)
}

/// What the library of 7.1.1 leaves open of the file, which costs the daemon nothing: it reads one.
fn close_file(from: RawFd) {
    for fd in from..from + 2 {
        if fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|path| path == *FILE) {
            // SAFETY: it was opened for a log that is gone, and nobody has it any more.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// A transaction as it is written.
struct Written {
    vxid: u32,
    is_backend: bool,
    /// 0 if it is of none of them.
    parent: u32,
    records: Vec<(u8, Vec<u8>)>,
}

fn tag(name: &str) -> u8 {
    tag_named(name).unwrap()
}

/// A record of a transaction; whether it has nothing to hide but where that is known.
fn any_record(input: &mut Bytes<'_>) -> ((u8, Vec<u8>), bool) {
    let number = input.byte();
    let known = |name, text: String| ((tag(name), text.into_bytes()), true);
    match input.byte() % 16 {
        0..4 => {
            let (tag, text) = secret(input);
            ((tag, text.into_bytes()), true)
        }
        4 => known("ReqStart", format!("{ADDRESS} 51234 a0")),
        5 => known("VCL_call", input.pick(&["RECV", "MISS", "BACKEND_ERROR", "DELIVER", "SYNTH"]).to_owned()),
        6 => known("RespStatus", input.pick(&["200", "503", "5"]).to_owned()),
        7 => known("BerespStatus", input.pick(&["200", "503"]).to_owned()),
        8 => known("FetchError", input.pick(&["backend boot.b: fail errno 111", "http format error", ""]).to_owned()),
        9 => known("Timestamp", format!("Resp: 17959724{number:02}.5 0.{number} 0.000101")),
        10 => known("VCL_Log", "a".to_owned()),
        _ => {
            let names = installed();
            // Not those that say how transactions belong together, nor the library's own.
            let is_special = |number: u8| {
                names
                    .name(number)
                    .is_none_or(|name| ["Begin", "End", "Link", "VSL", "Batch", "Witness"].contains(&name))
            };
            let mut text = input.text();
            text.truncate(9000);
            let other = if is_special(number) { tag("Debug") } else { number };
            let is_plain = !has(&text, SECRET) && !has(&text, ADDRESS);
            ((other, text), is_plain)
        }
    }
}

/// A session, whose every request is the client's.
fn session() -> Written {
    let begin = (tag("Begin"), b"sess 0 HTTP/1".to_vec());
    let open = (tag("SessOpen"), format!("{ADDRESS} 51234 a0 127.0.0.1 80 1.5 20").into_bytes());
    Written { vxid: 1, is_backend: false, parent: 0, records: vec![begin, open] }
}

/// Transactions, each of which but the first may be another's; with the session of those that are nobody's, if it counts.
fn transactions(input: &mut Bytes<'_>, has_session: bool) -> (Vec<Written>, bool) {
    let mut all: Vec<Written> = if has_session { vec![session()] } else { Vec::new() };
    let mut is_intact = true;
    for number in 0..1 + u32::from(input.byte() % 4) {
        let vxid = 2 + number;
        let of = usize::from(input.byte()) % (all.len() + 1);
        let parent = all.get(of).filter(|one| !one.is_backend).map(|one| one.vxid);
        let parent = parent.or(has_session.then_some(1));
        let is_inner = parent.is_some_and(|parent| parent > 1);
        let is_backend = is_inner && input.flag();
        let (kind, reason) = match (is_backend, is_inner) {
            (true, _) => ("bereq", "fetch"),
            (false, true) => ("req", "esi"),
            (false, false) => ("req", "rxreq"),
        };
        if let Some(parent) = all.iter_mut().find(|one| Some(one.vxid) == parent) {
            parent.records.push((tag("Link"), format!("{kind} {vxid} {reason}").into_bytes()));
        }
        let mut records = vec![(tag("Begin"), format!("{kind} {} {reason}", parent.unwrap_or(1)).into_bytes())];
        for _ in 0..input.byte() % 12 {
            let (record, is_plain) = any_record(input);
            records.push(record);
            is_intact &= is_plain;
        }
        all.push(Written { vxid, is_backend, parent: parent.unwrap_or_default(), records });
    }
    all.iter_mut().for_each(|one| one.records.push((tag("End"), Vec::new())));
    (all, is_intact)
}

/// The words that name a transaction, on a server whose heads are of so many.
fn name(vxid: u32, is_backend: bool) -> Vec<u32> {
    let marker = MARKERS[usize::from(is_backend)];
    if head() == 2 { vec![vxid | marker] } else { vec![vxid, marker] }
}

/// Records of whose transactions are whose that no server writes.
fn strays(input: &mut Bytes<'_>) -> Vec<u32> {
    let mut words = Vec::new();
    for _ in 0..input.byte() % 16 {
        let tag = tag(input.pick(&["Begin", "Link", "End"]));
        let number =
            [i64::from(input.byte() % 8), -1, 1 << 30, 1 << 62][usize::from(input.byte() % 32).saturating_sub(28)];
        let kind = input.pick(&["req", "bereq", "sess", ""]);
        let reason = input.pick(&["esi", "fetch", "rxreq", "restart", ""]);
        record(
            &mut words,
            tag,
            &name(1 + u32::from(input.byte() % 7), input.flag()),
            format!("{kind} {number} {reason}").as_bytes(),
        );
    }
    words
}

/// Writes them one after the other: those that belong to others last, or first, as they end.
fn write(all: &[Written], is_reversed: bool, strays: Vec<u32>, garbage: &[u8]) {
    let mut words = strays;
    let each: Vec<_> = if is_reversed { all.iter().rev().collect() } else { all.iter().collect() };
    for one in each {
        for (tag, text) in &one.records {
            record(&mut words, *tag, &name(one.vxid, one.is_backend), text);
        }
    }
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    fs::write(&*FILE, BEGIN.iter().copied().chain(bytes).chain(garbage.iter().copied()).collect::<Vec<_>>()).unwrap();
}

/// Nothing, if the file is said to be damaged.
fn read(grouping: Grouping) -> Option<Read> {
    // The first descriptor that the library's open() will have.
    let next = File::open("/dev/null").unwrap().as_raw_fd();
    let opened = opened(grouping);
    let read = opened.map(|mut log| {
        let mut read = Read::default();
        while log.dispatch(64, &mut read).0 == Outcome::More {}
        log.flush(&mut read);
        read
    });
    close_file(next);
    read.map_err(|error| assert!(error.contains("the log file is damaged"), "{error}")).ok()
}

/// Without what ends a text: records that are none have that shown, too.
fn bare(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)]
}

/// What there is of the records of each transaction.
fn told(groups: &[Group]) -> BTreeMap<u64, Vec<(u8, Vec<u8>)>> {
    let all = groups.iter().flat_map(Group::transactions);
    let of = |record: Record<'_>| (record.tag, bare(record.text).to_vec());
    all.map(|one| (one.head.vxid, one.records().map(of).collect())).collect()
}

/// Whether each status is of the transaction's own side, as a server writes it: only then does a first look see what the whole tells.
fn has_own_status(group: &Group) -> bool {
    let [delivered, fetched] = ["RespStatus", "BerespStatus"].map(tag);
    let is_foreign = |kind, tag| match kind {
        TransactionKind::Request => tag == fetched,
        TransactionKind::BackendRequest => tag == delivered,
        _ => false,
    };
    !group.transactions().any(|one| one.records().any(|record| is_foreign(one.head.kind, record.tag)))
}

/// As the worker does with a group.
fn event(group: &Group, form: LogForm, send_pii: bool, room: usize) -> Option<Body> {
    let readings: Vec<_> = group.transactions().map(|one| Reading::of(one, &PARTS)).collect();
    let found = MATCHER.find(group, &readings)?;
    if !MATCHER.may_match(group) {
        assert!(!has_own_status(group), "a first look passes over it");
        return None;
    }
    let event = GroupEvent::new(&found, &readings, group.incomplete())?;
    let mut fields = Fields::default();
    event.write(&mut fields, send_pii);
    fields.begin_scopes();
    let room = room.min(fields.left());
    let log = packed(group, installed(), event.first(), room);
    assert!(log.len() <= room, "{} of {room}", log.len());
    fields.put(Kind::Log, b"", &log);
    let log = task_log(form, group, event.first(), &log);
    let mut record = EventRecord::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, Arc::default(), fields);
    record.log = Some(log);
    Some(Body::of(record, Form { send_pii, ..Form::default() }))
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let grouping = input.pick(&[Grouping::Request, Grouping::Vxid, Grouping::Session]);
    let form = input.pick(&[LogForm::Both, LogForm::Breadcrumbs, LogForm::Attachment]);
    let (send_pii, is_reversed, room) = (input.flag(), input.flag(), input.pick(&[60_000, 4000, 600, 0]));
    let (all, is_intact) = transactions(&mut input, grouping == Grouping::Session);
    let kind = input.byte();
    let strays = if kind & 2 == 2 { strays(&mut input) } else { Vec::new() };
    let garbage = if kind & 1 == 1 { input.0 } else { b"" };
    let has_strays = !strays.is_empty();
    write(&all, is_reversed, strays, garbage);
    let Some(found) = read(grouping) else {
        assert!(has_strays || !garbage.is_empty(), "a file as varnishlog writes it is refused");
        return;
    };
    if has_strays {
        // Whatever it means, it was read to its end.
        return;
    }
    if !garbage.is_empty() {
        // Whatever it is, what came before it was read.
        assert!(found.groups.len() + found.records > 0 || grouping != Grouping::Vxid);
    } else {
        let told = told(&found.groups);
        assert_eq!(told.len(), all.len());
        for one in &all {
            let expected = &one.records;
            let is = &told[&u64::from(one.vxid)];
            assert!(is.len() >= expected.len(), "{} of {}", is.len(), expected.len());
            let missing = expected.iter().find(|(tag, text)| !is.contains(&(*tag, bare(text).to_vec())));
            assert_eq!(missing, None, "{is:?}");
        }
        if grouping != Grouping::Vxid {
            // Each is in the group of the one that it is of.
            for one in all.iter().filter(|one| one.parent != 0) {
                let of = |vxid: u32| {
                    found
                        .groups
                        .iter()
                        .position(|group| group.transactions().any(|one| one.head.vxid == u64::from(vxid)))
                };
                assert_eq!(of(one.vxid), of(one.parent));
            }
        }
    }
    if !is_intact || has(garbage, &SECRET[..4]) {
        return;
    }
    for group in &found.groups {
        let Some(body) = event(group, form, send_pii, room) else { continue };
        assert!(!body.shows(SECRET), "{}", String::from_utf8_lossy(&body.bytes));
        assert!(send_pii || !body.shows(ADDRESS), "{}", String::from_utf8_lossy(&body.bytes));
        if let Some(file) = &body.file {
            assert!(!file.contains(|c: char| c.is_control() && c != '\n'));
            assert!(file.lines().all(|line| line.is_empty() || line.starts_with(['*', '-', ' '])), "{file}");
        }
    }
});
