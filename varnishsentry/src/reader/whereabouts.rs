// SPDX-License-Identifier: BSD-2-Clause
//! Which log it is that is read: the library maps it and does not say. The system does.
//!
//! The file of a log has a name that no other has, `_.Log.` and a random number; beside it `_.index` begins with the process that writes it and its start.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use transaction::source::Child;

/// A file that is mapped as a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Its name, which is its own.
    pub name: String,
    /// Who writes it.
    pub child: Option<Child>,
    /// The manager of that child.
    pub manager: Option<Child>,
}

impl LogFile {
    /// The file that is mapped at this address; `None` if the system does not tell.
    pub fn at(address: usize) -> Option<LogFile> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let path = maps.lines().find_map(|line| path_at(line, address))?;
        let metadata = std::fs::metadata(&path).ok()?;
        let name = path.file_name()?.to_str()?.to_owned();
        let folder = path.parent()?;
        let child = writer(&folder.join("_.index"));
        let manager = folder.parent().and_then(|work| writer(&work.join("_.vsm_mgt/_.index")));
        Some(LogFile { device: metadata.dev(), inode: metadata.ino(), path, name, child, manager })
    }

    /// Whether it is still where it was: a new child has another one, and so has a server whose folder was replaced.
    pub fn is_there(&self) -> bool {
        let is_same = |found: Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        std::fs::metadata(&self.path).is_ok_and(is_same)
    }
}

/// The path of a line of /proc/self/maps, `begin-end rights offset device inode path`, if it is a file's that is mapped at this address.
fn path_at(line: &str, address: usize) -> Option<PathBuf> {
    let mut words = line.splitn(6, ' ');
    let (begin, end) = words.next()?.split_once('-')?;
    let begin = usize::from_str_radix(begin, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let path = words.nth(4)?.trim_start();
    ((begin..end).contains(&address) && path.starts_with('/')).then(|| Path::new(path).to_owned())
}

/// The process that keeps an index, which begins with `# pid start`.
fn writer(index: &Path) -> Option<Child> {
    let mut begin = String::new();
    File::open(index).ok()?.take(64).read_to_string(&mut begin).ok()?;
    let mut words = begin.lines().next()?.strip_prefix('#')?.split_whitespace();
    Some(Child { pid: words.next()?.parse().ok()?, started: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_at_an_address_is_found_by_its_line() {
        let line = "7f00c0000000-7f00c0500000 r--s 00000000 00:2d 41      /var/lib/varnish/my site/_.vsm_child/_.Log.0123456789abcdef";
        let path = Path::new("/var/lib/varnish/my site/_.vsm_child/_.Log.0123456789abcdef");
        assert_eq!(path_at(line, 0x7f00c0000000).as_deref(), Some(path));
        assert_eq!(path_at(line, 0x7f00c04fffff).as_deref(), Some(path));
        assert_eq!(path_at(line, 0x7f00c0500000), None);
        assert_eq!(path_at("7f00c0000000-7f00c0500000 rw-p 00000000 00:00 0 ", 0x7f00c0000000), None);
        assert_eq!(path_at("7f00c0000000-7f00c0500000 rw-p 00000000 00:00 0    [heap]", 0x7f00c0000000), None);
        assert_eq!(path_at("nonsense", 0), None);
    }

    #[test]
    fn the_writer_of_an_index_is_in_its_first_line() {
        let index = std::env::temp_dir().join(format!("varnishsentry-index-{}", std::process::id()));
        for (text, expected) in [
            ("# 17 1764432000\n+ _.Log 0 100 Log \n", Some(Child { pid: 17, started: 1_764_432_000 })),
            ("# 17\n", None),
            ("+ _.Log 0 100 Log \n", None),
            ("", None),
        ] {
            std::fs::write(&index, text).unwrap();
            assert_eq!(writer(&index), expected, "{text:?}");
        }
        std::fs::remove_file(&index).unwrap();
        assert_eq!(writer(&index), None);
    }
}
