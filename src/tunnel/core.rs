// SPDX-License-Identifier: BSD-2-Clause
//! A tunnel proper: requests come in by the server, what is taken leaves by a client of many destinations. Tunnels of several VCLs may be one.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use delivery::client::Client as Delivery;
use delivery::counters::{Counter, Ledger, Tally};
use delivery::environment::Environment;
use protocol::dsn::Dsn;
use protocol::entry::{Entry, Part};
use protocol::reason::Reason;
use serde::Serialize;
use settings::tunnel::TunnelSettings;
use shim::Ctx;
use shim::body::{Bounds, NoBody as Unread};
use tunnel::answer::Answer;
use tunnel::count::{Figures, ProjectFigures};
use tunnel::request::Request;
use tunnel::{Body, Moment, NoBody, Sink};

use super::listing::{Listed, Listing};
use super::readings::Readings;
use super::request::head;
use crate::counters::{cells_of_tunnel, of_tunnel};
use crate::process::{Lease as LeaseOf, Member, Registry, environment, http};

/// Of a body of unknown length that is too large: as many times `max_body` is read, so that there is an answer and the connection is kept.
const READ_ON: u64 = 4;

static TUNNELS: Registry<TunnelSettings, Tunnel> = Registry::new();

/// A VCL's hold on a tunnel.
pub type Lease = LeaseOf<TunnelSettings, Tunnel>;

/// The tunnel with these settings, made if there is none.
pub fn lease(settings: TunnelSettings) -> Lease {
    TUNNELS.lease(settings, Tunnel::new)
}

/// Takes reports for several projects, and sends them on.
pub struct Tunnel {
    listing: Arc<Listing>,
    client: Arc<Delivery>,
    readings: Readings,
}

impl Member for Tunnel {
    fn delivery(&self) -> &Arc<Delivery> {
        &self.client
    }
}

impl Tunnel {
    fn new(settings: &TunnelSettings) -> Tunnel {
        let server = &settings.server;
        let connector = http(server.connect_timeout, server.timeout, server.way.clone());
        let world = environment(&settings.name, connector, || cells_of_tunnel(&settings.name));
        let listing = Listing::new(settings, Arc::clone(&world.ledger), of_tunnel(&settings.name), world.clock.now());
        let listing = Arc::new(listing);
        let directory = Some(Box::new(Listed::new(Arc::clone(&listing))) as Box<_>);
        let client = Delivery::new(settings.delivery(), Environment { directory, ..world });
        Tunnel { listing, client, readings: Readings::default() }
    }

    /// Takes the report of a request in vcl_recv, or not.
    pub fn accept(&self, ctx: Ctx<'_>) -> Answer {
        let now = Instant::now();
        self.readings.end_late(now);
        let request = head(ctx);
        let answer = self.judge(ctx, &request, now);
        if let Some(counters) = self.listing.counters() {
            counters.add(answer.outcome());
        }
        answer
    }

    fn judge(&self, ctx: Ctx<'_>, request: &Request<'_>, now: Instant) -> Answer {
        let judging = self.listing.judging();
        let max_body = judging.settings().max_body;
        let ticket = match judging.admit(request, now) {
            Ok(ticket) => ticket,
            Err(answer) => {
                ctx.leave_body(max_body as u64);
                return answer;
            }
        };
        let body = if ticket.wants_body() { self.read(ctx, now) } else { Ok(Vec::new()) };
        let at = Moment { now: Instant::now(), wall: SystemTime::now() };
        ticket.accept(body, at, &mut Out { client: &self.client, now: at.now })
    }

    fn read(&self, ctx: Ctx<'_>, now: Instant) -> Body {
        let settings = self.listing.judging().settings();
        let (keep, time) = (settings.max_body, settings.body_timeout);
        let bounds = Bounds { keep, read: READ_ON.saturating_mul(keep as u64), time };
        let _reading = ctx.body_socket().map(|socket| self.readings.begin(socket, time, now));
        ctx.read_body(bounds).map_or_else(
            |unread| match unread {
                // An envelope of nothing is none: whoever looks at it says so.
                Unread::None => Ok(Vec::new()),
                Unread::Taken => Err(NoBody::Taken),
                Unread::TooLarge => Err(NoBody::TooLarge),
                Unread::Late => Err(NoBody::Late),
                Unread::ClientFailed => Err(NoBody::Failed),
                Unread::CacheFailed => Err(NoBody::NoStorage),
            },
            Ok,
        )
    }

    /// The path of the `number`th DSN, as [`tunnel::Tunnel::path`].
    pub fn path(&self, number: i64) -> Option<String> {
        self.listing.judging().path(number)
    }

    /// Whether what comes next has room, and may be named.
    pub fn is_healthy(&self) -> bool {
        let judging = self.listing.judging();
        self.client.has_room() && judging.reading() < judging.settings().max_readers
    }

    /// As [`Delivery::flush`].
    pub fn flush(&self, timeout: Duration) -> bool {
        self.client.flush(timeout)
    }

    /// What it does, as one line of JSON; never a key.
    pub fn status(&self, now: Instant) -> String {
        self.client.status(None::<()>, now)
    }

    /// What became of all requests and of what was in them, as one line of JSON.
    pub fn count(&self) -> String {
        let times = self.client.answer_times();
        let mut projects: Vec<ProjectFigures<Delivered>> = Vec::new();
        let mut seen: Vec<Arc<Ledger>> = Vec::new();
        for (dsn, ledger) in self.client.projects() {
            // Of several keys of one project the numbers are the same.
            if seen.iter().any(|other| Arc::ptr_eq(other, &ledger)) {
                continue;
            }
            let (waiting, delivery) = (waiting(&ledger), Delivered::of(&ledger));
            let project = dsn.project();
            match projects.iter_mut().find(|other| other.project == project) {
                // Of two servers: by the number alone they are one.
                Some(other) => {
                    other.waiting += waiting;
                    other.delivery.add(&delivery);
                }
                None => projects.push(ProjectFigures { project: project.to_owned(), waiting, delivery }),
            }
            seen.push(ledger);
        }
        let figures = Figures {
            waiting: waiting(self.listing.ledger()),
            average: times.map(|times| times.mean),
            percentile: times.map(|times| times.p90),
            projects,
        };
        self.listing.judging().count(&figures)
    }
}

/// Entries in queue and spool, and on their way.
fn waiting(ledger: &Ledger) -> u64 {
    [Counter::QueueEntries, Counter::UnderWay, Counter::SpoolEntries].map(|gauge| ledger.get(gauge)).iter().sum()
}

/// What became of a project's items, all kinds that are counted by number together.
#[derive(Default, Serialize)]
struct Delivered {
    captured: u64,
    found: u64,
    sent: u64,
    dropped: u64,
    refused: u64,
    waiting: u64,
    spooled: u64,
}

impl Delivered {
    fn of(ledger: &Ledger) -> Delivered {
        let of_reasons = |tally: fn(Reason) -> Tally| {
            Reason::ALL.into_iter().map(|reason| ledger.told_of_items(tally(reason))).sum()
        };
        Delivered {
            captured: ledger.told_of_items(Tally::Captured),
            found: ledger.told_of_items(Tally::Found),
            sent: ledger.told_of_items(Tally::Sent),
            dropped: of_reasons(Tally::Dropped),
            refused: of_reasons(Tally::Refused),
            waiting: ledger.told_of_items(Tally::Waiting),
            spooled: ledger.told_of_items(Tally::Spooled),
        }
    }

    fn add(&mut self, other: &Delivered) {
        self.captured += other.captured;
        self.found += other.found;
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.refused += other.refused;
        self.waiting += other.waiting;
        self.spooled += other.spooled;
    }
}

/// The client behind the tunnel.
struct Out<'c> {
    client: &'c Delivery,
    now: Instant,
}

impl Sink for Out<'_> {
    fn enqueue(&mut self, entry: Box<dyn Entry>) -> Result<(), Reason> {
        self.client.enqueue(entry, self.now)
    }

    fn refuse(&mut self, dsn: &Arc<Dsn>, parts: &[Part], reason: Reason) {
        for Part { category, quantity, .. } in parts {
            self.client.refuse_for(dsn, *category, reason, *quantity, self.now);
        }
    }
}
