// SPDX-License-Identifier: BSD-2-Clause
//! A connection as its sender has it: requests go in, outcomes come back, one for each; the waiting is done by a
//! thread of its own.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::request::{Body, Failure, Outcome, PANICKED, Request};
use super::transport::{Abort, Connector, Posted, Transport};
use crate::spawn::Spawn;

/// What is told of outcomes.
type Outcomes = Box<dyn Fn(Outcome) + Send>;

/// The sender's end. Its thread ends with it, once its request has.
pub struct Connection {
    requests: Sender<Request>,
    turn: Arc<Turn>,
}

/// Whose turn it is: a request is aborted whether the thread has begun with it or not.
struct Turn {
    abort: Arc<dyn Abort>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A request was sent and not yet posted.
    Sent,
    /// As that, and aborted since.
    Aborted,
    Posting,
}

impl Connection {
    /// Starts its thread; nothing is opened before the first request.
    pub fn start(connector: &dyn Connector, spawn: Spawn, outcomes: Outcomes) -> io::Result<Connection> {
        let transport = connector.transport();
        let turn = Arc::new(Turn { abort: transport.aborter(), state: Mutex::new(State::Idle) });
        let (requests, inbox) = bounded(1);
        let worker = Worker { transport, inbox, outcomes, turn: turn.clone() };
        spawn("vmod-sentry-con", Box::new(move || worker.run()))?;
        Ok(Connection { requests, turn })
    }

    /// Has the request made. Only while no other one is under way; else it comes back.
    pub fn send(&self, request: Request) -> Result<(), Request> {
        let mut state = self.turn.state.lock();
        if *state != State::Idle {
            return Err(request);
        }
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(request) | TrySendError::Disconnected(request) => request,
        })?;
        *state = State::Sent;
        Ok(())
    }

    /// Ends the request under way; its outcome says so.
    pub fn abort(&self) {
        let mut state = self.turn.state.lock();
        match *state {
            State::Sent => *state = State::Aborted,
            State::Posting => self.turn.abort.abort(),
            State::Idle | State::Aborted => {}
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The thread's end.
struct Worker {
    transport: Box<dyn Transport>,
    inbox: Receiver<Request>,
    outcomes: Outcomes,
    turn: Arc<Turn>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(request) = self.inbox.recv() {
            let begin = Instant::now();
            let Request { ticket, target, body, timeout } = request;
            // Whatever a panic leaves of the transport: it takes care of that itself.
            let posted = panic::catch_unwind(AssertUnwindSafe(|| {
                if self.begin() {
                    self.transport.post(&target, &body, timeout)
                } else {
                    Posted { result: Err(Failure::Unreached("aborted".to_owned())), reconnects: 0 }
                }
            }));
            let (posted, body) = match posted {
                Ok(posted) => (posted, body),
                Err(_) => {
                    (Posted { result: Err(Failure::Broken(PANICKED.to_owned())), reconnects: 0 }, Body::default())
                }
            };
            let Posted { result, reconnects } = posted;
            let outcome = Outcome { ticket, result, reconnects, took: begin.elapsed(), body };
            *self.turn.state.lock() = State::Idle;
            // One that cannot be told is the teller's loss.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| (self.outcomes)(outcome)));
        }
    }

    /// Whether the request is still wanted; from now on an abort is one of the transport's post.
    fn begin(&mut self) -> bool {
        let mut state = self.turn.state.lock();
        let wanted = *state != State::Aborted;
        if wanted {
            self.transport.begin();
            *state = State::Posting;
        }
        wanted
    }
}
