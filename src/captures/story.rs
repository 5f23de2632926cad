// SPDX-License-Identifier: BSD-2-Clause
//! What an event tells of the cache's part in its task.

use event::capture::fields::{Fields, Kind};
use event::capture::numbers::Numbers;
use shim::story::Cache;
use shim::{Ctx, Facts, Message, Side, Story};

/// Writes the story of a task, as it is at `now`, in seconds since the epoch.
pub fn write(fields: &mut Fields, ctx: Ctx<'_>, facts: &Facts<'_>, now: f64) {
    let story = ctx.story(facts);
    let message = match facts.side {
        Side::Cli => None,
        Side::Client => Some(Message::Request),
        // In vcl_backend_error the response is varnishd's own.
        Side::Backend => (facts.sub == b"vcl_backend_response").then_some(Message::BackendResponse),
    };
    let mut text = |context: &[u8], value: &[u8]| {
        if !value.is_empty() {
            fields.put(Kind::Context, context, value);
        }
    };
    let cache = story.cache.map_or(&b""[..], cache_name);
    text(b"varnish\0cache", cache);
    text(b"varnish\0protocol", message.and_then(|message| ctx.protocol(message)).unwrap_or_default());
    text(b"varnish\0storage", story.storage);
    text(b"varnish\0listener", story.listener);
    text(b"varnish\0endpoint", story.endpoint);
    text(b"varnish\0tls_version", story.tls_version);
    text(b"varnish\0tls_cipher", story.tls_cipher);
    if !cache.is_empty() {
        fields.put(Kind::Tag, b"cache", cache);
    }
    if !story.listener.is_empty() {
        fields.put(Kind::Tag, b"listener", story.listener);
    }
    fields.put(Kind::Numbers, b"varnish", numbers(&story, facts, now).packed());
}

fn cache_name(cache: Cache) -> &'static [u8] {
    match cache {
        Cache::Hit => b"hit",
        Cache::Miss => b"miss",
        Cache::Pass => b"pass",
        Cache::HitMiss => b"hit-for-miss",
        Cache::HitPass => b"hit-for-pass",
        Cache::Synth => b"synth",
        Cache::Pipe => b"pipe",
    }
}

fn numbers(story: &Story<'_>, facts: &Facts<'_>, now: f64) -> Numbers {
    let mut numbers = Numbers::default();
    if let Some(times) = story.times {
        numbers.real("ttl", times.ttl);
        numbers.real("grace", times.grace);
        numbers.real("keep", times.keep);
        // Of an object younger than the request it is negative.
        numbers.real("age", times.age.max(0.0));
    }
    numbers.count("hits", story.hits);
    numbers.count("session_xid", story.session);
    numbers.count("request_header_bytes", story.request_header_bytes);
    numbers.count("request_body_bytes", story.request_body_bytes);
    numbers.count("response_header_bytes", story.response_header_bytes);
    numbers.count("response_body_bytes", story.response_body_bytes);

    let mut between = |key: &str, from: f64, to: f64| {
        // The server's clock may have been set back in between.
        if from > 0.0 && to >= from {
            numbers.real(key, (to - from) * 1000.0);
        }
    };
    between("session_ms", story.accepted, now);
    between("last_timestamp_ms", facts.first, facts.previous);
    match facts.side {
        Side::Client => between("headers_ms", facts.first, story.complete),
        // After a retry the task is older than the attempt.
        Side::Backend if facts.retries == 0 => between("first_byte_ms", facts.first, story.complete),
        Side::Cli | Side::Backend => {}
    }
    numbers
}
