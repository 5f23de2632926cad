// SPDX-License-Identifier: BSD-2-Clause
//! Who is told what is in a log. Every entry from C runs inside a panic guard: a panic that left Rust would end the process without a word of what it was doing.

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use std::sync::LazyLock;

use transaction::group::{Group, Head, Incomplete, Kind, Reason, Record, Side};
use transaction::tags::Wanted;

use crate::place::{Place, RawLog};
use crate::tags::installed;

/// The tag of what the library itself has to say of a transaction.
static NOTE: LazyLock<Option<u8>> = LazyLock::new(|| Some(installed().named("VSL")?.0));

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Stop,
}

/// Takes what is read.
pub trait Sink {
    /// A group that the query let pass.
    fn group(&mut self, group: Found<'_>) -> Flow;

    /// A record of no transaction. Its text is in the log's memory: whoever copies it has to ask [`Place::is_intact`] afterwards.
    fn record(&mut self, record: Record<'_>, place: Place<'_>) -> Flow;

    /// One of the two has panicked; what it was handed is lost.
    fn panicked(&mut self);
}

/// A group where it lies, in the log's memory or in the query's.
#[derive(Clone, Copy)]
pub struct Found<'l> {
    pub place: Place<'l>,
    group: *const RawGroup,
}

impl Found<'_> {
    /// Copies the group, but of its records only those whose tag is wanted, and the library's own. `flushed` is why the query is flushed, if it is.
    pub fn copy(self, wanted: &Wanted, flushed: Incomplete, to: &mut Group) {
        to.clear();
        for at in 0.. {
            let mut one = RawTransaction::default();
            // SAFETY: the log and the group are those of the call from C that is under way; `at` grows until the end is told.
            match unsafe { va_transaction(self.place.log(), self.group, at, &mut one) } {
                1 => {}
                0 => continue,
                _ => break,
            }
            to.begin(one.head());
            // SAFETY: the cursor is of the group's transaction.
            unsafe { va_record_rewind(one.cursor) };
            let mut raw = RawRecord::default();
            // SAFETY: the same cursor, and `wanted` has a place for every tag.
            while unsafe { va_record_next(one.cursor, wanted.as_ptr(), &mut raw) } == 1 {
                // SAFETY: C has just found it, and nothing moves the cursor before it is copied.
                let record = unsafe { raw.lend() };
                to.push(record);
                if Some(record.tag) == *NOTE
                    && let Some(why) = incomplete(record.text, flushed)
                {
                    to.mark(why);
                }
            }
        }
    }
}

/// Why a transaction is told too early, by the library's note in it.
fn incomplete(note: &[u8], flushed: Incomplete) -> Option<Incomplete> {
    match note {
        b"timeout" => Some(Incomplete::Timeout),
        b"store overflow" => Some(Incomplete::StoreOverflow),
        b"flush" => Some(flushed),
        _ => None,
    }
}

/// The same tags, and that of the library's own records, which [`Found::copy`] goes by.
pub fn with_notes(wanted: &Wanted) -> Wanted {
    let mut wanted = *wanted;
    if let Some(place) = NOTE.and_then(|note| wanted.get_mut(usize::from(note))) {
        *place = 1;
    }
    wanted
}

/// What C is handed: calls that end up in a [`Sink`].
#[repr(C)]
pub(crate) struct RawSink {
    group: unsafe extern "C" fn(*mut c_void, *const RawGroup) -> c_int,
    record: unsafe extern "C" fn(*mut c_void, *const RawRecord) -> c_int,
    private: *mut c_void,
}

/// A log that is read, and who is told.
pub(crate) struct Reading<'r> {
    log: *const RawLog,
    sink: &'r mut dyn Sink,
}

impl<'r> Reading<'r> {
    pub(crate) fn new(log: *const RawLog, sink: &'r mut dyn Sink) -> Reading<'r> {
        Reading { log, sink }
    }

    /// For one call into C, during which nobody else may touch `self`.
    pub(crate) fn raw(&mut self) -> RawSink {
        RawSink { group, record, private: std::ptr::from_mut(self).cast() }
    }

    fn guarded(&mut self, body: impl FnOnce(&mut dyn Sink) -> Flow) -> c_int {
        // Unwind safety: what a sink leaves half done are buffers that it clears before it fills them, and the sink is told.
        match catch_unwind(AssertUnwindSafe(|| body(self.sink))) {
            Ok(Flow::Continue) => 0,
            Ok(Flow::Stop) => 1,
            Err(panic) => {
                // The payload's own Drop may panic, and so may the sink again.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
                let _ = catch_unwind(AssertUnwindSafe(|| self.sink.panicked()));
                0
            }
        }
    }
}

/// # Safety
/// `private` is what [`Reading::raw`] made it, and the rest are the library's arguments of this call.
unsafe extern "C" fn group(private: *mut c_void, group: *const RawGroup) -> c_int {
    // SAFETY: the caller vouches for it, and C has only one call under way.
    let reading = unsafe { &mut *private.cast::<Reading<'_>>() };
    // SAFETY: the log outlives the call into C that this is a part of.
    let place = unsafe { Place::new(reading.log) };
    reading.guarded(|sink| sink.group(Found { place, group }))
}

/// # Safety
/// As of [`group`].
unsafe extern "C" fn record(private: *mut c_void, record: *const RawRecord) -> c_int {
    // SAFETY: the caller vouches for it, and C has only one call under way.
    let reading = unsafe { &mut *private.cast::<Reading<'_>>() };
    // SAFETY: C's own variable.
    let record = unsafe { &*record };
    // SAFETY: C has just found it.
    let record = unsafe { record.lend() };
    // SAFETY: the log outlives the call into C that this is a part of.
    let place = unsafe { Place::new(reading.log) };
    reading.guarded(|sink| sink.record(record, place))
}

/// The library's array of transactions.
#[repr(C)]
pub(crate) struct RawGroup {
    opaque: [u8; 0],
}

/// The library's cursor.
#[repr(C)]
struct RawCursor {
    opaque: [u8; 0],
}

/// `struct va_transaction`.
#[repr(C)]
struct RawTransaction {
    vxid: u64,
    parent: u64,
    level: u32,
    kind: u8,
    reason: u8,
    cursor: *const RawCursor,
}

impl Default for RawTransaction {
    fn default() -> RawTransaction {
        RawTransaction { vxid: 0, parent: 0, level: 0, kind: 0, reason: 0, cursor: std::ptr::null() }
    }
}

impl RawTransaction {
    fn head(&self) -> Head {
        let kind = match self.kind {
            1 => Kind::Session,
            2 => Kind::Request,
            3 => Kind::BackendRequest,
            4 => Kind::Raw,
            _ => Kind::Unknown,
        };
        let reason = match self.reason {
            1 => Reason::Http1,
            2 => Reason::Rxreq,
            3 => Reason::Esi,
            4 => Reason::Restart,
            5 => Reason::Pass,
            6 => Reason::Fetch,
            7 => Reason::BackgroundFetch,
            8 => Reason::Pipe,
            _ => Reason::Unknown,
        };
        Head { vxid: self.vxid, parent: self.parent, level: self.level, kind, reason, incomplete: None }
    }
}

/// `struct va_record`.
#[repr(C)]
struct RawRecord {
    text: *const c_char,
    len: u32,
    tag: u8,
    side: u8,
}

impl Default for RawRecord {
    fn default() -> RawRecord {
        RawRecord { text: std::ptr::null(), len: 0, tag: 0, side: 0 }
    }
}

impl RawRecord {
    /// # Safety
    /// C has filled it, and what it points to stays where it is while the result is used.
    unsafe fn lend(&self) -> Record<'_> {
        let side = match self.side {
            1 => Side::Client,
            2 => Side::Backend,
            _ => Side::None,
        };
        // SAFETY: the caller vouches for the bytes; the text is never NULL in a record that was filled.
        let text = unsafe { std::slice::from_raw_parts(self.text.cast(), self.len as usize) };
        Record { tag: self.tag, side, text }
    }
}

unsafe extern "C" {
    fn va_transaction(log: *const RawLog, group: *const RawGroup, at: usize, out: *mut RawTransaction) -> c_int;
    fn va_record_next(cursor: *const RawCursor, wanted: *const u8, out: *mut RawRecord) -> c_int;
    fn va_record_rewind(cursor: *const RawCursor);
}
