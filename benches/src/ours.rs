// SPDX-License-Identifier: BSD-2-Clause
//! The core of the sentry module, with the part that the glue plays in varnishd.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use report::client::{Admission, Client};
use report::clock::Clock;
use report::dsn::Dsn;
use report::environment::{Environment, spawn_thread};
use report::event_id::EventId;
use report::identity::Identity;
use report::journal::Journal;
use report::level::Level;
use report::record::{Kind, Record};
use report::resolver::system_look_up;
use report::scope::Scope;
use report::settings::{ClientSettings, DsnSource, QueueSettings, Settings};
use report::transport::{HttpOptions, HttpTransport, Transport};
use report::way::Way;

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

/// A client without flood control, whose queue never is in the way; over HTTP unless `transport` is given.
pub fn client(dsn: &str, transport: Option<Arc<dyn Transport>>) -> Arc<Client> {
    let client = ClientSettings {
        dsn: DsnSource::Text(Dsn::parse(dsn).expect("a DSN")),
        identity: Identity::default().with_server_name(b"edge-1"),
        throttle: 0,
        max_rate: 0,
        ..ClientSettings::default()
    };
    let queue = QueueSettings::new(65_536, 1 << 30).expect("bounds in range");
    let settings = Settings { client, queue, ..Settings::default() };
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    let transport = transport.unwrap_or_else(|| {
        Arc::new(HttpTransport::new(HttpOptions {
            connections: 2,
            connect_timeout: settings.server.connect_timeout,
            timeout: settings.server.timeout,
            way: Way::default(),
            look_up: system_look_up(),
            clock: clock.clone(),
        }))
    });
    Client::new(
        settings,
        Environment {
            clock,
            random: || 0x9e37_79b9_7f4a_7c15,
            journal: Arc::new(Complaints),
            cells: None,
            transport,
            spotlight: None,
            spawn: spawn_thread,
        },
    )
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
        let Admission::Admitted { suppressed } = self.client.admit(7, now) else { return false };
        self.number += 1;
        let id = EventId::from_random(self.number.to_le_bytes());
        let mut fields = self.client.fields();
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
        self.client.enqueue(record, now).is_ok()
    }
}
