// SPDX-License-Identifier: BSD-2-Clause
//! The file of `-P`: it holds the process's number, and a lock while that lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A pid file that is this process's own. It is removed when this is dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Takes the file; `Err` says who has it, or what else is wrong.
    pub fn open(path: &Path) -> Result<PidFile, String> {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        // What is in it stays another's until the lock is ours.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(path).unwrap_or_default();
                return Err(format!("{}: locked by another process: {}", path.display(), pid.trim()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        let path = std::path::absolute(path).map_err(failed)?;
        Ok(PidFile { path, file })
    }

    /// Writes the number of the process that it is by now.
    pub fn write(&mut self) -> io::Result<()> {
        write!(self.file, "{}", std::process::id())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_one_processes_own_and_goes_with_it() {
        let path = std::env::temp_dir().join(format!("varnishsentry-pid-{}", std::process::id()));
        let mut file = PidFile::open(&path).unwrap();
        file.write().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        let refused = PidFile::open(&path).unwrap_err();
        assert!(refused.ends_with(&format!("locked by another process: {}", std::process::id())), "{refused}");
        drop(file);
        assert!(!path.exists());
        assert!(PidFile::open(Path::new("/nowhere/pid")).unwrap_err().starts_with("/nowhere/pid: No such file"));
    }
}
