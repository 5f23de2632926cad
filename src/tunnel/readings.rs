// SPDX-License-Identifier: BSD-2-Clause
//! The bodies that are being read from clients which may send without an end and without a byte of the body. The server waits for a byte at a time and tells
//! nobody, so that only another thread can end it: each request that comes ends those whose time is over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shim::body::BodySocket;

/// What a body may take longer than it should, before its connection ends: one that comes slowly is given up by its own thread, with an answer.
const GRACE: Duration = Duration::from_secs(1);

/// Those of one tunnel.
#[derive(Default)]
pub struct Readings {
    state: Mutex<State>,
    /// How many there are: mostly none, and then no request takes the lock.
    number: AtomicUsize,
}

#[derive(Default)]
struct State {
    list: Vec<Open>,
    next: u64,
}

/// One that is being read.
struct Open {
    id: u64,
    /// `None` once it was ended.
    socket: Option<BodySocket>,
    end: Instant,
}

/// The reading of one body, for as long as its thread reads.
pub struct Reading<'r> {
    readings: &'r Readings,
    id: u64,
}

impl Readings {
    /// One more begins, of a body that is to be there within `time`.
    pub fn begin(&self, socket: BodySocket, time: Duration, now: Instant) -> Reading<'_> {
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.list.push(Open { id, socket: Some(socket), end: now + time + GRACE });
        self.number.store(state.list.len(), Ordering::Relaxed);
        Reading { readings: self, id }
    }

    /// Ends those whose time is over.
    pub fn end_late(&self, now: Instant) {
        if self.number.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.state.lock();
        for open in state.list.iter_mut().filter(|open| open.end <= now) {
            if let Some(socket) = open.socket.take() {
                // SAFETY: what is on the list has not come to the end of its reading, which takes it off under this lock.
                unsafe { socket.end() }
            }
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.readings.state.lock();
        state.list.retain(|open| open.id != self.id);
        self.readings.number.store(state.list.len(), Ordering::Relaxed);
    }
}
