// SPDX-License-Identifier: BSD-2-Clause
//! The crates of the sentry module, with the part that the glue (crates/client) plays in varnishd.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use delivery::client::{Admission, Client as Delivery};
use delivery::clock::Clock;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::resolver::system_look_up;
use delivery::connection::transport::Connector;
use delivery::counters::Ledger;
use delivery::environment::Environment;
use delivery::journal::Journal;
use delivery::settings::{DsnSource, QueueBounds};
use delivery::shared::Shared;
use delivery::spawn::spawn_thread;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::room::Room;
use event::capture::scope::Scope;
use event::error_event::{ErrorEvent, Form};
use event::identity::Identity;
use protocol::category::Category;
use protocol::dsn::Dsn;
use protocol::event_id::EventId;
use settings::client::ClientSettings;
use settings::sections::Settings;

use crate::sample::{HEADERS, MESSAGE, METHOD, TAGS, TARGET};

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

struct Complaints;

impl Journal for Complaints {
    fn log(&self, text: &str) {
        eprintln!("{text}");
    }
}

/// A client, and what its events have in common, as the glue has it.
pub struct Client {
    delivery: Arc<Delivery>,
    form: Arc<Form>,
    room: Room,
}

impl Client {
    /// A client without flood control, whose queue never is in the way; over HTTP unless a `connector` is given.
    pub fn new(dsn: &str, connector: Option<Arc<dyn Connector>>) -> Arc<Client> {
        let client = ClientSettings {
            dsn: DsnSource::Text(Dsn::parse(dsn).expect("a DSN")),
            identity: Identity::default().with_server_name(b"edge-1"),
            throttle: 0,
            max_rate: 0,
            ..ClientSettings::default()
        };
        let queue = QueueBounds { entries: 65_536, bytes: 1 << 30 };
        let settings = Settings { client, queue, ..Settings::default() };
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let connector = connector.unwrap_or_else(|| {
            Arc::new(HttpConnector::new(HttpOptions {
                connect_timeout: settings.server.connect_timeout,
                timeout: settings.server.timeout,
                way: settings.server.way.clone(),
                look_up: system_look_up(),
                clock: clock.clone(),
            }))
        });
        let environment = Environment {
            directory: None,
            clock,
            random: || 0x9e37_79b9_7f4a_7c15,
            journal: Arc::new(Complaints),
            ledger: Arc::new(Ledger::new(None)),
            shared: Arc::new(Shared::new(Instant::now())),
            connector,
            spotlight: None,
            spawn: spawn_thread,
        };
        let form = Arc::new(settings.form());
        Arc::new(Client { delivery: Delivery::new(settings.delivery(), environment), form, room: Room::default() })
    }

    /// Whether all that was captured was delivered in time.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.delivery.flush(timeout)
    }
}

/// What the glue adds to an event by itself.
const FACTS: [(&[u8], &[u8], &[u8]); 4] = [
    (b"side", b"varnish\0side", b"client"),
    (b"vcl.sub", b"varnish\0sub", b"vcl_recv"),
    (b"vcl.name", b"varnish\0vcl", b"boot"),
    (b"backend", b"varnish\0backend", b"origin"),
];

/// A task that captures the sample event.
pub struct Task {
    client: Arc<Client>,
    base: Arc<Scope>,
    scope: Scope,
    headers: Vec<String>,
    number: u128,
}

impl Task {
    pub fn new(client: Arc<Client>) -> Task {
        let mut scope = Scope::default();
        for (name, value) in TAGS {
            scope.set_tag(name.as_bytes(), value.as_bytes()).expect("room in the scope");
        }
        let headers = HEADERS.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        Task { client, base: Arc::default(), scope, headers, number: 0 }
    }

    /// Captures once; whether the event was queued.
    pub fn capture(&mut self) -> bool {
        let now = Instant::now();
        let client = &*self.client;
        let Admission::Admitted { suppressed } = client.delivery.admit(Category::Error, 7, now) else { return false };
        self.number += 1;
        let id = EventId::from_random(self.number.to_le_bytes());
        let mut fields = Fields::with_room(client.room.guess());
        fields.put(Kind::Message, b"", MESSAGE.as_bytes());
        fields.put(Kind::Method, b"", METHOD.as_bytes());
        fields.put(Kind::Url, b"", TARGET.as_bytes());
        fields.put(Kind::Scheme, b"", b"https");
        self.headers.iter().for_each(|line| fields.put(Kind::RequestHeader, b"", line.as_bytes()));
        for (tag, context, value) in FACTS {
            fields.put(Kind::Tag, tag, value);
            fields.put(Kind::Context, context, value);
        }
        fields.begin_scopes();
        self.scope.write(&mut fields);
        let mut record = Record::new(id, SystemTime::now(), Level::Error, self.base.clone(), fields);
        record.suppressed = suppressed;
        client.room.learn(record.fields_len());
        client.delivery.enqueue(Box::new(ErrorEvent::new(record, client.form.clone())), now).is_ok()
    }
}
