// SPDX-License-Identifier: BSD-2-Clause
//! A DSN from a file: a secret that is kept out of the VCL.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use protocol::dsn::Dsn;

/// No DSN is longer.
const MAX_SIZE: u64 = 4096;

/// Reads the DSN; the error names the file, never its content. Anything but a regular file is refused
/// without being opened: a pipe would wait for its writer.
pub fn read(path: &Path) -> Result<Dsn, String> {
    let unreadable = |error: io::Error| format!("dsn_file {}: {error}", path.display());
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("dsn_file {}: not a regular file", path.display()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_SIZE).read_to_end(&mut bytes)).map_err(unreadable)?;
    let unusable = |why: &dyn Display| format!("dsn_file {}: {why}", path.display());
    if [[0xff, 0xfe], [0xfe, 0xff]].iter().any(|mark| bytes.starts_with(mark)) {
        return Err(unusable(&"a text in UTF-16, expected UTF-8"));
    }
    let text = str::from_utf8(&bytes).map_err(|_| unusable(&"no text in UTF-8"))?;
    Dsn::parse(text).map_err(|error| unusable(&error))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_an_editor_puts_around_the_dsn_is_ignored_and_what_is_none_is_told_without_it() {
        let path = std::env::temp_dir().join(format!("dsn-file-{}", std::process::id()));
        let utf_16: Vec<u8> = "\u{feff}https://key@h/7".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (content, expected) in [
            (&b"\n  https://key@sentry.example/7 \r\n\n"[..], Ok("sentry.example/7")),
            (b"\xef\xbb\xbfhttps://key@sentry.example/7\r\n", Ok("sentry.example/7")),
            (b"\"https://key@sentry.example/7\"\r\n", Ok("sentry.example/7")),
            (b"https://sentry.example/api/7/envelope/?sentry_key=key\n", Ok("sentry.example/7")),
            (b"https://key@sentry.example/7\n# mine\n", Err("dsn has white space or a control character inside")),
            (b"", Err("dsn is empty")),
            (b"https://key@h/\xff7", Err("no text in UTF-8")),
            (&utf_16, Err("a text in UTF-16, expected UTF-8")),
        ] {
            fs::write(&path, content).unwrap();
            let found = read(&path);
            match expected {
                Ok(dsn) => assert_eq!(found.map(|dsn| dsn.to_string()).as_deref(), Ok(dsn)),
                Err(why) => {
                    let error = found.unwrap_err();
                    assert!(error.starts_with(&format!("dsn_file {}: {why}", path.display())), "{error}");
                }
            }
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_pipe_is_refused_rather_than_waited_for() {
        let path = std::env::temp_dir().join(format!("dsn-pipe-{}", std::process::id()));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (done, outcome) = mpsc::channel();
        let pipe = path.clone();
        thread::spawn(move || done.send(read(&pipe)).is_ok());
        let error = outcome.recv_timeout(Duration::from_secs(60)).expect("an answer").unwrap_err();
        assert_eq!(error, format!("dsn_file {}: not a regular file", path.display()));
        fs::remove_file(path).unwrap();
    }
}
