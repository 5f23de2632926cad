// SPDX-License-Identifier: BSD-2-Clause
//! How threads are started: whoever needs one is handed this.

use std::{io, thread};

/// Starts a thread of that name (at most 15 bytes) that does the work; returns once it runs.
pub type Spawn = fn(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// The [`Spawn`] of real threads.
pub fn spawn_thread(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
