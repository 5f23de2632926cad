// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-sink
//!
//! An HTTP server that takes every POST on connections that stay open, and does as it is told: prints its
//! port, then reads lines from its standard input and answers each with one. Ends with its input.
//!
//! `answer`: 200 at once, as from the start. `delay MS`: 200 after so long. `limit SECONDS`: 429, and errors
//! are to stop for so long, as Sentry says it. `stall`: no answer, before another line comes. `stats`:
//! requests and bytes of their bodies so far. `times`: when the first of them came, in ms.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
enum Conduct {
    Answer,
    Delay(Duration),
    Limit(u64),
    Stall,
}

struct State {
    conduct: Conduct,
    requests: u64,
    bytes: u64,
    times: Vec<u128>,
}

struct Sink {
    begin: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

/// Times that are kept.
const MAX_TIMES: usize = 10_000;

impl Sink {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        let (mut line, mut body) = (String::new(), Vec::new());
        loop {
            let mut length = 0;
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line == "\r\n" {
                    break;
                }
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
            writer.write_all(self.take(length).as_bytes())?;
        }
    }

    /// Counts a request, and returns its answer when it is due.
    fn take(&self, length: usize) -> String {
        let mut state = self.state();
        state.requests += 1;
        state.bytes += length as u64;
        if state.times.len() < MAX_TIMES {
            let at = self.begin.elapsed().as_millis();
            state.times.push(at);
        }
        while state.conduct == Conduct::Stall {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let conduct = state.conduct;
        drop(state);
        match conduct {
            Conduct::Limit(seconds) => {
                let limits = format!("Retry-After: {seconds}\r\nX-Sentry-Rate-Limits: {seconds}:error:organization");
                format!("HTTP/1.1 429 Too Many Requests\r\n{limits}\r\nContent-Length: 2\r\n\r\n{{}}")
            }
            Conduct::Delay(time) => {
                thread::sleep(time);
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned()
            }
            Conduct::Answer | Conduct::Stall => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        }
    }

    fn obey(&self, line: &str) -> String {
        let mut state = self.state();
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        state.conduct = match words.first().copied() {
            Some("answer") => Conduct::Answer,
            Some("delay") => Conduct::Delay(Duration::from_millis(number)),
            Some("limit") => Conduct::Limit(number),
            Some("stall") => Conduct::Stall,
            Some("stats") => return format!("{} {}", state.requests, state.bytes),
            Some("times") => return state.times.iter().map(u128::to_string).collect::<Vec<_>>().join(" "),
            _ => panic!("not understood: {line}"),
        };
        self.changed.notify_all();
        String::new()
    }
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let state = State { conduct: Conduct::Answer, requests: 0, bytes: 0, times: Vec::new() };
    let sink = Arc::new(Sink { begin: Instant::now(), state: Mutex::new(state), changed: Condvar::new() });
    let serving = sink.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sink = serving.clone();
            thread::spawn(move || sink.serve(stream));
        }
    });
    for line in io::stdin().lines() {
        println!("{}", sink.obey(&line?));
    }
    Ok(())
}
