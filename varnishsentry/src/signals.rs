// SPDX-License-Identifier: BSD-2-Clause
//! Signals, as the server's own readers have them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: to read the configuration anew.
    Reload,
    /// SIGUSR1: to tell what is under way as it is.
    Flush,
    /// SIGINT, SIGTERM
    End,
}

/// Takes signals from now on, for the whole process.
#[derive(Debug)]
pub struct Signals {
    /// Which have come, the most urgent first.
    come: [(Signal, Arc<AtomicBool>); 3],
    /// A byte for each that has come, and for each time that somebody rang.
    bell: UnixStream,
    ringer: UnixStream,
}

/// Ends a wait for signals, from another thread.
#[derive(Debug)]
pub struct Bell(UnixStream);

impl Bell {
    pub fn ring(&self) {
        // One that is full of bytes has been rung.
        let _ = (&self.0).write(&[0]);
    }
}

impl Signals {
    pub fn install() -> io::Result<Signals> {
        let (bell, ringer) = UnixStream::pair()?;
        let flag = || Arc::new(AtomicBool::new(false));
        let come = [(Signal::End, flag()), (Signal::Flush, flag()), (Signal::Reload, flag())];
        for (signal, flag) in &come {
            let numbers: &[i32] = match signal {
                Signal::End => &[SIGINT, SIGTERM],
                Signal::Flush => &[SIGUSR1],
                Signal::Reload => &[SIGHUP],
            };
            for number in numbers {
                // In this order: what rings has been noted.
                signal_hook::flag::register(*number, Arc::clone(flag))?;
                signal_hook::low_level::pipe::register(*number, ringer.try_clone()?)?;
            }
        }
        ringer.set_nonblocking(true)?;
        Ok(Signals { come, bell, ringer })
    }

    pub fn bell(&self) -> io::Result<Bell> {
        self.ringer.try_clone().map(Bell)
    }

    /// Waits for a signal, at most so long and until somebody rings. One that came twice before it was asked for counts once.
    pub fn next(&self, within: Duration) -> Option<Signal> {
        self.take().or_else(|| {
            // A timeout of zero would be none.
            let within = within.max(Duration::from_millis(1));
            // What it reads, and whether, tells nothing that the flags do not.
            if self.bell.set_read_timeout(Some(within)).is_ok() {
                let _ = (&self.bell).read(&mut [0; 64]);
            }
            self.take()
        })
    }

    /// Whether the process is asked to end; the signal stays to be taken.
    pub fn has_end(&self) -> bool {
        self.come.iter().any(|(signal, flag)| *signal == Signal::End && flag.load(Ordering::Relaxed))
    }

    fn take(&self) -> Option<Signal> {
        let (signal, _) = self.come.iter().find(|(_, flag)| flag.swap(false, Ordering::Relaxed))?;
        Some(*signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_taken_once_and_the_end_first() {
        let signals = Signals::install().unwrap();
        assert_eq!(signals.next(Duration::from_millis(1)), None);
        signals.bell().unwrap().ring();
        assert_eq!(signals.next(Duration::from_secs(86_400)), None);
        for number in [SIGHUP, SIGUSR1, SIGUSR1, SIGTERM] {
            signal_hook::low_level::raise(number).unwrap();
        }
        assert!(signals.has_end());
        let long = Duration::from_secs(60);
        let taken: Vec<_> = (0..3).map(|_| signals.next(long)).collect();
        assert_eq!(taken, [Some(Signal::End), Some(Signal::Flush), Some(Signal::Reload)]);
        // What rang for them is still to be read.
        assert_eq!(signals.next(long), None);
    }
}
