// SPDX-License-Identifier: BSD-2-Clause
//! The official crate, set up as its documentation does, capturing the sample event.

use std::sync::Arc;

use sentry::protocol::{Event, Request};
use sentry::{Client, ClientOptions, Envelope, Hub, Level, Scope, Transport, TransportFactory};

use crate::sample::{HEADERS, MESSAGE, METHOD, QUERY, TAGS, URL};

/// Takes envelopes and forgets them.
pub struct Null;

impl Transport for Null {
    fn send_envelope(&self, _: Envelope) {}
}

impl TransportFactory for Null {
    fn create_transport(&self, _: &ClientOptions) -> Arc<dyn Transport> {
        Arc::new(Null)
    }
}

/// Its options for `dsn`. The queue holds what a round captures: by default it holds 30 and drops the rest.
pub fn options(dsn: &str) -> ClientOptions {
    ClientOptions::new().dsn(dsn).environment("production").server_name("edge-1").transport_channel_capacity(65_536)
}

/// A hub with a client of these options and the crate's default integrations.
pub fn hub(options: ClientOptions) -> Hub {
    let client = Client::from_config(sentry::apply_defaults(options));
    Hub::new(Some(Arc::new(client)), Arc::new(Scope::default()))
}

fn request() -> Request {
    Request {
        url: URL.parse().ok(),
        method: Some(METHOD.to_owned()),
        query_string: Some(QUERY.to_owned()),
        headers: HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Request::default()
    }
}

/// Captures the sample event, complete as it is: the shortest way there is.
pub fn capture(hub: &Hub) {
    let tags = TAGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    hub.capture_event(Event {
        message: Some(MESSAGE.to_owned()),
        level: Level::Error,
        request: Some(request()),
        tags,
        ..Event::new()
    });
}

/// Captures it as the crate's integrations with web servers do: the tags are in a scope, and the request
/// comes to the event by a processor.
pub fn capture_in_scope(hub: &Hub) {
    let set_up = |scope: &mut Scope| {
        TAGS.iter().for_each(|(name, value)| scope.set_tag(name, value));
        let request = request();
        scope.add_event_processor(move |mut event| {
            event.request.get_or_insert_with(|| request.clone());
            Some(event)
        });
    };
    hub.with_scope(set_up, || hub.capture_message(MESSAGE, Level::Error));
}
