// SPDX-License-Identifier: BSD-2-Clause
//! A client proper: what its events have in common, and how they travel. Clients of several VCLs may be one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use delivery::admission::threshold::Threshold;
use delivery::client::{Admission, Client as Delivery};
use delivery::counters::Counter;
use delivery::environment::Environment;
use delivery::journal::Topic;
use event::capture::fields::Fields;
use event::capture::record::Record;
use event::capture::room::Room;
use event::error_event::{ErrorEvent, Form};
use event::payload::sampling_context;
use parking_lot::Mutex;
use protocol::baggage;
use protocol::category::Category;
use protocol::reason::Reason;
use protocol::trace::Trace;
use serde::Serialize;
use settings::sections::Settings;

/// Reports errors to one DSN.
pub struct Client {
    settings: Settings,
    form: Arc<Form>,
    delivery: Arc<Delivery>,
    room: Room,
    deaths: Mutex<Deaths>,
}

/// Whether a death of the child would be seen, and why not.
#[derive(Clone, Serialize)]
struct Deaths {
    state: &'static str,
    last_error: Option<String>,
}

impl Client {
    pub fn new(settings: Settings, environment: Environment) -> Client {
        let delivery = Delivery::new(settings.delivery(), environment);
        let deaths = Mutex::new(Deaths { state: "unseen", last_error: None });
        Client { form: Arc::new(settings.form()), settings, delivery, room: Room::default(), deaths }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How its events travel.
    pub fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// As [`Delivery::is_enabled`].
    pub fn is_enabled(&self) -> bool {
        self.delivery.is_enabled()
    }

    /// As [`Delivery::turn_away`].
    pub fn turn_away(&self) -> Option<Reason> {
        self.delivery.turn_away(Category::Error)
    }

    /// As [`Delivery::count`].
    pub fn count(&self, key: u64, threshold: Threshold, now: Instant) -> Option<u64> {
        self.delivery.count(key, threshold, now)
    }

    /// As [`Delivery::admit`].
    pub fn admit(&self, key: u64, now: Instant) -> Admission {
        self.delivery.admit(Category::Error, key, now)
    }

    /// As [`Delivery::ignore`].
    pub fn ignore(&self, now: Instant) {
        self.delivery.ignore(Category::Error, now);
    }

    /// Where an admitted event is written to: with room for as much as this client's events are made of.
    pub fn fields(&self) -> Fields {
        Fields::with_room(self.room.guess())
    }

    /// Has an admitted event sent; whether it was taken. If not, that is counted.
    pub fn enqueue(&self, record: Record, now: Instant) -> bool {
        self.room.learn(record.fields_len());
        self.delivery.enqueue(Box::new(ErrorEvent::new(record, self.form.clone())), now).is_ok()
    }

    /// As [`Delivery::flush`].
    pub fn flush(&self, timeout: Duration) -> bool {
        self.delivery.flush(timeout)
    }

    /// What it does, as one line of JSON; never a key.
    pub fn status(&self, now: Instant) -> String {
        let deaths = self.settings.lifecycle.events.death.then(|| self.deaths.lock().clone());
        self.delivery.status(deaths, now)
    }

    /// Takes note of whether a death of the child would be seen, and why not. That is no reason to fail: it
    /// counts, and is in log and status.
    pub fn watches_deaths(&self, outcome: Result<(), String>, now: Instant) {
        if let Err(cause) = &outcome {
            self.delivery.ledger().add(Counter::StateFailures, 1);
            let text = format_args!("{cause}, deaths of the child are not reported");
            self.delivery.notices().note(Topic::DeathsUnseen, now, text);
        }
        let state = if outcome.is_ok() { "watched" } else { "unseen" };
        *self.deaths.lock() = Deaths { state, last_error: outcome.err() };
    }

    /// The `baggage` header for the next one in `trace`, given the header `lines` of the request; empty if
    /// there is nothing to say. While a `dsn_file` has given no DSN, no sampling context can begin here.
    pub fn baggage_header<'l>(&self, trace: &Trace, lines: impl Iterator<Item = &'l [u8]> + Clone) -> Vec<u8> {
        let begun = self.delivery.dsn().map(|dsn| sampling_context::begun(trace, dsn, &self.form.identity));
        baggage::header(trace, lines, begun.as_ref())
    }

    /// Whether a trace is continued that came from the organization `theirs`, or from one that says nothing of it.
    pub fn continues(&self, theirs: Option<&[u8]>) -> bool {
        let traces = &self.settings.traces;
        let ours = traces.org_id.as_deref().or_else(|| self.delivery.dsn().and_then(|dsn| dsn.organization()));
        traces.continues(ours, theirs.map(String::from_utf8_lossy).as_deref())
    }
}
