// SPDX-License-Identifier: BSD-2-Clause
//! The post under way on a transport: what the parts of its connection tell each other of it, and how another thread ends it.
//!
//! One lock, held for a few moves and for the shutdown of a socket.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use socket2::Socket;

use super::head::Head;

/// Shared by a transport, the connections it opens, and whoever may abort it.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    aborted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    posting: bool,
    /// The open ones: the connection under way, and maybe one that is kept.
    sockets: Vec<Weak<Socket>>,
    course: Course,
}

/// How far a try has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    /// A new connection was asked for.
    pub opening: bool,
    /// It is open.
    pub opened: bool,
    /// Some of the request was written.
    pub written: bool,
    /// Bytes that came in, those of TLS and a proxy included.
    pub received: usize,
    /// Some of the answer has come.
    pub answered: bool,
    /// All of its head has.
    pub head: Option<Head>,
}

/// Somebody has ended the post.
#[derive(Debug)]
pub(crate) struct Aborted;

impl UnderWay {
    /// A post is under way from now on.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        if !state.posting {
            state.posting = true;
            self.aborted.store(false, Ordering::SeqCst);
        }
        state.course = Course::default();
    }

    /// It is over.
    pub fn end(&self) {
        self.state.lock().posting = false;
    }

    /// Ends it, if there is one.
    pub fn abort(&self) -> bool {
        let state = self.state.lock();
        if state.posting {
            self.aborted.store(true, Ordering::SeqCst);
            for socket in state.sockets.iter().filter_map(Weak::upgrade) {
                // An error means that it is closed, or not yet open.
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        state.posting
    }

    pub fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// Has `socket` shut down when the post is aborted.
    pub fn hold(&self, socket: &Arc<Socket>) -> Result<(), Aborted> {
        let mut state = self.state.lock();
        if self.is_aborted() {
            return Err(Aborted);
        }
        state.sockets.retain(|held| held.strong_count() > 0);
        state.sockets.push(Arc::downgrade(socket));
        Ok(())
    }

    /// Notes how far the try has come.
    pub fn note<T>(&self, note: impl FnOnce(&mut Course) -> T) -> T {
        note(&mut self.state.lock().course)
    }
}
