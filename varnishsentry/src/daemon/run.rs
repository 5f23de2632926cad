// SPDX-License-Identifier: BSD-2-Clause
//! The loop: starts what is planned, waits for signals, takes over another configuration, and ends in order.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::plan::{Plan, Planned};
use super::service::Service;
use crate::config::load::Status;
use crate::config::worker::Worker as Settings;
use crate::options::Options;
use crate::pid_file::PidFile;
use crate::reader::Reader;
use crate::reader::opening::{Opened, open};
use crate::reader::progress::Ending;
use crate::reader::settings::{Patience, Settings as Reading};
use crate::signals::{Bell, Signal, Signals};
use crate::status::server::{Listener, Server as StatusServer, bind};
use crate::status::watched::{Pulse, Watched, Workers};
use crate::worker::clients::Clients;
use crate::worker::consumer::{Server, Worker};
use crate::worker::journal::{Output, say};
use crate::worker::view::View;

/// The longest wait for a signal: readers are looked after so often.
const TURN: Duration = Duration::from_millis(250);
/// How long events of a file get that was read to its end.
const FLUSH_PATIENCE: Duration = Duration::from_secs(60);
/// How long a reader gets to end.
const READER_PATIENCE: Duration = Duration::from_secs(5);

/// Runs until a signal or the end of what is read.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let signals = Signals::install().map_err(|error| error.to_string())?;
    let library = vapi::process::Library::installed();
    let name = if library.name == "varnish" { "Varnish" } else { "Vinyl Cache" };
    let server = Server { tags: vapi::tags::installed(), name: name.to_owned(), version: library.version.to_owned() };
    let plan = Plan::new(options, server.tags).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    // All that can be wrong is found before it goes into the background, and before there are threads.
    let opened = plan.workers.iter().map(|worker| open(worker.reading.clone(), || !signals.has_end()));
    let opened = opened.collect::<Result<Vec<_>, _>>()?;
    let listeners = bind(&plan.status)?;
    let mut pid_file = options.pid_file.as_deref().map(PidFile::open).transpose()?;
    if options.daemonize {
        vapi::process::daemonize().map_err(|error| format!("Daemon mode: {error}"))?;
    }
    if let Some(pid_file) = &mut pid_file {
        pid_file.write().map_err(|error| error.to_string())?;
    }
    let bell = signals.bell().map_err(|error| error.to_string())?;
    let mut daemon = Daemon::start(server, plan, opened, listeners, bell).map_err(|error| error.to_string())?;
    let ending = daemon.turn(options, &signals);
    Ok(daemon.end(ending))
}

/// Why it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was asked to, or nobody reads what is written.
    Meant,
    /// All is read.
    Read,
    /// A reader cannot go on.
    Broken,
}

/// A worker at work.
struct Running {
    settings: Arc<Settings>,
    reader: Reader,
    view: Arc<View>,
    pulse: Arc<Pulse>,
}

struct Daemon {
    server: Server,
    clients: Clients,
    output: Output,
    running: Vec<Running>,
    workers: Arc<Workers>,
    status: Status,
    status_server: Option<StatusServer>,
    service: Service,
    /// Rung by a reader that has ended.
    bell: Arc<Bell>,
}

impl Daemon {
    fn start(
        server: Server,
        plan: Plan,
        opened: Vec<Opened>,
        listeners: Vec<Listener>,
        bell: Bell,
    ) -> std::io::Result<Daemon> {
        let output = Output::default();
        let workers = Arc::new(Workers::new(SystemTime::now()));
        let mut daemon = Daemon {
            server,
            clients: Clients::new(Arc::new(output.clone())),
            output,
            running: Vec::new(),
            status_server: Some(StatusServer::start(listeners, &workers)?),
            workers,
            status: plan.status,
            service: Service::new(),
            bell: Arc::new(bell),
        };
        let wanted = plan.workers.into_iter().zip(opened).map(|(planned, opened)| (planned, Some(opened))).collect();
        daemon.put_to_work(wanted)?;
        daemon.service.ready();
        Ok(daemon)
    }

    /// Has these workers work and no others. Those with something opened read that, the others go on with what they read.
    fn put_to_work(&mut self, wanted: Vec<(Planned, Option<Opened>)>) -> std::io::Result<()> {
        let clients = self.clients.take_over(wanted.iter().map(|(planned, _)| &planned.settings.settings));
        let mut before = std::mem::take(&mut self.running);
        let mut watched = Vec::new();
        for ((planned, opened), client) in wanted.into_iter().zip(clients) {
            let settings = planned.settings;
            let known = before.iter().position(|known| known.settings.settings.name == settings.settings.name);
            let known = known.map(|at| before.swap_remove(at));
            let view = known.as_ref().map_or_else(Arc::default, |known| Arc::clone(&known.view));
            let worker =
                Worker::new(self.server.clone(), Arc::clone(&settings), Arc::clone(&client), Arc::clone(&view));
            let consumer = Box::new(worker);
            let running = match (known, opened) {
                (Some(known), None) => {
                    known.reader.replace(consumer);
                    Running { settings, ..known }
                }
                (known, Some(opened)) => {
                    // Its state file is one for both.
                    if let Some(known) = known {
                        stop(known);
                    }
                    let bell = Arc::clone(&self.bell);
                    let reader = Reader::start(opened, consumer, move || bell.ring())?;
                    Running { settings, reader, view, pulse: Arc::new(Pulse::new(Instant::now())) }
                }
                // Who is not known was opened.
                (None, None) => continue,
            };
            watched.push(Watched {
                settings: Arc::clone(&running.settings),
                reading: running.reader.settings().clone(),
                client,
                view: Arc::clone(&running.view),
                progress: Arc::clone(running.reader.progress()),
                pulse: Arc::clone(&running.pulse),
            });
            self.running.push(running);
        }
        self.workers.set(watched);
        before.into_iter().for_each(stop);
        self.tell();
        Ok(())
    }

    /// Says what is at work.
    fn tell(&self) {
        for worker in self.workers.all() {
            if !worker.client.is_enabled() {
                say(&format!("{}: there is no DSN, so nothing is sent", worker.name()));
            }
        }
        if let Some(address) = self.status_server.as_ref().and_then(StatusServer::address) {
            say(&format!("status at http://{address}"));
        }
        let names: Vec<_> = self.running.iter().map(|running| &*running.settings.settings.name).collect();
        self.service.status(&format!("workers: {}", names.join(", ")));
    }

    /// Turns until the end.
    fn turn(&mut self, options: &Options, signals: &Signals) -> End {
        loop {
            match signals.next(TURN) {
                Some(Signal::End) => return End::Meant,
                Some(Signal::Flush) => self.running.iter().for_each(|running| running.reader.flush()),
                Some(Signal::Reload) => self.reload(options),
                None => {}
            }
            let now = Instant::now();
            let all_get_on = self.workers.feel(now);
            self.service.feed(all_get_on, now);
            if let Some(end) = self.is_over() {
                return end;
            }
        }
    }

    fn is_over(&self) -> Option<End> {
        let endings: Vec<_> = self.running.iter().filter_map(|running| running.reader.progress().ending()).collect();
        if endings.iter().any(|ending| matches!(ending, Ending::Broken | Ending::Panicked)) {
            return Some(End::Broken);
        }
        if endings.len() == self.running.len() {
            return Some(End::Read);
        }
        self.output.is_closed().then_some(End::Meant)
    }

    /// Takes the configuration over as it is now. One that cannot be meant is said, and the old one stays.
    fn reload(&mut self, options: &Options) {
        self.service.reloading();
        match self.taken_over(options) {
            Ok(()) => say("the configuration is taken over"),
            Err(problems) => {
                problems.iter().for_each(|problem| say(problem));
                say("the configuration stays as it was");
            }
        }
        self.service.ready();
    }

    fn taken_over(&mut self, options: &Options) -> Result<(), Vec<String>> {
        let told = |problems: Vec<crate::config::problem::Problem>| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let plan = Plan::new(options, self.server.tags).map_err(told)?;
        // First all that may fail.
        let mut wanted = Vec::new();
        for planned in plan.workers {
            let opened = if self.reads(&planned) {
                None
            } else {
                Some(opened_later(&planned.reading).map_err(|error| vec![error])?)
            };
            wanted.push((planned, opened));
        }
        if plan.status != self.status {
            // A place that stays must be free for who serves it next.
            self.status_server = None;
            self.status = plan.status;
            let started = bind(&self.status)
                .and_then(|listeners| StatusServer::start(listeners, &self.workers).map_err(|error| error.to_string()));
            match started {
                Ok(server) => self.status_server = Some(server),
                // Nothing else depends on it.
                Err(problem) => say(&problem),
            }
        }
        self.put_to_work(wanted).map_err(|error| vec![error.to_string()])
    }

    /// Whether a worker of the name reads just this already.
    fn reads(&self, planned: &Planned) -> bool {
        let reading = without_patience(&planned.reading);
        self.running.iter().any(|running| {
            let is_same = running.settings.settings.name == planned.settings.settings.name;
            is_same && without_patience(running.reader.settings()) == reading
        })
    }

    /// Ends the readers, sends what waits, and says if something was lost.
    fn end(mut self, end: End) -> ExitCode {
        self.service.stopping();
        std::mem::take(&mut self.running).into_iter().for_each(stop);
        if end == End::Read {
            // Nobody waits for the end of the process, so what was read may take its time.
            for worker in self.workers.all() {
                // What was lost is said when it ends.
                let _ = worker.client.flush(FLUSH_PATIENCE);
            }
        }
        if !self.clients.shutdown() {
            say("not all events were sent; see the lines above");
        }
        drop(self.status_server.take());
        if end == End::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

fn stop(running: Running) {
    let name = running.settings.settings.name.clone();
    if !running.reader.stop(READER_PATIENCE) {
        say(&format!("{name}: the reader does not end, it is left alone"));
    }
}

/// What a reader reads that begins while others are at work: it does not wait for its server.
fn opened_later(reading: &Reading) -> Result<Opened, String> {
    open(without_patience(reading), || true)
}

fn without_patience(reading: &Reading) -> Reading {
    Reading { patience: Patience::Endless, ..reading.clone() }
}
