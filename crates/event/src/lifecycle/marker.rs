// SPDX-License-Identifier: BSD-2-Clause
//! A child's marker: a file that says that it runs, and that it takes away when it ends as it should.
//!
//! The next child of the same parent that finds one knows that the child before it did not. A marker of
//! another parent's child says nothing: with its parent a child may end in any way. A parent is known by its
//! pid, the time it started and the boot it started in, for pids come again.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::lifecycle::owner::owner;

/// What a marker begins with.
const MAGIC: &str = "vmod-sentry child 1";
/// No marker is longer.
const MAX_SIZE: u64 = 1024;
/// Ticks per second of the times that Linux shows in /proc, on every machine that this runs on.
const TICKS: u64 = 100;

/// A process that marks that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub pid: u32,
    /// What tells its parent from every other process there was.
    pub parent: String,
    pub started: SystemTime,
}

/// A child that ended without having taken its marker away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    pub pid: u32,
    pub started: SystemTime,
}

impl Child {
    /// What the system knows of process `pid`, by the files of `proc`. Where they may not be read, the parent
    /// is known by its pid alone, and the child as one that started at `now`.
    pub fn new(proc: &Path, pid: u32, parent: u32, now: SystemTime) -> Child {
        let ticks = |pid: u32| start_ticks(&fs::read_to_string(proc.join(format!("{pid}/stat"))).ok()?);
        let boot = fs::read_to_string(proc.join("sys/kernel/random/boot_id")).unwrap_or_default();
        let uptime = fs::read_to_string(proc.join("uptime")).ok().and_then(|text| uptime(&text));
        let age = ticks(pid).zip(uptime).map(|(start, uptime)| {
            let start = Duration::from_millis(start.saturating_mul(1000 / TICKS));
            uptime.saturating_sub(start)
        });
        Child {
            pid,
            parent: format!("{parent} {} {}", ticks(parent).unwrap_or_default(), boot.trim()),
            started: now.checked_sub(age.unwrap_or_default()).unwrap_or(now),
        }
    }

    /// Marks that this child runs; the death that a marker found there tells of, once.
    pub fn mark(&self, marker: &Path) -> io::Result<Option<Death>> {
        let found = match read(marker) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // Whole, or not at all, however this process ends.
        let unfinished = marker.with_extension("new");
        // The folder may be one that others write to: what is there goes, so that a link leads to no other file.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::File::create_new(&unfinished)?;
        file.write_all(self.text().as_bytes())?;
        fs::rename(&unfinished, marker)?;
        let before = found.filter(|found| found.parent == self.parent && found.pid != self.pid);
        Ok(before.map(|before| Death { pid: before.pid, started: before.started }))
    }

    /// Takes the marker away, if it is this child's.
    pub fn unmark(&self, marker: &Path) {
        if read(marker)
            .is_ok_and(|found| found.is_some_and(|found| (found.pid, &found.parent) == (self.pid, &self.parent)))
        {
            // If that fails the next child reports a death; there is nobody left to tell.
            let _ = fs::remove_file(marker);
        }
    }

    fn text(&self) -> String {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        format!("{MAGIC}\n{}\n{started}\n{}\n", self.pid, self.parent)
    }

    fn parse(text: &str) -> Option<Child> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != MAGIC {
            return None;
        }
        let pid = lines.next()?.parse().ok()?;
        let started = UNIX_EPOCH.checked_add(Duration::from_secs(lines.next()?.parse().ok()?))?;
        let parent = lines.next()?.to_owned();
        Some(Child { pid, parent, started })
    }
}

/// Where the children of an instance of varnishd have their marker: by its identity and working folder, for
/// several may share `folder`.
pub fn place(folder: &Path, identity: &str, workdir: &Path) -> PathBuf {
    // FNV-1a: the name must stay the same from release to release.
    let bytes = identity.bytes().chain([0]).chain(workdir.as_os_str().as_encoded_bytes().iter().copied());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    folder.join(format!("child-{hash:016x}.marker"))
}

/// What there is to say of a folder that `error` keeps from being used.
pub fn unusable(folder: &Path, error: &io::Error) -> String {
    format!("state_dir {}: {error}, expected a folder that {} may write to", folder.display(), owner())
}

/// The child that a marker tells of; `None` if what is there is none.
fn read(marker: &Path) -> io::Result<Option<Child>> {
    let about = fs::symlink_metadata(marker)?;
    if !about.is_file() || about.len() > MAX_SIZE {
        return Ok(None);
    }
    Ok(Child::parse(&String::from_utf8_lossy(&fs::read(marker)?)))
}

/// When a process started, in ticks since the boot, by its `stat`. Its name, in parentheses, may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn uptime(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.split_ascii_whitespace().next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A folder that is there as long as the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("marker-unit-{}-{number}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn child(pid: u32, parent: &str, started: u64) -> Child {
        Child { pid, parent: parent.to_owned(), started: at(started) }
    }

    #[test]
    fn a_death_is_told_to_the_next_child_of_the_same_parent_once() {
        let scratch = Scratch::new();
        let marker = place(&scratch.0, "edge1", Path::new("/var/lib/varnish/edge1"));
        let (first, second, third) = (child(11, "10 5 b", 100), child(12, "10 5 b", 200), child(13, "10 5 b", 300));
        assert_eq!(first.mark(&marker).unwrap(), None);
        assert_eq!(first.mark(&marker).unwrap(), None, "its own marker");
        assert_eq!(second.mark(&marker).unwrap(), Some(Death { pid: 11, started: at(100) }));
        assert_eq!(second.mark(&marker).unwrap(), None);
        second.unmark(&marker);
        assert_eq!(third.mark(&marker).unwrap(), None, "the one before ended as it should");
    }

    #[test]
    fn a_marker_of_another_parent_tells_of_no_death() {
        let scratch = Scratch::new();
        let marker = place(&scratch.0, "edge1", Path::new("/"));
        // Another process, one of the same pid, one of another boot.
        for parent in ["20 5 b", "10 6 b", "10 5 c"] {
            child(11, "10 5 b", 100).mark(&marker).unwrap();
            assert_eq!(child(12, parent, 200).mark(&marker).unwrap(), None, "{parent}");
        }
    }

    #[test]
    fn nobody_takes_anothers_marker_away() {
        let scratch = Scratch::new();
        let marker = place(&scratch.0, "edge1", Path::new("/"));
        child(12, "10 5 b", 200).mark(&marker).unwrap();
        child(11, "10 5 b", 100).unmark(&marker);
        child(12, "20 5 b", 100).unmark(&marker);
        assert!(marker.exists());
    }

    #[test]
    fn what_is_no_marker_is_replaced() {
        let scratch = Scratch::new();
        let marker = place(&scratch.0, "edge1", Path::new("/"));
        let cut = child(11, "10 5 b", 100).text();
        let cut = &cut[..cut.len() - 3];
        for text in ["", "vmod-sentry child 1\n", "vmod-sentry child 2\n11\n100\n10 5 b\n", cut, &"x".repeat(5000)] {
            fs::write(&marker, text).unwrap();
            let next = child(12, "10 5 b", 200);
            assert_eq!(next.mark(&marker).unwrap(), None, "{text}");
            assert_eq!(read(&marker).unwrap(), Some(next));
        }
    }

    #[test]
    fn a_link_leads_to_no_other_file() {
        let scratch = Scratch::new();
        let marker = place(&scratch.0, "edge1", Path::new("/"));
        let other = scratch.0.join("other");
        let text = child(11, "10 5 b", 100).text();
        fs::write(&other, &text).unwrap();
        for link in [&marker, &marker.with_extension("new")] {
            std::os::unix::fs::symlink(&other, link).unwrap();
            assert_eq!(child(12, "10 5 b", 200).mark(&marker).unwrap(), None, "{}", link.display());
            assert_eq!(fs::read_to_string(&other).unwrap(), text, "{}", link.display());
            child(12, "10 5 b", 200).unmark(&marker);
            assert!(!marker.exists(), "{}", link.display());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_an_error() {
        let scratch = Scratch::new();
        let marker = place(&scratch.0.join("missing"), "edge1", Path::new("/"));
        let error = child(11, "10", 1).mark(&marker).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let said = format!("state_dir /s: {error}, expected a folder that {} may write to", owner());
        assert_eq!(unusable(Path::new("/s"), &error), said);
    }

    #[test]
    fn each_instance_has_a_marker_of_its_own() {
        let of = |identity, workdir| place(Path::new("/s"), identity, Path::new(workdir));
        assert_eq!(of("a", "/w"), of("a", "/w"));
        assert_ne!(of("a", "/w"), of("b", "/w"));
        assert_ne!(of("a", "/w"), of("a", "/x"));
        assert_ne!(of("ab", "/w"), of("a", "b/w"));
    }

    #[test]
    fn parent_and_age_are_what_the_system_says() {
        let scratch = Scratch::new();
        let proc = &scratch.0;
        let stat = |pid: u32, name: &str, start: u64| {
            fs::create_dir_all(proc.join(pid.to_string())).unwrap();
            let zeros = "0 ".repeat(18);
            fs::write(proc.join(format!("{pid}/stat")), format!("{pid} ({name}) S {zeros}{start} 4096 1\n")).unwrap();
        };
        stat(10, "a) S 1 (b", 12_345);
        stat(11, "cache-main", 40_000);
        fs::create_dir_all(proc.join("sys/kernel/random")).unwrap();
        fs::write(proc.join("sys/kernel/random/boot_id"), "5ca1ab1e\n").unwrap();
        fs::write(proc.join("uptime"), "460.25 900.00\n").unwrap();
        let made = Child::new(proc, 11, 10, at(1_000_000));
        assert_eq!((made.pid, made.parent.as_str()), (11, "10 12345 5ca1ab1e"));
        assert_eq!(made.started, at(1_000_000) - Duration::from_millis(60_250));
        let unknown = Child::new(&proc.join("missing"), 11, 10, at(7));
        assert_eq!((unknown.parent.as_str(), unknown.started), ("10 0 ", at(7)));
    }
}
