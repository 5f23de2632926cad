// SPDX-License-Identifier: BSD-2-Clause
//! A DSN from a file: a secret that is kept out of the VCL.

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
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_SIZE).read_to_string(&mut text)).map_err(unreadable)?;
    Dsn::parse(&text).map_err(|error| format!("dsn_file {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn white_space_around_the_dsn_is_ignored() {
        let path = std::env::temp_dir().join(format!("dsn-file-{}", std::process::id()));
        fs::write(&path, "\n  https://key@sentry.example/7 \r\n\n").unwrap();
        assert_eq!(read(&path).map(|dsn| dsn.to_string()), Ok("sentry.example/7".to_owned()));
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
