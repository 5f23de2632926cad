// SPDX-License-Identifier: BSD-2-Clause
//! A segment of counters in shared memory, as varnishstat shows it.

use std::ffi::{CString, c_char, c_uint};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// The server's `struct vsc_seg`; only C looks into it.
#[repr(C)]
pub struct VscSegment {
    _private: [u8; 0],
}

/// What a segment is called for a name that may have dashes, as names in VCL may: with underscores in their place. To
/// prometheus-varnish-exporter a dash in the name of a set of counters that it does not know is fatal, at each scrape.
pub fn segment_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Makes a segment: generated C, one function per `.vsc` file.
pub type NewSegment = unsafe extern "C" fn(*mut *mut VscSegment, *const c_char) -> *mut AtomicU64;
/// Ends a segment: generated C, one function per `.vsc` file.
pub type DestroySegment = unsafe extern "C" fn(*mut *mut VscSegment);

/// A segment; it ends with this value.
pub struct Counters {
    first: NonNull<AtomicU64>,
    segment: *mut VscSegment,
    destroy: DestroySegment,
    len: usize,
}

// SAFETY: the counters are atomics in memory that lives as long as this value; the segment's handle is
// used only by Drop, and the server guards its list of segments by a lock of its own.
unsafe impl Send for Counters {}
// SAFETY: as for Send.
unsafe impl Sync for Counters {}

impl Counters {
    /// Makes a segment of `len` counters called `name`, as [`segment_name`] has it; `None` if the server has no memory for it.
    ///
    /// # Safety
    /// `new` and `destroy` are the pair that the build made of one `.vsc` file with `len` counters.
    pub unsafe fn new(new: NewSegment, destroy: DestroySegment, len: usize, name: &str) -> Option<Counters> {
        let name = CString::new(segment_name(name)).ok()?;
        let mut segment = std::ptr::null_mut();
        // SAFETY: the name ends in a NUL; the out pointer is a local.
        let first = NonNull::new(unsafe { new(&mut segment, name.as_ptr()) })?;
        Some(Counters { first, segment, destroy, len })
    }

    /// The counter at `place`, a variant of the set's generated enum.
    pub fn get(&self, place: usize) -> Option<&AtomicU64> {
        if place >= self.len {
            return None;
        }
        // SAFETY: in bounds, checked above.
        let counter = unsafe { self.first.add(place) };
        // SAFETY: the segment has `len` aligned 64-bit cells that live as long as self; all writers use atomics.
        Some(unsafe { counter.as_ref() })
    }

    /// Adds to the counter at `place`.
    pub fn add(&self, place: usize, n: u64) {
        if let Some(counter) = self.get(place) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Has varnishstat show the segment, or no longer. On the CLI thread.
    pub fn show(&self, shown: bool) {
        // SAFETY: the segment lives as long as self; of two equal calls the server takes the second for none.
        unsafe { vx_counters_show(self.segment, c_uint::from(shown)) }
    }

    /// Sets the gauge at `place`.
    pub fn set(&self, place: usize, n: u64) {
        if let Some(counter) = self.get(place) {
            counter.store(n, Ordering::Relaxed);
        }
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: made by the matching `new`, and ended only here.
        unsafe { (self.destroy)(&mut self.segment) }
    }
}

unsafe extern "C" {
    fn vx_counters_show(segment: *const VscSegment, shown: c_uint);
}
