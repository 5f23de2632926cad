// SPDX-License-Identifier: BSD-2-Clause
//! A folder on a real disk. It, its root and its lock are opened without following a link, and used only if they belong to us
//! and nobody else may write to them; every name in it is looked up from the open folder, so what was checked is what is used.
//!
//! A lock says whose it is among processes, and among copies of this module in one. Nothing is synced: that is for
//! the loss of power, after which a file may be cut, and its checksum tells.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self as unix, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::disk::{Disk, Listed, Unusable};

const LOCK: &str = "lock";
/// Whoever has one of these, other than the owner, may write.
const WRITE_OTHERS: u32 = 0o022;

/// A [`Disk`].
pub struct Directory {
    folder: OwnedFd,
    /// Locked for as long as it is open.
    _lock: File,
}

/// Takes the folder `name` below `root`, which must be there. Never waits.
pub fn open(root: &Path, name: &str) -> Result<Box<dyn Disk>, Unusable> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A slash at the end would follow a link.
    let root: PathBuf = root.components().collect();
    let root = unix::open(&root, flags, Mode::empty()).map_err(io::Error::from)?;
    check("the folder", &stat(&root)?, FileType::Directory)?;
    match unix::mkdirat(&root, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(io::Error::from(error).into()),
    }
    let folder = unix::openat(&root, name, flags, Mode::empty()).map_err(io::Error::from)?;
    check(name, &stat(&folder)?, FileType::Directory)?;
    // Read and write, and not waiting: opening a pipe that nobody reads neither hangs nor fails.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock = unix::openat(&folder, LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
    check("its lock", &stat(&lock)?, FileType::RegularFile)?;
    let lock = File::from(lock);
    lock.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => Unusable::Taken,
        TryLockError::Error(error) => Unusable::Io(error),
    })?;
    Ok(Box::new(Directory { folder, _lock: lock }))
}

fn stat(file: impl AsFd) -> io::Result<Stat> {
    Ok(unix::fstat(file)?)
}

fn check(what: &str, stat: &Stat, kind: FileType) -> Result<(), Unusable> {
    let ours = geteuid().as_raw();
    let problem = if FileType::from_raw_mode(stat.st_mode) != kind {
        format!("{what} is no {}", if kind == FileType::Directory { "folder" } else { "regular file" })
    } else if stat.st_uid != ours {
        format!("{what} belongs to uid {}", stat.st_uid)
    } else if stat.st_mode & WRITE_OTHERS != 0 {
        format!("others may write to {what}: its mode is 0{:03o}", stat.st_mode & 0o7777)
    } else {
        return Ok(());
    };
    Err(Unusable::Unsafe(problem))
}

/// The length of a regular file of ours.
fn length(stat: &Stat) -> Option<u64> {
    let ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == geteuid().as_raw();
    u64::try_from(stat.st_size).ok().filter(|_| ours)
}

impl Directory {
    /// Creates a file; one of that name is one that could not be removed when writing it failed.
    fn create(&self, unfinished: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || unix::openat(&self.folder, unfinished, flags, Mode::RUSR | Mode::WUSR);
        let file = match create() {
            Err(Errno::EXIST) => {
                self.remove(unfinished)?;
                create()
            }
            other => other,
        };
        Ok(File::from(file?))
    }
}

impl Disk for Directory {
    fn list(&self, each: &mut dyn FnMut(Listed<'_>)) -> io::Result<()> {
        for entry in unix::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let name = file_name.to_str().unwrap_or_default();
            if [".", "..", LOCK].contains(&name) {
                continue;
            }
            match unix::statat(&self.folder, file_name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => each(Listed { name, length: length(&stat) }),
                Err(Errno::NOENT) => {}
                Err(_) => each(Listed { name, length: None }),
            }
        }
        Ok(())
    }

    fn read(&self, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match unix::openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => file,
            // A link, a socket.
            Err(Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(length) = length(&stat(&file)?) else { return Ok(None) };
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or_default());
        File::from(file).take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, unfinished: &str, bytes: &[u8]) -> io::Result<()> {
        let written = self.create(unfinished).and_then(|mut file| file.write_all(bytes));
        let written = written.and_then(|()| Ok(unix::renameat(&self.folder, unfinished, &self.folder, name)?));
        if written.is_err() {
            let _ = self.remove(unfinished);
        }
        written
    }

    fn try_write(&self, unfinished: &str, length: u64) -> io::Result<()> {
        let written =
            self.create(unfinished).and_then(|mut file| io::copy(&mut io::repeat(0).take(length), &mut file).map(drop));
        written.and(self.remove(unfinished))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match unix::unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
