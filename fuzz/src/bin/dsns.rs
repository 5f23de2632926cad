// SPDX-License-Identifier: BSD-2-Clause
//! A tunnel's file of DSNs: those it has are those that a reader line by line finds, and of the others the first are told by their numbers, in one line each, without a key.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use delivery::shared::Shared;
use delivery::shared::destination::Destination;
use fuzz::body::has;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::dsn::Dsn;
use tunnel::Tunnel;
use tunnel::settings::{Arguments, Settings};

/// Bad lines that are told.
const MAX_TOLD: usize = 20;
const KEY: &str = "hunter2hunter2";
const PIECES: [&str; 24] = [
    "https://hunter2hunter2@h/1",
    "https://hunter2hunter2@h/2",
    "https://hunter2hunter2@other/1",
    "https://hunter2hunter2:hunter2hunter2@h/1",
    "https://k@h/42",
    "https://k@other/42",
    "http://hunter2hunter2@[::1]:9000/a/b/7",
    "https://hunter2hunter2@h",
    "https://hunter2hunter2@h/1/",
    "'https://hunter2hunter2@h/3'",
    "https://h/api/7/envelope/?sentry_key=hunter2hunter2",
    "hunter2hunter2",
    "\n",
    "\r\n",
    "\n\n",
    "\r",
    " ",
    "#",
    "# of the shop\n",
    "\u{feff}",
    ",",
    "\u{2028}",
    "\t",
    "%",
];

static TUNNEL: LazyLock<(Tunnel, Arc<Destination>)> = LazyLock::new(|| {
    let start = Instant::now();
    let arguments = Arguments { dsns: "https://k@h/42", has_file: true, ..Arguments::default() };
    let shared = Shared::new(start);
    let destination = shared.destination(&Arc::new(Dsn::parse("https://k@h/42").unwrap()), start);
    let tunnel = Tunnel::new(Settings::new(&arguments).unwrap(), || 7, &|_| destination.clone(), start);
    (tunnel, destination)
});

/// The DSNs, and the numbers of the lines that have none.
fn expected(text: &[u8]) -> (Vec<Dsn>, Vec<usize>) {
    let (mut dsns, mut bad) = (Vec::<Dsn>::new(), Vec::new());
    let text = String::from_utf8_lossy(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)).into_owned();
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.split('#').next().unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        let dsn = Dsn::parse(line).ok();
        let same = dsn.as_ref().and_then(|dsn| {
            dsns.iter().find(|other| (other.public_key(), other.project()) == (dsn.public_key(), dsn.project()))
        });
        match (&dsn, same) {
            (Some(dsn), None) => dsns.push(dsn.clone()),
            (Some(dsn), Some(other)) if dsn == other => {}
            _ => bad.push(number),
        }
    }
    (dsns, bad)
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let mut text = Vec::new();
    while !input.is_empty() {
        match input.byte() {
            0..=223 => text.extend_from_slice(input.pick(&PIECES).as_bytes()),
            224..=231 => text.extend_from_slice("bad\n".repeat(usize::from(input.byte()) % 32).as_bytes()),
            count => text.extend_from_slice(input.take(usize::from(count - 231))),
        }
    }
    let (tunnel, destination) = &*TUNNEL;
    let told = tunnel.set_file(&text, &|_| destination.clone());
    let (dsns, bad) = expected(&text);
    let own = Dsn::parse("https://k@h/42").unwrap();
    // The one of the settings comes first, and stays what it is.
    let is_own = |dsn: &Dsn| (dsn.public_key(), dsn.project()) == ("k", "42");
    let all: Vec<_> = [own].into_iter().chain(dsns.into_iter().filter(|dsn| !is_own(dsn))).collect();
    let had: Vec<_> = tunnel.dsns().iter().map(|dsn| (**dsn).clone()).collect();
    assert_eq!(had, all);
    assert_eq!(told.len(), bad.len().min(MAX_TOLD));
    for (told, number) in told.iter().zip(bad) {
        let text = told.to_string();
        assert_eq!(told.number, number, "{text}");
        assert!(text.starts_with(&format!("line {number}: dsn ")) && text.lines().count() == 1, "{text:?}");
        assert!(!has(text.as_bytes(), KEY), "{text}");
    }
    for number in 1..=all.len() {
        let path = tunnel.path(number as i64).expect("as many paths");
        assert!(path.len() > 1 && path.bytes().skip(1).all(|byte| byte.is_ascii_alphanumeric()), "{path}");
    }
    assert_eq!((tunnel.path(0), tunnel.path(all.len() as i64 + 1)), (None, None));
});
