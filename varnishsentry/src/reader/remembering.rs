// SPDX-License-Identifier: BSD-2-Clause
//! How far a log was read, in a file that outlasts this process.
//!
//! What is remembered is a place in the log, not the number of a transaction: each of the server's threads takes numbers from a store of its own, so a later
//! transaction may well have a lower one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use transaction::source::Child;
use vapi::place::Position;

const FORM: &str = "varnishsentry 1";

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo {
    /// The name of the log's file.
    pub log: String,
    pub child: Option<Child>,
    pub manager: Option<Child>,
    /// The last record that was read.
    pub position: Position,
    /// How many children of the manager's have panicked.
    pub panics: u64,
}

impl Memo {
    fn text(&self) -> String {
        let process = |process: Option<Child>| process.unwrap_or(Child { pid: 0, started: 0 });
        let (child, manager) = (process(self.child), process(self.manager));
        format!(
            "{FORM}\nlog {}\nchild {} {}\nmanager {} {}\nposition {} {}\npanics {}\n",
            self.log,
            child.pid,
            child.started,
            manager.pid,
            manager.started,
            self.position.segment,
            self.position.offset,
            self.panics
        )
    }

    fn read(text: &str) -> Option<Memo> {
        // As they are written: lines() would take a carriage return for the end of one, too.
        let mut lines = text.split('\n');
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let pair = |text: &str| {
            let (first, second) = text.split_once(' ')?;
            Some((first.parse::<u64>().ok()?, second.parse::<u64>().ok()?))
        };
        let process = |(pid, started): (u64, u64)| (pid != 0).then_some(Child { pid, started });
        (value("varnishsentry")? == "1").then_some(())?;
        let log = value("log")?.to_owned();
        let child = process(pair(value("child")?)?);
        let manager = process(pair(value("manager")?)?);
        let (segment, offset) = pair(value("position")?)?;
        let position = Position { segment: u32::try_from(segment).ok()?, offset };
        Some(Memo { log, child, manager, position, panics: value("panics")?.parse().ok()? })
    }
}

/// The file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// What is in it.
    written: Option<Memo>,
    has_failed: bool,
}

impl StateFile {
    pub fn new(path: &Path) -> StateFile {
        StateFile { path: path.to_owned(), written: None, has_failed: false }
    }

    /// What an earlier process has written; `Ok(None)` if nothing, `Err` says why it cannot be told.
    pub fn read(&mut self) -> Result<Option<Memo>, String> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", self.path.display())),
        };
        self.written = Memo::read(&text);
        match &self.written {
            Some(memo) => Ok(Some(memo.clone())),
            None => Err(format!("{}: not a state of varnishsentry's, begins anew", self.path.display())),
        }
    }

    /// Writes what has changed. Whoever reads finds the old or the new one, never a part. `Err` says why not, once until it succeeds again.
    pub fn write(&mut self, memo: &Memo) -> Result<(), String> {
        if self.written.as_ref() == Some(memo) {
            return Ok(());
        }
        match self.replace(memo.text().as_bytes()) {
            Ok(()) => {
                self.written = Some(memo.clone());
                self.has_failed = false;
                Ok(())
            }
            Err(_) if self.has_failed => Ok(()),
            Err(error) => {
                self.has_failed = true;
                Err(format!("{}: {error}; after a restart records will be missed or told twice", self.path.display()))
            }
        }
    }

    /// Not synced: the server's log does not outlast the system either.
    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(text)?;
        std::fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memo() -> Memo {
        Memo {
            log: "_.Log.0123456789abcdef".into(),
            child: Some(Child { pid: 17, started: 1_764_432_000 }),
            manager: None,
            position: Position { segment: u32::MAX, offset: 80 << 20 },
            panics: 3,
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("varnishsentry-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = folder("state");
        let path = folder.join("state");
        let mut file = StateFile::new(&path);
        assert_eq!(file.read(), Ok(None));
        assert_eq!(file.write(&memo()), Ok(()));
        assert_eq!(StateFile::new(&path).read(), Ok(Some(memo())));
        let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["state"]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_damaged_is_told_and_means_nothing() {
        let folder = folder("damaged");
        let path = folder.join("state");
        let whole = memo().text();
        let newer = whole.replace("varnishsentry 1", "varnishsentry 2");
        let returns = whole.replace('\n', "\r\n");
        for text in ["", "varnishsentry 1\n", "garbage", &*newer, &*returns, whole.get(..whole.len() / 2).unwrap()] {
            std::fs::write(&path, text).unwrap();
            assert!(StateFile::new(&path).read().unwrap_err().contains("begins anew"), "{text:?}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(StateFile::new(&path).read().is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_once() {
        let mut file = StateFile::new(Path::new("/nowhere/state"));
        assert!(file.write(&memo()).unwrap_err().starts_with("/nowhere/state: No such file"));
        assert_eq!(file.write(&memo()), Ok(()));
    }
}
