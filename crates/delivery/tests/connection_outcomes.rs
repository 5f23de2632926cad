// SPDX-License-Identifier: BSD-2-Clause
//! Exactly one outcome comes back for each request, whatever the transport does and whenever it is aborted.

mod fixture_connection;
mod receiver;

use std::collections::VecDeque;
use std::io;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use delivery::connection::Connection;
use delivery::connection::request::{Answer, Body, Failure, Outcome, PANICKED, Request, Target, Ticket};
use delivery::connection::transport::{Abort, Connector, Posted, Transport};
use delivery::spawn::spawn_thread;
use fixture_connection::{connector, target_at};
use proptest::prelude::*;
use receiver::{Act, PATIENCE, Receiver, eventually};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Play {
    Answer,
    Fail,
    Panic,
    /// Until it is aborted.
    Hang,
}

/// Does as it is told.
#[derive(Default)]
struct Script {
    plays: Mutex<VecDeque<Play>>,
    under_way: Mutex<(bool, bool)>,
    changed: Condvar,
    posts: AtomicUsize,
    transports: AtomicUsize,
}

struct Player(Arc<Script>);
struct Aborter(Arc<Script>);

impl Connector for Player {
    fn transport(&self) -> Box<dyn Transport> {
        self.0.transports.fetch_add(1, Ordering::SeqCst);
        Box::new(Player(self.0.clone()))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.0.transports.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Transport for Player {
    fn begin(&mut self) {
        *self.0.under_way.lock().unwrap() = (true, false);
    }

    fn post(&mut self, _: &Target, _: &Body, _: Duration) -> Posted {
        self.0.posts.fetch_add(1, Ordering::SeqCst);
        let play = self.0.plays.lock().unwrap().pop_front().unwrap_or(Play::Answer);
        let result = match play {
            Play::Answer => Ok(Answer { status: 200, ..Answer::default() }),
            Play::Fail => Err(Failure::Broken("failed".to_owned())),
            Play::Panic => panic!("this panic is part of the test"),
            Play::Hang => {
                let mut under_way = self.0.under_way.lock().unwrap();
                while !under_way.1 {
                    under_way = self.0.changed.wait(under_way).unwrap();
                }
                Err(Failure::Broken("aborted".to_owned()))
            }
        };
        self.0.under_way.lock().unwrap().0 = false;
        Posted { result, reconnects: 1 }
    }

    fn aborter(&self) -> Arc<dyn Abort> {
        Arc::new(Aborter(self.0.clone()))
    }
}

impl Abort for Aborter {
    fn abort(&self) {
        let mut under_way = self.0.under_way.lock().unwrap();
        if under_way.0 {
            under_way.1 = true;
            self.0.changed.notify_all();
        }
    }
}

fn request(number: u64) -> Request {
    Request {
        ticket: Ticket(number),
        target: Arc::default(),
        body: Body { bytes: vec![1; 10], encoding: None, ..Body::default() },
        timeout: PATIENCE,
    }
}

fn start(connector: &dyn Connector) -> (Connection, mpsc::Receiver<Outcome>) {
    let (sender, outcomes) = mpsc::channel();
    let send = Box::new(move |outcome| sender.send(outcome).unwrap());
    (Connection::start(connector, spawn_thread, send).unwrap(), outcomes)
}

fn quietly<T>(run: impl FnOnce() -> T) -> T {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some("vmod-sentry-con") {
                loud(info);
            }
        }));
    });
    run()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn one_outcome_for_each_request(
        plays in prop::collection::vec(
            (prop_oneof![Just(Play::Answer), Just(Play::Fail), Just(Play::Panic), Just(Play::Hang)], 0_u8..3),
            1..8,
        ),
        leave in any::<bool>(),
    ) {
        quietly(|| {
            let script = Arc::new(Script::default());
            let (connection, outcomes) = start(&Player(script.clone()));
            script.transports.fetch_add(1, Ordering::SeqCst);
            let last = plays.len() - 1;
            for (number, (play, aborts)) in plays.iter().enumerate() {
                script.plays.lock().unwrap().clear();
                script.plays.lock().unwrap().push_back(*play);
                connection.abort();
                connection.send(request(number as u64)).expect("it is idle");
                if leave && number == last && *play != Play::Hang {
                    break;
                }
                // Before the thread has begun with it, or after, or when it is over.
                let aborts = if *play == Play::Hang { aborts + 1 } else { *aborts };
                for _ in 0..aborts {
                    connection.abort();
                    thread::yield_now();
                }
                let outcome = outcomes.recv_timeout(PATIENCE).expect("an outcome");
                prop_assert_eq!(outcome.ticket, Ticket(number as u64));
                let unseen = outcome.result == Err(Failure::Unreached("aborted".to_owned()));
                prop_assert!(!unseen || aborts > 0);
                let expected = match play {
                    Play::Answer => outcome.result.as_ref().is_ok_and(|answer| answer.status == 200),
                    Play::Fail => outcome.result == Err(Failure::Broken("failed".to_owned())),
                    Play::Panic => outcome.result == Err(Failure::Broken(PANICKED.to_owned())),
                    Play::Hang => outcome.result == Err(Failure::Broken("aborted".to_owned())),
                };
                prop_assert!(unseen || expected, "{:?}: {:?}", play, outcome.result);
                let kept = if *play == Play::Panic && !unseen { 0 } else { 10 };
                prop_assert_eq!(outcome.body.bytes.len(), kept);
                prop_assert!(outcomes.try_recv().is_err());
            }
            drop(connection);
            let rest: Vec<_> = std::iter::from_fn(|| outcomes.recv_timeout(PATIENCE).ok()).collect();
            let left = usize::from(leave && plays[last].0 != Play::Hang);
            prop_assert_eq!(rest.len(), left, "what was under way has its outcome, and the thread has ended");
            Ok(())
        })?;
    }
}

#[test]
fn while_a_request_is_under_way_another_one_comes_back() {
    let script = Arc::new(Script::default());
    script.plays.lock().unwrap().extend([Play::Hang, Play::Answer]);
    let (connection, outcomes) = start(&Player(script.clone()));
    connection.send(request(1)).unwrap();
    eventually("it is posted", || script.posts.load(Ordering::SeqCst) == 1);
    assert_eq!(connection.send(request(2)).unwrap_err().ticket, Ticket(2));
    connection.abort();
    assert_eq!(outcomes.recv_timeout(PATIENCE).unwrap().ticket, Ticket(1));
    connection.send(request(3)).unwrap();
    let outcome = outcomes.recv_timeout(PATIENCE).unwrap();
    assert_eq!((outcome.ticket, outcome.reconnects), (Ticket(3), 1));
}

#[test]
fn one_whose_thread_does_not_start_is_none() {
    let script = Arc::new(Script::default());
    let started = Connection::start(&Player(script), |_, _| Err(io::Error::other("no more")), Box::new(drop));
    assert_eq!(started.unwrap_err().to_string(), "no more");
}

#[test]
fn a_teller_that_panics_ends_nothing() {
    quietly(|| {
        let (sender, outcomes) = mpsc::channel();
        let tell = move |outcome: Outcome| {
            sender.send(outcome.ticket).unwrap();
            panic!("this panic is part of the test");
        };
        let connection = Connection::start(&Player(Arc::default()), spawn_thread, Box::new(tell)).unwrap();
        for number in 0..3 {
            eventually("it is idle", || connection.send(request(number)).is_ok());
            assert_eq!(outcomes.recv_timeout(PATIENCE), Ok(Ticket(number)));
        }
    });
}

#[test]
fn a_request_goes_over_a_real_socket_and_its_abort_too() {
    let server = Receiver::new([Act::ok(), Act::Silence, Act::ok()]);
    let (connection, outcomes) = start(&connector());
    let to_server = |number| Request { target: Arc::new(target_at(server.address)), ..request(number) };
    connection.send(to_server(1)).unwrap();
    let outcome = outcomes.recv_timeout(PATIENCE).unwrap();
    assert_eq!((outcome.result.map(|answer| answer.status), outcome.body.bytes.len()), (Ok(200), 10));
    server.next();
    connection.send(to_server(2)).unwrap();
    server.next();
    connection.abort();
    let outcome = outcomes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(outcome.result, Err(Failure::Broken("aborted".to_owned())));
    connection.send(to_server(3)).unwrap();
    assert!(outcomes.recv_timeout(PATIENCE).unwrap().result.is_ok());
}
