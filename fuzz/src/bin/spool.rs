// SPDX-License-Identifier: BSD-2-Clause
//! The spool: of a file that is not what was written, cut, changed, of another version or under another name, nothing is sent;
//! one that is, is sent as it was.
#![no_main]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use report::client::Client;
use report::clock::Clock;
use report::dsn::Dsn;
use report::environment::{Environment, spawn_thread};
use report::journal::Journal;
use report::settings::{DsnSource, Settings};
use report::stats::Counter;
use report::transport::{Answer, Failure, Post, Transport};
use serde_json::Value;

const TODAY: Duration = Duration::from_secs(1_767_225_600);
/// For what takes no time.
const PATIENCE: Duration = Duration::from_secs(8);

/// A clock that says today, a log, and a server that takes everything.
struct World {
    begin: Instant,
    lines: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Vec<u8>>>,
}

impl Clock for World {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + TODAY + self.begin.elapsed()
    }
}

impl Journal for World {
    fn log(&self, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }
}

impl Transport for World {
    fn post(&self, post: &Post<'_>, _: Duration) -> Result<Answer, Failure> {
        assert_eq!(post.content_encoding, None);
        self.bodies.lock().unwrap().push(post.body.to_vec());
        Ok(Answer { status: 200, ..Answer::default() })
    }

    fn abort(&self) {}
}

/// The name and the bytes of a file as the spool writes it, for an event of the last days.
fn written(input: &mut Bytes<'_>) -> (Vec<u8>, Vec<u8>) {
    let millis = TODAY.as_millis() - u128::from(u32::from_le_bytes(input.array()) >> 4);
    // A UUID of version 4, as each event's id is.
    let id = u128::from_be_bytes(input.array()) & !(0xf << 76 | 3 << 62) | 4 << 76 | 2 << 62;
    let name = format!("{millis:014}-{id:032x}.event");
    let json = format!("{{\"extra\":{}}}", Value::from(input.word("a0\"\\{}\n ", 60))).into_bytes();
    let head = format!("vmod-sentry spool 1 {:08x} {}\n", checksum(name.as_bytes(), &json), json.len());
    (name.into_bytes(), [head.as_bytes(), &json].concat())
}

fn checksum(name: &[u8], json: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(name);
    crc.update(json);
    crc.finalize()
}

/// Does to `bytes` what a disk, a person or another program may have done.
fn change(bytes: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let at = usize::from(u16::from_le_bytes(input.array())) % (bytes.len() + 1);
    match input.byte() % 5 {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(..at)),
        2 => drop(bytes.splice(at..at, input.text())),
        3 => bytes[at..].iter_mut().take(1).for_each(|byte| *byte ^= input.byte()),
        _ => {
            let text = input.text();
            let end = bytes.len().min(at + text.len());
            bytes.splice(at..end, text);
        }
    }
}

/// The JSON of the event in an envelope; a report of what was lost has none.
fn event(body: &[u8]) -> Option<&[u8]> {
    let mut lines = body.splitn(3, |byte| *byte == b'\n').skip(1);
    let (head, rest) = (lines.next()?, lines.next()?);
    let head: Value = serde_json::from_slice(head).unwrap();
    let length = usize::try_from(head["length"].as_u64().unwrap()).unwrap();
    (head["type"] == "event").then(|| &rest[..length])
}

/// The events that a client sends which finds `file` in its spool.
fn sent(name: &[u8], file: &[u8]) -> Vec<Vec<u8>> {
    let dsn = Dsn::parse("https://key@h/1").unwrap();
    let root = std::env::temp_dir().join(format!("fuzz-spool-{}", std::process::id()));
    let folder = root.join(dsn.folder_name());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(OsStr::from_bytes(name)), file).unwrap();

    let world = Arc::new(World { begin: Instant::now(), lines: Mutex::default(), bodies: Mutex::default() });
    let mut settings = Settings::default();
    (settings.client.dsn, settings.spool.folder) = (DsnSource::Text(dsn), Some(root.clone()));
    let environment = Environment {
        clock: world.clone(),
        random: || 0,
        journal: world.clone(),
        cells: None,
        transport: world.clone(),
        spotlight: None,
        spawn: spawn_thread,
    };
    let client = Client::new(settings, environment);
    let is_empty = || world.lines.lock().unwrap().iter().any(|line| line.ends_with(": 0 events"));
    let ends = [Counter::SpoolSent, Counter::SpoolDropped];
    let deadline = Instant::now() + PATIENCE;
    while !is_empty() && ends.iter().all(|end| client.stats().get(*end) == 0) {
        assert!(Instant::now() < deadline, "the file was neither sent nor dropped");
        thread::sleep(Duration::from_micros(50));
    }
    client.shutdown(deadline);
    fs::remove_dir_all(&root).unwrap();
    let bodies = world.bodies.lock().unwrap();
    bodies.iter().filter_map(|body| event(body)).map(<[u8]>::to_vec).collect()
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (mut name, mut file) = written(&mut input);
    let was = (name.clone(), file.clone());
    while !input.is_empty() {
        let what = if input.byte() % 4 == 0 { &mut name } else { &mut file };
        change(what, &mut input);
    }
    // What is no name of a file, and the spool's own. A short file is sent without being packed.
    if name.is_empty() || name.len() > 255 || name.iter().any(|byte| b"/\0".contains(byte)) || file.len() > 800 {
        return;
    }
    if [&b"."[..], b"..", b"lock"].contains(&&*name) {
        return;
    }
    let sent = sent(&name, &file);
    let head = file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len());
    let (head, json) = (&file[..head], file.get(head + 1..).unwrap_or_default());
    assert!(sent.len() <= 1 && sent.iter().all(|event| event == json));
    let head = String::from_utf8_lossy(head);
    let mut words = head.rsplit(' ');
    let length = words.next().and_then(|word| word.parse().ok());
    let sum = words.next().and_then(|word| u32::from_str_radix(word, 16).ok());
    let is_right = length == Some(json.len()) && sum == Some(checksum(&name, json));
    assert!(is_right || sent.is_empty(), "sent with another checksum");
    assert!((&name, &file) != (&was.0, &was.1) || sent.len() == 1, "not sent as it was written");
});
