// SPDX-License-Identifier: BSD-2-Clause
//! The spool: what a server did not take survives the process, and nothing that is wrong with the disk hurts.

mod fixture;
mod receiver;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use delivery::clock::Clock;
use delivery::counters::{Counter, Tally};
use delivery::settings::Settings;
use fixture::{Bench, Setup};
use protocol::envelope::Envelope;
use protocol::reason::Reason;
use receiver::{Act, KEY, PATIENCE, Receiver, Request, SECRET, eventually};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// A folder to spool to, gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("spool-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    /// The files of events, oldest first.
    fn events(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(&self.0).unwrap().flatten().filter_map(|folder| fs::read_dir(folder.path()).ok());
        let files = folders.flat_map(|folder| folder.flatten().map(|file| file.path()));
        let mut events: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "entry")).collect();
        events.sort();
        events
    }

    fn ids(&self) -> Vec<String> {
        self.events()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().split('-').nth(1).unwrap().to_owned())
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start_with(dsn: &str, spool: &Path, change: impl FnOnce(&mut Settings)) -> Bench {
    let mut setup = Setup::new(dsn).with_spool(spool);
    change(&mut setup.settings);
    setup.start()
}

/// With a spool of so many bytes and that age.
fn bounded(settings: &mut Settings, bytes: u64, age: Duration) {
    if let Some(spool) = &mut settings.spool {
        (spool.bytes, spool.age) = (bytes, age);
    }
}

fn start(server: &Receiver, spool: &Path) -> Bench {
    start_with(&server.dsn(), spool, |_| {})
}

/// Closes the client and waits until its sender has let go of the folder.
fn end(bench: Bench) {
    bench.end();
}

/// The ids of the next `count` events that arrive.
fn arrivals(server: &Receiver, count: usize) -> Vec<String> {
    (0..count).map(|_| next_event(server).event_id().unwrap()).collect()
}

fn next_event(server: &Receiver) -> Request {
    std::iter::repeat_with(|| server.next()).find(|request| request.event_id().is_some()).unwrap()
}

/// Runs one test of this file in a process of its own.
fn in_child(test: &str, wrapper: &[&str], variables: &[(&str, &str)]) -> Child {
    let this = std::env::current_exe().unwrap();
    let words: Vec<_> = wrapper.iter().map(|word| (*word).to_owned()).chain([this.display().to_string()]).collect();
    Command::new(&words[0])
        .args(&words[1..])
        .args([test, "--exact", "--nocapture"])
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The part of the process that is killed: a server that does not answer, and more events than the queue likes.
#[test]
fn a_process_about_to_be_killed() {
    let Some(spool) = std::env::var_os("SPOOL_TEST_FOLDER") else { return };
    let dsn = std::env::var("SPOOL_TEST_DSN").unwrap();
    let bench = start_with(&dsn, Path::new(&spool), |settings| settings.queue.entries = 4);
    for _ in 0..5 {
        bench.capture();
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(PATIENCE);
}

#[test]
fn events_survive_sigkill_and_are_sent_oldest_first_with_their_ids() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let scratch = Scratch::new();
    let variables = [("SPOOL_TEST_FOLDER", scratch.0.to_str().unwrap()), ("SPOOL_TEST_DSN", &server.dsn())];
    let mut process = in_child("a_process_about_to_be_killed", &[], &variables);
    eventually("events are on disk", || scratch.events().len() >= 3);
    process.kill().unwrap();
    process.wait().unwrap();

    let ids = scratch.ids();
    drop(server.rest());
    server.turn_to(Act::ok());
    // No capture: what an earlier process has left is enough to begin.
    let bench = start(&server, &scratch.0);
    let before = now_as_sent();
    let requests: Vec<_> = (0..ids.len()).map(|_| next_event(&server)).collect();
    assert_eq!(requests.iter().map(|request| request.event_id().unwrap()).collect::<Vec<_>>(), ids);
    for request in &requests {
        let (head, items) = request.envelope();
        assert!(head["sent_at"].as_str().unwrap() >= before.as_str(), "{head} is of {before} or later");
        assert_eq!((items[0].0["type"].as_str(), &items[0].1["event_id"]), (Some("event"), &head["event_id"]));
    }
    eventually("all are counted", || bench.told(Tally::SpoolSent) == ids.len() as u64);
    assert_eq!((bench.sent(), bench.count(Counter::SpoolEntries)), (ids.len() as u64, 0));
    assert!(scratch.events().is_empty());
}

/// The time as an envelope says it.
fn now_as_sent() -> String {
    let mut header = Vec::new();
    Envelope::default().write_header(std::time::SystemTime::now(), &mut header);
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["sent_at"].as_str().unwrap().to_owned()
}

#[test]
fn what_cannot_be_sent_at_the_end_goes_to_disk_in_time_and_without_a_key() {
    for act in [Act::Silence, Act::status(503), Act::Reset] {
        let server = Receiver::new([]).then_always(act.clone());
        let scratch = Scratch::new();
        let bench = start(&server, &scratch.0);
        let ids: Vec<_> = (0..20).map(|_| bench.capture()).collect();
        if matches!(act, Act::Silence) {
            // On its way before the end is in sight: its own timeout is 300 s.
            server.next();
        }
        let begin = Instant::now();
        assert!(bench.client.shutdown(bench.clock.now() + Duration::from_secs(4)), "nothing was lost, {act:?}");
        assert!(begin.elapsed() < Duration::from_secs(8));
        let mut spooled = scratch.ids();
        spooled.sort();
        assert_eq!(spooled, ids, "{act:?}");
        assert_eq!(bench.dropped(), []);
        assert_eq!(bench.told(Tally::SpoolWritten), 20);
        let folder = scratch.events()[0].parent().unwrap().to_owned();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for path in scratch.events() {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(KEY) && !text.contains(SECRET));
        }
        assert!(!folder.display().to_string().contains(KEY));
        end(bench);

        server.turn_to(Act::ok());
        drop(server.rest());
        // Another key, the same project.
        let dsn = format!("http://other@{}/42", server.address);
        let again = start_with(&dsn, &scratch.0, |_| {});
        let mut arrived = arrivals(&server, 20);
        arrived.sort();
        assert_eq!(arrived, ids);
        eventually("all are gone", || again.count(Counter::SpoolEntries) == 0);
    }
}

#[test]
fn a_closed_client_leaves_its_queue_to_the_next_one_whatever_its_timeout() {
    let server = Receiver::new([]).then_always(Act::Silence);
    let scratch = Scratch::new();
    let first = start_with(&server.dsn(), &scratch.0, |settings| {
        let server = &mut settings.server;
        (server.shutdown_timeout, server.timeout) = (Duration::ZERO, Duration::from_secs(300));
    });
    for _ in 0..3 {
        first.capture();
    }
    server.next();
    let begin = Instant::now();
    end(first);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(scratch.events().len(), 3);
}

#[test]
fn what_a_limit_stops_is_not_spooled() {
    let limited = Act::with_header(429, "X-Sentry-Rate-Limits: 100:error:key");
    let server = Receiver::new([limited]);
    let scratch = Scratch::new();
    let bench = start(&server, &scratch.0);
    eventually("the folder is ours", || bench.status()["spool"]["state"] == "ok");
    for _ in 0..3 {
        let _ = bench.capture_key(1);
    }
    eventually("they are dropped", || bench.dropped().iter().map(|(_, count)| count).sum::<u64>() == 3);
    bench.client.shutdown(bench.clock.now() + Duration::from_secs(1));
    assert_eq!((bench.told(Tally::SpoolWritten), scratch.events().len()), (0, 0));
}

#[test]
fn an_event_that_is_refused_is_not_spooled_nor_one_the_server_fails_on() {
    let server = Receiver::new([Act::status(400), Act::status(500)]);
    let scratch = Scratch::new();
    let bench = start(&server, &scratch.0);
    bench.capture();
    bench.capture();
    eventually("one is sent", || bench.sent() == 1);
    assert_eq!((bench.told(Tally::SpoolWritten), bench.lost_for(Reason::SendError)), (0, 1));
}

#[test]
fn a_folder_that_cannot_be_used_is_said_and_the_client_goes_on_without() {
    let scratch = Scratch::new();
    let file = scratch.0.join("file");
    fs::write(&file, "").unwrap();
    for root in [scratch.0.join("missing"), file, PathBuf::from("/proc")] {
        let server = Receiver::new([Act::status(503)]);
        let bench = start(&server, &root);
        let id = bench.capture();
        assert_eq!(arrivals(&server, 2), [id.clone(), id], "kept in memory");
        let lines = bench.lines.all();
        let line = lines.iter().find(|line| line.contains("spool")).expect("a line");
        assert!(line.starts_with(&format!("sentry default: spool {}: ", root.display())), "{line}");
        assert!(line.contains("expected a folder owned by ") && line.ends_with(", mode 0700"), "{line}");
        assert!(line.contains("uid "), "{line}");
        assert!(bench.count(Counter::SpoolFailures) >= 1);
        let status = bench.status();
        assert_eq!(status["spool"]["state"], "unusable");
        assert!(status["spool"]["last_error"].as_str().unwrap().contains("going on without"), "{status}");
    }
}

#[test]
fn a_folder_that_appears_later_is_used() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let scratch = Scratch::new();
    let root = scratch.0.join("later");
    let bench = start(&server, &root);
    bench.capture();
    eventually("it is missed", || bench.count(Counter::SpoolFailures) == 1);
    fs::create_dir(&root).unwrap();
    bench.clock.turn(Duration::from_secs(61));
    bench.client.flush(Duration::from_millis(50));
    eventually("the event is on disk", || bench.count(Counter::SpoolEntries) == 1);
    assert_eq!(bench.status()["spool"]["state"], "ok");
    assert_eq!(bench.status()["queue"]["events"], 0);
}

/// The part of the process that has a disk of its own.
#[test]
fn a_process_with_a_full_disk() {
    let Some(spool) = std::env::var_os("SPOOL_TEST_FULL") else { return };
    let spool = Path::new(&spool);
    let server = Receiver::new([]).then_always(Act::status(503));
    let bench = start_with(&server.dsn(), spool, |settings| settings.queue.entries = 8);
    eventually("the folder is ours", || bench.status()["spool"]["state"] == "ok");
    let ballast = spool.join("ballast");
    let filled = fs::write(&ballast, vec![0; 2 << 20]);
    assert!(filled.is_err(), "the disk has an end");
    let ids: Vec<_> = (0..7).map(|_| bench.capture()).collect();
    eventually("it is said", || bench.lines.all().iter().any(|line| line.contains("No space left on device")));
    assert_eq!((bench.told(Tally::SpoolWritten), bench.dropped().len()), (0, 0), "they are in memory");
    assert_eq!(bench.status()["spool"]["state"], "unusable");
    let left: Vec<_> = fs::read_dir(spool.join(format!("{},42", server.address))).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "the lock and nothing half written: {left:?}");

    fs::remove_file(ballast).unwrap();
    bench.clock.turn(Duration::from_secs(61));
    bench.client.flush(Duration::from_millis(50));
    eventually("there is room again", || bench.told(Tally::SpoolWritten) > 0);
    server.turn_to(Act::ok());
    bench.clock.turn(Duration::from_secs(61));
    bench.client.flush(Duration::from_millis(50));
    eventually("all are sent", || {
        bench.clock.turn(Duration::from_secs(1));
        bench.sent() == ids.len() as u64
    });
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let scratch = Scratch::new();
    let folder = scratch.0.to_str().unwrap();
    // A mount of its own namespace, and no root is needed where the kernel allows that. In a chroot whose root
    // is no mount point unshare cannot cut the namespace off: there the mount must be taken back by hand.
    let script = format!(
        "mount -t tmpfs -o size=1m,mode=0700 none '{folder}' || exit; \"$@\"; got=$?; umount '{folder}'; exit $got"
    );
    let flags = if fs::metadata("/proc/self").is_ok() && is_root() { "-m" } else { "-rm" };
    let works = |flag: &&str| Command::new("unshare").args([flags, *flag, "true"]).status().is_ok_and(|s| s.success());
    let propagation = ["--propagation=private", "--propagation=unchanged"].into_iter().find(works);
    let wrapper = ["unshare", flags, propagation.expect("a namespace for a mount"), "sh", "-c", &script, "sh"];
    let mut process = in_child("a_process_with_a_full_disk", &wrapper, &[("SPOOL_TEST_FULL", folder)]);
    assert!(process.wait().unwrap().success());
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

#[test]
fn damaged_files_cost_themselves_and_foreign_ones_nothing() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let scratch = Scratch::new();
    let bench = start(&server, &scratch.0);
    for _ in 0..4 {
        bench.capture();
        thread::sleep(Duration::from_millis(3));
    }
    bench.client.shutdown(bench.clock.now() + Duration::from_secs(1));
    end(bench);
    let events = scratch.events();
    let ids = scratch.ids();
    assert_eq!(events.len(), 4);
    let whole = fs::read(&events[0]).unwrap();
    fs::write(&events[0], "").unwrap();
    fs::write(&events[1], &whole[..whole.len() - 1]).unwrap();
    let mut other = fs::read(&events[2]).unwrap();
    *other.last_mut().unwrap() = b'!';
    fs::write(&events[2], other).unwrap();
    let foreign = events[0].with_file_name("notes.txt");
    fs::write(&foreign, "not an event").unwrap();

    server.turn_to(Act::ok());
    drop(server.rest());
    let bench = start(&server, &scratch.0);
    let request = next_event(&server);
    assert_eq!(request.event_id().as_ref(), ids.last());
    assert_eq!(request.client_report().get("cache_overflow"), Some(&3));
    eventually("it is counted", || bench.told(Tally::SpoolSent) == 1);
    assert_eq!(bench.dropped(), [(Reason::CacheOverflow, 3)]);
    assert_eq!((bench.told(Tally::SpoolDropped), bench.count(Counter::SpoolFailures)), (3, 4));
    assert!(scratch.events().is_empty() && foreign.exists());
    let lines = bench.lines.all();
    assert!(lines.iter().any(|line| line.ends_with("1 foreign files, left alone")), "{lines:?}");
    assert_eq!(bench.count(Counter::Panics), 0);
}

#[test]
fn of_two_copies_of_the_module_one_waits_and_takes_over() {
    let server = Receiver::new([]).then_always(Act::status(503));
    let scratch = Scratch::new();
    let first = start(&server, &scratch.0);
    eventually("the folder is taken", || first.status()["spool"]["state"] == "ok");
    let second = start(&server, &scratch.0);
    eventually("the other one is told", || second.count(Counter::SpoolFailures) == 1);
    let in_use = ",42 is in use by another varnishd or another copy of this module";
    eventually("it is said", || second.lines.all().first().is_some_and(|line| line.contains(in_use)));
    first.capture();
    second.capture();
    eventually("only the owner writes", || first.told(Tally::SpoolWritten) == 1);
    assert_eq!((second.told(Tally::SpoolWritten), scratch.events().len()), (0, 1));
    end(first);

    server.turn_to(Act::ok());
    second.clock.turn(Duration::from_secs(61));
    second.client.flush(Duration::from_millis(50));
    eventually("both are sent", || {
        second.clock.turn(Duration::from_secs(1));
        second.sent() == 2
    });
    assert_eq!(second.told(Tally::SpoolSent), 1);
}

#[test]
fn a_full_spool_gives_up_its_oldest_and_sentry_is_told() {
    const EVENTS: u64 = 80;
    const BYTES: u64 = 1 << 18;
    let server = Receiver::new([]).then_always(Act::status(503));
    let scratch = Scratch::new();
    let bench = start_with(&server.dsn(), &scratch.0, |settings| bounded(settings, BYTES, WEEK));
    let mut ids = Vec::new();
    for _ in 0..EVENTS {
        ids.push(bench.capture());
    }
    bench.client.shutdown(bench.clock.now() + Duration::from_secs(10));
    let kept = BYTES / 4096;
    assert_eq!(scratch.events().len() as u64, kept);
    assert_eq!(bench.dropped(), [(Reason::CacheOverflow, EVENTS - kept)]);
    assert_eq!((bench.told(Tally::SpoolWritten), bench.told(Tally::SpoolDropped)), (EVENTS, EVENTS - kept));
    end(bench);

    server.turn_to(Act::ok());
    drop(server.rest());
    let bench = start_with(&server.dsn(), &scratch.0, |settings| bounded(settings, 64 << 20, Duration::from_secs(60)));
    eventually("they are found", || bench.told(Tally::Found) == kept);
    bench.clock.turn(Duration::from_secs(3600));
    bench.client.flush(Duration::from_millis(50));
    eventually("the rest is too old", || bench.count(Counter::SpoolEntries) == 0);
    bench.capture();
    let told = |request: &Request| request.client_report().get("cache_overflow").copied().unwrap_or_default();
    let mut reported = 0;
    eventually("sentry is told", || {
        bench.clock.turn(Duration::from_secs(31));
        bench.client.flush(Duration::from_millis(50));
        reported += server.rest().iter().map(told).sum::<u64>();
        reported == bench.lost_for(Reason::CacheOverflow)
    });
    assert!(reported > 0);
}
