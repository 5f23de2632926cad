// SPDX-License-Identifier: BSD-2-Clause
//! A record as the JSON that Sentry takes for an event.
//!
//! Sentry drops or nulls what breaks one of its rules, and does not tell the sender, so every field is
//! brought into form here: text, size, characters, type. Where servers differ the form is the one that
//! Sentry's ingestion, its published JSON schema and its `sentry-types` all take: headers as a map, the
//! query as a string, cookies as a header, no `type` in a context, no `message` next to `logentry`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::header::parse;
use protocol::sdk::{SDK_NAME, SDK_VERSION};
use protocol::text::{fit, line, text};
use protocol::trace::Trace;
use serde::Serialize;

use crate::capture::fields::{Field, Kind};
use crate::capture::fingerprint;
use crate::capture::record::Record;
use crate::filter::Filter;
use crate::identity::Identity;
use crate::payload::breadcrumbs::{Breadcrumbs, micros};
use crate::payload::contexts::{Contexts, MAX_RESPONSE_HEADERS, Value};
use crate::payload::headers::{Headers, cost};
use crate::payload::matches::Matches;
use crate::payload::message::{Exceptions, LogEntry, Params};
use crate::payload::url::RequestUrl;
use crate::payload::user::User;
use privacy::body::Body;
use privacy::scrub::Scrub;

const MAX_LOGGER: usize = 64;
const MAX_TRANSACTION: usize = 200;
const MAX_TAG: usize = 200;
const MAX_NAME: usize = 200;
const MAX_EXTRA: usize = 16_384;
/// Bytes of all extras together.
const MAX_EXTRAS: usize = 262_144;
const MAX_FINGERPRINT: usize = 1024;
/// Sentry keeps 8 KiB of headers and counts them in a way of its own; this stays below it.
const MAX_REQUEST_HEADERS: usize = 7680;
/// Sentry keeps 8 KiB of a body, quotes included.
const MAX_DATA: usize = 8190;
const DEFAULT_LOGGER: &str = "varnish.vcl";
/// Extra: events of this key that the throttle held back since the last one.
const SUPPRESSED: &str = "sentry.suppressed";
/// Extra: how many events this one stands for.
const OCCURRENCES: &str = "sentry.occurrences";
/// Extra: values that are missing because there was no room for them.
const LEFT_OUT: &str = "sentry.fields_left_out";
/// Extra: values that were filtered where they have a name, and too many to be looked for elsewhere.
const NOT_SEARCHED: &str = "sentry.secrets_not_searched";
/// Extra: the records of the task's log that rules matched.
const MATCHED: &str = "matched";

/// Replaces what is in `out` with the JSON of `record`'s event.
///
/// The level is the record's; whoever makes the record has asked the scopes for theirs. Only what comes
/// from the wire is scrubbed. An error would be one of serde_json's, and it has none for these types.
pub fn write(
    record: &Record,
    identity: &Identity,
    scrub: Scrub<'_>,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    write_filtered(record, identity, &Filter::of(record, scrub), out)
}

/// As [`write`], with the record's filter.
pub(crate) fn write_filtered(
    record: &Record,
    identity: &Identity,
    filter: &Filter<'_>,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let mut draft = Draft::default();
    record.in_order().filter_map(|field| record.removals.leave(field)).for_each(|field| draft.take(field, filter));
    out.clear();
    serde_json::to_writer(out, &draft.finish(record, identity, filter))
}

#[derive(Serialize)]
struct Event<'a> {
    event_id: String,
    timestamp: f64,
    platform: &'static str,
    level: &'static str,
    logger: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_info: Option<TransactionInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dist: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logentry: Option<LogEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<Exceptions<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fingerprint: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(skip_serializing_if = "User::is_empty")]
    user: User<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request<'a>>,
    #[serde(skip_serializing_if = "Contexts::is_empty")]
    contexts: Contexts<'a>,
    #[serde(skip_serializing_if = "Breadcrumbs::is_empty")]
    breadcrumbs: Breadcrumbs<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<Cow<'a, str>, Value<'a>>,
    sdk: Sdk,
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    query_string: String,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: Headers<'a>,
    /// As text: the ingestion reads it as what it is, and `sentry-types` takes nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

#[derive(Serialize)]
struct TransactionInfo {
    source: &'static str,
}

#[derive(Serialize)]
struct Sdk {
    name: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<SdkSettings>,
}

/// What the server is asked to do (develop.sentry.dev/sdk/foundations/transport/event-payloads/sdk).
#[derive(Serialize)]
struct SdkSettings {
    infer_ip: &'static str,
}

/// A server must not take the user's address from elsewhere where that may not be sent; only VCL itself can ask for it.
fn sdk(sends_pii: bool, user: &User<'_>) -> Sdk {
    let never = !sends_pii && !user.has_address_inferred();
    Sdk { name: SDK_NAME, version: SDK_VERSION, settings: never.then_some(SdkSettings { infer_ip: "never" }) }
}

/// The fields of a record, by what they say; a later one replaces an earlier one.
#[derive(Default)]
struct Draft<'a> {
    message: Option<&'a [u8]>,
    exception: Option<(&'a [u8], &'a [u8])>,
    params: Params<'a>,
    logger: &'a [u8],
    transaction: &'a [u8],
    method: &'a [u8],
    scheme: &'a [u8],
    request_headers: Vec<&'a [u8]>,
    body: Option<(&'a [u8], &'a [u8])>,
    status: &'a [u8],
    reason: &'a [u8],
    response_headers: Vec<&'a [u8]>,
    client_ip: &'a [u8],
    user: User<'a>,
    tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    extra: BTreeMap<Cow<'a, str>, Value<'a>>,
    contexts: Contexts<'a>,
    breadcrumbs: Breadcrumbs<'a>,
    matches: Matches<'a>,
    log: &'a [u8],
    trace: Option<(Trace, &'a [u8])>,
    has_fingerprint: bool,
}

impl<'a> Draft<'a> {
    fn take(&mut self, Field { kind, name, value }: Field<'a>, filter: &Filter<'_>) {
        match kind {
            Kind::Message => self.message = Some(value),
            Kind::Param => self.params.set(name, value),
            Kind::Exception => self.exception = Some((name, value)),
            Kind::Logger => self.logger = value,
            Kind::Method => self.method = value,
            // The filter has it.
            Kind::Url => {}
            Kind::Scheme => self.scheme = value,
            Kind::RequestHeader => self.request_headers.push(value),
            Kind::Body => self.body = Some((name, value)),
            Kind::Status => self.status = value,
            Kind::Reason => self.reason = value,
            Kind::ResponseHeader => self.response_headers.push(value),
            Kind::ClientIp => self.client_ip = value,
            Kind::Tag => self.set_tag(name, value),
            Kind::Extra => {
                self.extra.insert(line(name, MAX_NAME), Value::Text(text(value, MAX_EXTRA)));
            }
            Kind::User => self.user.set(name, value),
            Kind::Context => self.contexts.set_text(name, value),
            Kind::ContextInt => {
                if let Ok(bytes) = value.try_into() {
                    self.contexts.set(name, Value::Int(i64::from_le_bytes(bytes)));
                }
            }
            Kind::ContextReal => {
                if let Ok(bytes) = value.try_into() {
                    self.contexts.set(name, Value::Real(f64::from_le_bytes(bytes)));
                }
            }
            Kind::Numbers => {
                self.contexts.set_numbers(name, value, |key| !filter.removes(&[b"contexts.", name, b".", key]));
            }
            Kind::Transaction => self.transaction = value,
            Kind::Breadcrumb => self.breadcrumbs.add(name, value),
            Kind::Match => self.matches.add(name, value),
            Kind::Log => self.log = value,
            Kind::Trace => self.trace = Trace::from_bytes(value).map(|trace| (trace, name)),
            // The envelope's: `sampling_context`.
            Kind::Baggage => {}
            Kind::Fingerprint => self.has_fingerprint = true,
            Kind::Scopes => {}
        }
    }

    /// A tag without a value takes an earlier one of its name away: Sentry refuses empty ones.
    fn set_tag(&mut self, name: &'a [u8], value: &'a [u8]) {
        let mut name = line(name, MAX_TAG);
        if !name.bytes().all(|byte| is_tag_char(char::from(byte))) {
            name = Cow::Owned(name.chars().map(tag_char).collect());
        }
        let value = line(value, MAX_TAG);
        if value.is_empty() {
            self.tags.remove(&name);
        } else if !name.is_empty() {
            self.tags.insert(name, value);
        }
    }

    fn finish(mut self, record: &'a Record, identity: &'a Identity, filter: &'a Filter<'_>) -> Event<'a> {
        let scrub = filter.scrub();
        let request = self.request(filter);
        let mut left_out = record.refused() + self.contexts.finish();
        left_out += request.as_ref().map_or(0, |request| request.headers.left_out);
        let response_headers = Headers::new(filter.response(), MAX_RESPONSE_HEADERS);
        left_out += response_headers.left_out;
        let status = str::from_utf8(self.status).ok().and_then(|status| status.parse().ok());
        self.contexts.set_response(status, filter.text(self.reason), self.body_size(status), response_headers);
        if let Some((trace, op)) = self.trace {
            self.contexts.set_trace(&trace, op);
        }
        if scrub.sends_pii() {
            self.user.set_client(self.client_ip, scrub.anonymizes());
        }
        left_out += limit_extras(&mut self.extra);
        if record.suppressed > 0 {
            self.extra.insert(Cow::Borrowed(SUPPRESSED), Value::Count(record.suppressed));
        }
        if record.occurrences > 0 {
            self.extra.insert(Cow::Borrowed(OCCURRENCES), Value::Count(record.occurrences));
        }
        if let Some(log) = record.log.filter(|log| log.form.has_breadcrumbs()) {
            self.breadcrumbs.add_log(&log, self.log, seconds(record.at), filter);
        }
        if left_out > 0 {
            self.extra.insert(Cow::Borrowed(LEFT_OUT), Value::Count(left_out as u64));
        }
        if filter.beyond() > 0 {
            self.extra.insert(Cow::Borrowed(NOT_SEARCHED), Value::Count(filter.beyond() as u64));
        }
        let log_message = self.matches.message(filter);
        if log_message.is_some() && !filter.removes(&[b"extra.", MATCHED.as_bytes()]) {
            self.extra.insert(Cow::Borrowed(MATCHED), Value::List(self.matches.list(filter)));
        }
        let exception = self.exception.map(|(name, value)| Exceptions::new(name, value, &self.params));
        let message = self.message.filter(|message| exception.is_none() && !message.is_empty());
        let transaction = Some(line(self.transaction, MAX_TRANSACTION)).filter(|name| !name.is_empty());
        Event {
            event_id: record.id.to_string(),
            timestamp: seconds(record.at),
            platform: "other",
            level: record.level.as_str(),
            logger: Some(line(self.logger, MAX_LOGGER))
                .filter(|logger| !logger.is_empty())
                .unwrap_or(Cow::Borrowed(DEFAULT_LOGGER)),
            // Not a URL, which Sentry would look for ids in.
            transaction_info: transaction.is_some().then_some(TransactionInfo { source: "custom" }),
            transaction,
            server_name: identity.server_name(),
            release: identity.release(),
            environment: identity.environment(),
            dist: identity.dist(),
            logentry: log_message
                .map(LogEntry::as_it_is)
                .or_else(|| message.map(|message| LogEntry::new(message, &self.params))),
            exception,
            fingerprint: if self.has_fingerprint { fingerprint_of(record) } else { Vec::new() },
            tags: self.tags,
            sdk: sdk(scrub.sends_pii(), &self.user),
            user: self.user,
            request,
            contexts: self.contexts,
            breadcrumbs: self.breadcrumbs.finish(),
            extra: self.extra,
        }
    }

    /// The size of the response's body, where a header tells it and there is one.
    fn body_size(&self, status: Option<u16>) -> Option<u64> {
        if self.method.eq_ignore_ascii_case(b"HEAD") || matches!(status, Some(204 | 304)) {
            return None;
        }
        let mut lines = self.response_headers.iter().filter_map(|line| parse(line));
        let (_, length) = lines.find(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))?;
        str::from_utf8(length).ok()?.parse().ok()
    }

    /// What is known of the request; `None` if that is nothing.
    fn request(&self, filter: &'a Filter<'_>) -> Option<Request<'a>> {
        let host = filter.host(self.request_header(b"host"));
        let url = filter.url().map(|target| RequestUrl::new(self.scheme, &host, target)).unwrap_or_default();
        let method = method(self.method);
        let headers = Headers::new(filter.request(), MAX_REQUEST_HEADERS);
        let data = self.data(filter);
        let known =
            method.is_some() || !url.url.is_empty() || !headers.is_empty() || headers.left_out > 0 || data.is_some();
        known.then_some(Request { method, url: url.url, query_string: url.query, headers, data })
    }

    /// The request's body as it may leave; `None` without one.
    fn data(&self, filter: &Filter<'_>) -> Option<String> {
        let (len, bytes) = self.body?;
        let body = filter.body(Body {
            bytes,
            len: u64::from_le_bytes(len.try_into().ok()?),
            content_type: self.request_header(b"content-type"),
            content_encoding: self.request_header(b"content-encoding"),
        });
        fit(text(&body, MAX_DATA), MAX_DATA).map(Cow::into_owned)
    }

    /// The value of the first header `name` of the request; empty without.
    fn request_header(&self, name: &[u8]) -> &'a [u8] {
        let mut lines = self.request_headers.iter().filter_map(|line| parse(line));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map_or(&b""[..], |(_, value)| value)
    }
}

/// Takes out what is over the limit of all extras; says how many. Bytes that are no text become three each, so
/// that no bound on what was set bounds what is sent.
fn limit_extras(extra: &mut BTreeMap<Cow<'_, str>, Value<'_>>) -> usize {
    // What is said of the event itself comes after this.
    const ITS_OWN: usize = 1024;
    let before = extra.len();
    let mut room = MAX_EXTRAS - ITS_OWN;
    extra.retain(|key, value| {
        let Value::Text(text) = value else { return true };
        let left = room.checked_sub(cost(key, text));
        room = left.unwrap_or(room);
        left.is_some()
    });
    before - extra.len()
}

/// The parts of the fingerprint: the record's, or else the VCL's; never some of each.
fn fingerprint_of(record: &Record) -> Vec<Cow<'_, str>> {
    fn parts<'a>(fields: impl Iterator<Item = Field<'a>>) -> Vec<Cow<'a, str>> {
        let set = fields.filter(|field| field.kind == Kind::Fingerprint);
        set.flat_map(|field| fingerprint::parts(field.value)).map(|part| line(part, MAX_FINGERPRINT)).collect()
    }
    let own = parts(record.fields());
    if own.is_empty() { parts(record.base.fields()) } else { own }
}

/// A method as Sentry takes it, which is narrower than HTTP's token.
fn method(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let known = bytes.iter().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(byte));
    (known && (3..=32).contains(&bytes.len())).then(|| line(bytes, bytes.len()))
}

fn is_tag_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
}

fn tag_char(c: char) -> char {
    match c {
        ' ' => '-',
        c if is_tag_char(c) => c,
        _ => '_',
    }
}

/// Seconds since 1970; a time before counts as 1970.
fn seconds(at: SystemTime) -> f64 {
    micros(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}
