// SPDX-License-Identifier: BSD-2-Clause
//! Where the daemon says what an operator should know: standard error, which the service manager keeps; and standard output in a dry run.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use delivery::journal::Journal;

/// Says one line.
pub fn say(line: &str) {
    // If nobody listens there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "varnishsentry: {line}");
}

/// What clients say.
pub struct Notices;

impl Journal for Notices {
    fn log(&self, text: &str) {
        say(text);
    }
}

/// Where a dry run writes its events, a line each.
#[derive(Clone, Debug, Default)]
pub struct Output {
    is_closed: Arc<AtomicBool>,
}

impl Output {
    /// Whether nobody reads it any more.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

impl Journal for Output {
    fn log(&self, text: &str) {
        let mut out = io::stdout().lock();
        if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
            self.is_closed.store(true, Ordering::Relaxed);
        }
    }
}
