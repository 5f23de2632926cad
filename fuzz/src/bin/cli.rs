// SPDX-License-Identifier: BSD-2-Clause
//! The manager's CLI: whatever it says, in whatever pieces, what comes of it is what a client by the manual would have, the secret is not told, and what is wrong is told in one line.
#![no_main]

use std::fs;
use std::io::{self, Read, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fuzz::body::has;
use fuzz::bytes::Bytes;
use fuzz::spooled::change;
use libfuzzer_sys::fuzz_target;
use varnishsentry::cli::Cli;
use varnishsentry::stream::Stream;

const SECRET: &str = "hunter2hunter2";
const QUESTION: &str = "panic.show";
/// What a manager says first that wants to be asked with a secret.
const CHALLENGE: &str = "ixslvvxrgkjptxmcgnnsdxsvdmvfympg\n\nAuthentication required.\n";
const BANNER: &str = "-----------------------------\nVarnish Cache CLI 1.0\n";
const STATUSES: [u16; 5] = [200, 107, 106, 300, 0];
/// The longest answer that is taken.
const MOST: usize = 1 << 20;

/// With the file of a secret, and without.
static CLIS: LazyLock<[Cli; 2]> = LazyLock::new(|| {
    let file = std::env::temp_dir().join(format!("fuzz-secret-{}", std::process::id()));
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    [None, Some(file)].map(|file| Cli::new("", file.as_ref().and_then(|file| file.to_str())))
});

/// A manager that says these bytes, piece by piece, and then no more.
struct Manager<'i> {
    says: &'i [u8],
    pieces: Bytes<'i>,
    hears: Vec<u8>,
}

impl Read for Manager<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty() && buffer.len() <= MOST + 1);
        let len = match self.pieces.byte() {
            0 => buffer.len(),
            len => len.into(),
        };
        let (piece, rest) = self.says.split_at(len.min(buffer.len()).min(self.says.len()));
        buffer[..piece.len()].copy_from_slice(piece);
        self.says = rest;
        Ok(piece.len())
    }
}

impl Write for Manager<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hears.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Manager<'_> {
    fn bound(&self, patience: Duration) -> io::Result<()> {
        assert!(!patience.is_zero());
        Ok(())
    }
}

/// An answer as the manager writes it.
fn written(status: u16, text: &[u8]) -> Vec<u8> {
    [format!("{status:<3} {:<8}\n", text.len()).as_bytes(), text, b"\n"].concat()
}

/// What a client by the manual takes for an answer, which it takes off `says`; `None` if that is none.
fn taken(says: &mut &[u8]) -> Option<(u16, String)> {
    let head = says.get(..12).filter(|_| says.get(12) == Some(&b'\n'))?;
    let head = str::from_utf8(head).ok().filter(|head| head.is_ascii())?;
    let (status, length) = head.split_once(' ')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.trim_end_matches(' ');
    if !is_number(status) || !is_number(length) {
        return None;
    }
    let length: usize = length.parse().ok().filter(|length| *length <= MOST)?;
    let text = says.get(13..13 + length)?;
    *says = says.get(13 + length + 1..)?;
    Some((status.parse().ok()?, String::from_utf8_lossy(text).into_owned()))
}

/// What came of a conversation.
#[derive(Debug, PartialEq)]
enum Told {
    Answer(String),
    Refused,
    /// It did not come to an answer.
    Broken,
}

/// What comes of `says`, and whether a secret and a question were said; `None` if what is wrong is said in a way that not all clients take for wrong.
fn expected(mut says: &[u8], has_secret: bool) -> Option<(Told, bool, bool)> {
    let (status, greeting) = taken(&mut says)?;
    let is_asked = status == 107;
    if is_asked {
        if !has_secret || !(greeting.len() >= 32 && greeting.is_char_boundary(32)) {
            return Some((Told::Broken, false, false));
        }
        match taken(&mut says)? {
            (200, _) => {}
            _ => return Some((Told::Refused, true, false)),
        }
    }
    match taken(&mut says)? {
        (200, text) => Some((Told::Answer(text), is_asked, true)),
        _ => Some((Told::Refused, is_asked, true)),
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let pieces = Bytes(input.take(8));
    let has_secret = input.flag();
    let greeting = input.pick(&[CHALLENGE, CHALLENGE, BANNER, "", "ixslvvxrgkjptxmcgnnsdxsvdmvfymp", "\u{e4}\u{20ac}"]);
    let status = if greeting == BANNER { 200 } else { input.pick(&[107, 107, 107, 200]) };
    let mut says = written(status, greeting.as_bytes());
    for _ in 0..input.byte() % 4 {
        says.extend_from_slice(&written(input.pick(&STATUSES), &input.text()));
    }
    while !input.is_empty() {
        change(&mut says, &mut input);
    }

    let mut manager = Manager { says: &says, pieces, hears: Vec::new() };
    let deadline = Instant::now() + Duration::from_secs(60);
    let answer = CLIS[usize::from(has_secret)].converse(&mut manager, QUESTION, deadline);
    let told = match &answer {
        Ok(text) => Told::Answer(text.clone()),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.trim().is_empty() && text.chars().count() <= 300, "{text:?}");
            assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
            if text.starts_with("the CLI answers ") { Told::Refused } else { Told::Broken }
        }
    };
    let heard = str::from_utf8(&manager.hears).unwrap();
    assert!(!has(heard.as_bytes(), SECRET));
    let (proof, question) = match heard.strip_prefix("auth ") {
        Some(rest) => rest.split_once('\n').map(|(proof, question)| (Some(proof), question)).unwrap(),
        None => (None, heard),
    };
    assert!(proof.is_none_or(|proof| proof.len() == 64 && proof.bytes().all(|digit| digit.is_ascii_hexdigit())));
    assert!(["", &format!("{QUESTION}\n")].contains(&question), "{heard:?}");
    if let Some(expected) = expected(&says, has_secret) {
        assert_eq!((told, proof.is_some(), !question.is_empty()), expected);
    }
});
