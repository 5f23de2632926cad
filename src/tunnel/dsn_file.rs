// SPDX-License-Identifier: BSD-2-Clause
//! The file with DSNs of a tunnel, which is read anew when it has changed. What is wrong with it is said once.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// No list is longer: 50000 DSNs have room, with comments.
const MAX_SIZE: u64 = 16 << 20;

/// What tells a file from itself as it was.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// The file, and how it was when it was read last.
pub struct DsnFile {
    path: PathBuf,
    read: Option<Stamp>,
    /// What was wrong with it last, so that it is said once.
    problem: Option<String>,
}

/// What a look at the file found.
pub enum Look {
    Same,
    Text(Vec<u8>),
    /// It cannot be read, for a reason that was not said before.
    Problem(String),
}

impl DsnFile {
    pub fn new(path: PathBuf) -> DsnFile {
        DsnFile { path, read: None, problem: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it if it has changed.
    pub fn look(&mut self) -> Look {
        match read(&self.path, self.read) {
            Ok(None) => {
                self.problem = None;
                Look::Same
            }
            Ok(Some((stamp, text))) => {
                (self.read, self.problem) = (Some(stamp), None);
                Look::Text(text)
            }
            Err(error) => {
                let problem = format!("dsn_file {}: {error}", self.path.display());
                let is_new = self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem.clone());
                if is_new { Look::Problem(problem) } else { Look::Same }
            }
        }
    }
}

/// The text if its stamp is another one. Anything but a regular file is refused without being opened: a pipe would wait for its writer.
fn read(path: &Path, known: Option<Stamp>) -> io::Result<Option<(Stamp, Vec<u8>)>> {
    let other = |text| io::Error::other(text);
    if !std::fs::metadata(path)?.is_file() {
        return Err(other("not a regular file"));
    }
    let file = File::open(path)?;
    let stamp = stamp(&file.metadata()?);
    if known == Some(stamp) {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(other("longer than 16 MiB"));
    }
    Ok(Some((stamp, text)))
}

fn stamp(of: &Metadata) -> Stamp {
    (of.dev(), of.ino(), of.len(), (of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec()))
}
