// SPDX-License-Identifier: BSD-2-Clause
//! Whom one speaks with, with bounded waits: who asks for the status, the manager.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A stream whose waits are bounded.
pub trait Stream: Read + Write {
    /// Bounds each wait from now on.
    fn bound(&self, patience: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn bound(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl Stream for TcpStream {
    fn bound(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}
