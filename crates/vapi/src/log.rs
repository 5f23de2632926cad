// SPDX-License-Identifier: BSD-2-Clause
//! A log, in shared memory or in a file, and the query that groups its records.

use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use transaction::group::Grouping;

use crate::look;
use crate::place::{Position, RawLog, position};
use crate::sink::{RawSink, Reading, Sink};

/// A log. It is made, its options are set, then its query, then what is read: a file, or a server ([`crate::server`]).
#[derive(Debug)]
pub struct Log {
    raw: NonNull<RawLog>,
    reads: Reads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Nothing,
    File,
    /// A server that is not there yet.
    Server,
    Attached,
}

// SAFETY: the library keeps no thread's data and takes no lock: it only must not be used by two threads at once, and a Log is not Sync.
unsafe impl Send for Log {}

/// Where in the log reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At the oldest record that can be read safely.
    Head,
    /// There, and it ends at the newest.
    HeadToTail,
    /// Behind the newest.
    Tail,
}

/// How reading some records went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There are more.
    More,
    /// There are no more yet.
    End,
    /// There will be no more.
    EndOfFile,
    /// The log is gone, or the library says that it cannot go on.
    Abandoned,
    /// The server has overwritten what was to be read next.
    Overrun,
    /// The file ends within a record, or cannot be read.
    Broken,
    /// The sink said so.
    Stopped,
}

impl Log {
    /// `None` if there is no memory. The first one is to be made while there are no other threads: it sets a variable of the environment.
    pub fn new() -> Option<Log> {
        // SAFETY: takes nothing; of threads that read the environment the caller has none, or the variable is set.
        NonNull::new(unsafe { va_log_new() }).map(|raw| Log { raw, reads: Reads::Nothing })
    }

    /// Sets an option: `b`, `c`, `C`, `E` without a value, `L`, `T` with one.
    pub fn option(&mut self, option: char, value: Option<&str>) -> Result<(), String> {
        if matches!((option, value), ('b' | 'c' | 'C' | 'E', None) | ('L' | 'T', Some(_))) {
            let value = value.map(c_string).transpose()?;
            let value = value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr());
            // SAFETY: a log of ours; the option is one that the library knows, with a value if it needs one.
            if unsafe { va_log_arg(self.as_ptr(), option as c_int, value) } == 1 {
                return Ok(());
            }
            return Err(self.error());
        }
        Err(format!("-{option}: unknown option"))
    }

    /// Sets how records are grouped and which groups pass; at most once, and before anything is read.
    pub fn query(&mut self, grouping: Grouping, query: Option<&str>) -> Result<(), String> {
        let query = query.map(c_string).transpose()?;
        let query = query.as_ref().map_or(std::ptr::null(), |query| query.as_ptr());
        let grouping = match grouping {
            Grouping::Session => 0,
            Grouping::Request => 1,
            Grouping::Vxid => 2,
            Grouping::Raw => 3,
        };
        // SAFETY: a log of ours, and a text or NULL.
        match unsafe { va_log_query(self.as_ptr(), grouping, query) } {
            1 => Ok(()),
            _ => Err(self.error()),
        }
    }

    /// Reads a file that varnishlog has written, `-` for standard input. A file is looked through once before, for what the library cannot bear; what comes in a
    /// pipe cannot be.
    pub fn file(&mut self, path: &Path) -> Result<(), String> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "file name with a NUL".to_owned())?;
        if self.reads != Reads::Nothing {
            return Err("a log reads one thing".to_owned());
        }
        let regular = if name.as_bytes() == b"-" { c"/dev/stdin" } else { &*name };
        // SAFETY: a log of ours.
        let looked = unsafe { look::through(self.as_ptr(), regular) };
        looked.map_err(|what| format!("{}: the log file is damaged: {what}", path.display()))?;
        // SAFETY: a log of ours, which has its query, and a text.
        if unsafe { va_log_file(self.as_ptr(), name.as_ptr()) } != 1 {
            return Err(self.error());
        }
        self.reads = Reads::File;
        Ok(())
    }

    /// Reads the log of the server's child, from now on; `false` if there is none.
    pub fn open(&mut self, from: From) -> bool {
        let (from_head, stop_at_tail) = match from {
            From::Head => (1, 0),
            From::HeadToTail => (1, 1),
            From::Tail => (0, 0),
        };
        // SAFETY: a log of ours, whose server is attached.
        self.is_attached() && unsafe { va_log_open(self.as_ptr(), from_head, stop_at_tail) } == 1
    }

    /// Ends what [`Log::open`] began. What is under way is dropped.
    pub fn close(&mut self) {
        // SAFETY: a log of ours.
        unsafe { va_log_close(self.as_ptr()) }
    }

    /// Reads up to `most` records, or batches of them, and tells `sink` what they complete; also says how many it was.
    pub fn dispatch(&mut self, most: u32, sink: &mut dyn Sink) -> (Outcome, u32) {
        let mut reading = Reading::new(self.raw.as_ptr(), sink);
        let mut steps = most;
        // SAFETY: a log of ours; C uses what it is handed only during this call.
        let outcome = match unsafe { va_log_dispatch(self.as_ptr(), &mut steps, &reading.raw()) } {
            1 => Outcome::More,
            0 => Outcome::End,
            -1 => Outcome::EndOfFile,
            -2 => Outcome::Abandoned,
            -3 => Outcome::Overrun,
            -100 => Outcome::Stopped,
            _ => Outcome::Broken,
        };
        (outcome, steps)
    }

    /// Tells `sink` what is under way, as it is; `false` if that was dropped: the server has overwritten it.
    pub fn flush(&mut self, sink: &mut dyn Sink) -> bool {
        let mut reading = Reading::new(self.raw.as_ptr(), sink);
        // SAFETY: as for `dispatch`.
        unsafe { va_log_flush(self.as_ptr(), &reading.raw()) != 0 }
    }

    /// The record that was read last; `None` before the first one, and in a file.
    pub fn position(&self) -> Option<Position> {
        // SAFETY: a log of ours.
        unsafe { position(self.as_ptr()) }
    }

    /// Where in this process's memory the log that is read begins; `None` if none is, or a file.
    pub fn address(&self) -> Option<usize> {
        // SAFETY: a log of ours.
        let address = unsafe { va_log_memory(self.as_ptr()) };
        (!address.is_null()).then_some(address as usize)
    }

    pub(crate) fn as_ptr(&self) -> *mut RawLog {
        self.raw.as_ptr()
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.reads == Reads::Attached
    }

    /// Whether it may become a server's log.
    pub(crate) fn reads_nothing(&self) -> bool {
        self.reads == Reads::Nothing
    }

    pub(crate) fn expects_server(&mut self) {
        self.reads = Reads::Server;
    }

    pub(crate) fn found_server(&mut self) {
        self.reads = Reads::Attached;
    }

    pub(crate) fn is_expecting(&self) -> bool {
        self.reads == Reads::Server
    }

    fn error(&self) -> String {
        // SAFETY: a log of ours.
        let text = unsafe { va_log_error(self.as_ptr()) };
        // SAFETY: a text of the library's, until its next call.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // SAFETY: made by va_log_new(), and nobody has it any more.
        unsafe { va_log_destroy(self.as_ptr()) }
    }
}

/// The grouping of this name or of this beginning of one, as `-g` takes it.
pub fn grouping(name: &str) -> Result<Grouping, String> {
    let text = c_string(name)?;
    // SAFETY: a text.
    match unsafe { va_grouping(text.as_ptr()) } {
        0 => Ok(Grouping::Session),
        1 => Ok(Grouping::Request),
        2 => Ok(Grouping::Vxid),
        3 => Ok(Grouping::Raw),
        -2 => Err(format!("Ambiguous grouping type: {name}")),
        _ => Err(format!("Unknown grouping type: {name}")),
    }
}

pub(crate) fn c_string(text: impl AsRef<OsStr>) -> Result<CString, String> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| "text with a NUL".to_owned())
}

unsafe extern "C" {
    fn va_log_new() -> *mut RawLog;
    fn va_log_destroy(log: *mut RawLog);
    fn va_log_error(log: *const RawLog) -> *const c_char;
    fn va_log_arg(log: *mut RawLog, option: c_int, value: *const c_char) -> c_int;
    fn va_log_query(log: *mut RawLog, grouping: u32, query: *const c_char) -> c_int;
    fn va_log_file(log: *mut RawLog, name: *const c_char) -> c_int;
    fn va_log_open(log: *mut RawLog, from_head: c_int, stop_at_tail: c_int) -> c_int;
    fn va_log_close(log: *mut RawLog);
    fn va_log_dispatch(log: *mut RawLog, steps: *mut u32, sink: *const RawSink) -> c_int;
    fn va_log_flush(log: *mut RawLog, sink: *const RawSink) -> c_int;
    fn va_log_memory(log: *const RawLog) -> *const u8;
    fn va_grouping(name: *const c_char) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_refused_in_the_words_of_the_library() {
        let mut log = Log::new().unwrap();
        assert_eq!(log.option('L', Some("x")), Err("-L: Syntax error".to_owned()));
        assert_eq!(log.option('L', Some("0")), Err("-L: Range error".to_owned()));
        assert_eq!(log.option('T', Some("-1")), Err("-T: Range error".to_owned()));
        assert_eq!(log.option('T', Some("120")), Ok(()));
        assert!(log.option('X', Some("y")).is_err());
        assert!(log.query(Grouping::Vxid, Some("RespStatus >>> 5")).unwrap_err().contains("RespStatus"));
        assert_eq!(grouping("sess"), Ok(Grouping::Session));
        assert_eq!(grouping("r"), Err("Ambiguous grouping type: r".to_owned()));
        assert_eq!(grouping("x"), Err("Unknown grouping type: x".to_owned()));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let mut log = Log::new().unwrap();
        log.query(Grouping::Vxid, None).unwrap();
        assert_eq!(log.file(Path::new("/nowhere")), Err("Cannot open /nowhere: No such file or directory".to_owned()));
        assert!(log.file(Path::new("/dev/null")).unwrap_err().contains("EOF"));
        assert!(!log.open(From::Head));
    }
}
