// SPDX-License-Identifier: BSD-2-Clause
//! What varnishstat shows: a segment per client, one per tunnel, and one for the module.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use delivery::counters::{Cell, Cells, Counter, Tally};
use parking_lot::Mutex;
use privacy::scrub::Scrub;
use protocol::category::Category;
use protocol::reason::Reason;
use shim::counters::{Counters, VscSegment, segment_name};
use shim::ctx::log;
use shim::{Ctx, Tag, guard};
use tunnel::answer::{Outcome, Refusal};

include!(concat!(env!("OUT_DIR"), "/counters.rs"));

static MODULE: OnceLock<Counters> = OnceLock::new();
/// Those of tunnels, by their names.
static TUNNELS: Mutex<BTreeMap<String, Arc<TunnelCounters>>> = Mutex::new(BTreeMap::new());

/// The segment of one client, which has what the core counts.
struct ClientCounters(Counters);

impl Cells for ClientCounters {
    fn cell(&self, cell: Cell) -> Option<&AtomicU64> {
        let place = match cell {
            Cell::Tally(tally) => place_of_tally(tally)?,
            Cell::Counter(counter) => place(counter)?,
        };
        self.0.get(place as usize)
    }

    fn has(&self, category: Category) -> bool {
        category == Category::Error
    }
}

/// The segment of the client behind a tunnel: the same numbers, of items of all kinds but those that are counted in bytes.
struct ItemCounters(ClientCounters);

impl Cells for ItemCounters {
    fn cell(&self, cell: Cell) -> Option<&AtomicU64> {
        self.0.cell(cell)
    }

    fn has(&self, category: Category) -> bool {
        !category.is_bytes()
    }
}

/// The segment of one tunnel.
pub struct TunnelCounters(Counters);

impl TunnelCounters {
    /// Counts what became of a request.
    pub fn add(&self, outcome: Outcome) {
        let place = match outcome {
            Outcome::Processed => SentryTunnelCounter::Processed,
            Outcome::Throttled => SentryTunnelCounter::Throttled,
            Outcome::Ignored(_) => SentryTunnelCounter::Ignored,
            Outcome::Sampled => SentryTunnelCounter::Sampled,
            Outcome::Limited => SentryTunnelCounter::Limited,
            Outcome::Dropped => SentryTunnelCounter::Dropped,
            Outcome::Refused(refusal) => place_of_refusal(refusal),
        };
        if !matches!(outcome, Outcome::Refused(_)) {
            self.0.add(SentryTunnelCounter::Accepted as usize, 1);
        }
        self.0.add(place as usize, 1);
    }

    /// How many DSNs may be named now.
    pub fn set_dsns(&self, number: usize) {
        if let Some(gauge) = self.0.get(SentryTunnelCounter::Dsns as usize) {
            gauge.store(number as u64, Ordering::Relaxed);
        }
    }
}

fn place_of_refusal(refusal: Refusal) -> SentryTunnelCounter {
    match refusal {
        Refusal::Method => SentryTunnelCounter::RefusedMethod,
        Refusal::NoKey => SentryTunnelCounter::RefusedNoKey,
        Refusal::KeysDiffer => SentryTunnelCounter::RefusedKeysDiffer,
        Refusal::UnknownKey => SentryTunnelCounter::RefusedUnknownKey,
        Refusal::TooLarge => SentryTunnelCounter::RefusedTooLarge,
        Refusal::Encoding => SentryTunnelCounter::RefusedEncoding,
        Refusal::Malformed => SentryTunnelCounter::RefusedMalformed,
        Refusal::PerClient => SentryTunnelCounter::RefusedPerClient,
        Refusal::MaxRate => SentryTunnelCounter::RefusedMaxRate,
        Refusal::Busy => SentryTunnelCounter::RefusedBusy,
        Refusal::Closed => SentryTunnelCounter::RefusedClosed,
        Refusal::Unread => SentryTunnelCounter::RefusedUnread,
        Refusal::Taken => SentryTunnelCounter::RefusedTaken,
        Refusal::NoStorage => SentryTunnelCounter::RefusedNoStorage,
    }
}

/// Where `sentry.vsc` has a number that is counted by category; what is not there is known to the client alone.
fn place_of_tally(tally: Tally) -> Option<SentryCounter> {
    Some(match tally {
        Tally::Captured => SentryCounter::Captured,
        Tally::Found => SentryCounter::SpoolFound,
        Tally::Sent => SentryCounter::Sent,
        Tally::Waiting => SentryCounter::QueueEvents,
        Tally::UnderWay => SentryCounter::Sending,
        Tally::Spooled => SentryCounter::SpoolEvents,
        Tally::SpoolWritten => SentryCounter::Spooled,
        Tally::SpoolSent => SentryCounter::SpoolSent,
        Tally::SpoolDropped => SentryCounter::SpoolDropped,
        Tally::Refused(reason) => refused(reason)?,
        Tally::Dropped(reason) => dropped(reason)?,
    })
}

/// Before the capture.
fn refused(reason: Reason) -> Option<SentryCounter> {
    Some(match reason {
        Reason::NoDsn => SentryCounter::RefusedNoDsn,
        Reason::Closed => SentryCounter::RefusedClosed,
        Reason::Ignored => SentryCounter::RefusedIgnored,
        Reason::Throttled => SentryCounter::RefusedThrottled,
        Reason::SampleRate => SentryCounter::RefusedSampleRate,
        Reason::MaxRate => SentryCounter::RefusedMaxRate,
        Reason::RatelimitBackoff => SentryCounter::RefusedRatelimitBackoff,
        Reason::RateLimited
        | Reason::QueueOverflow
        | Reason::NetworkError
        | Reason::SendError
        | Reason::InternalSdkError
        | Reason::CacheOverflow => return None,
    })
}

/// After it.
fn dropped(reason: Reason) -> Option<SentryCounter> {
    Some(match reason {
        Reason::NoDsn => SentryCounter::DroppedNoDsn,
        Reason::Closed => SentryCounter::DroppedClosed,
        Reason::RatelimitBackoff => SentryCounter::DroppedRatelimitBackoff,
        Reason::RateLimited => SentryCounter::DroppedRateLimited,
        Reason::QueueOverflow => SentryCounter::DroppedQueueOverflow,
        Reason::NetworkError => SentryCounter::DroppedNetworkError,
        Reason::SendError => SentryCounter::DroppedSendError,
        Reason::InternalSdkError => SentryCounter::DroppedInternalSdkError,
        Reason::CacheOverflow => SentryCounter::DroppedCacheOverflow,
        Reason::Ignored | Reason::Throttled | Reason::SampleRate | Reason::MaxRate => return None,
    })
}

/// Where `sentry.vsc` has what is counted whatever the category. Entries are not there: an entry may be several events.
fn place(counter: Counter) -> Option<SentryCounter> {
    Some(match counter {
        Counter::Counted => SentryCounter::Counted,
        Counter::Retries => SentryCounter::Retries,
        Counter::Requests => SentryCounter::Requests,
        Counter::Reconnects => SentryCounter::Reconnects,
        Counter::BodyBytes => SentryCounter::BodyBytes,
        Counter::Reports => SentryCounter::Reports,
        Counter::Answers2xx => SentryCounter::Answers2xx,
        Counter::Answers429 => SentryCounter::Answers429,
        Counter::Answers4xx => SentryCounter::Answers4xx,
        Counter::Answers5xx => SentryCounter::Answers5xx,
        Counter::AnswersOther => SentryCounter::AnswersOther,
        Counter::Unanswered => SentryCounter::Unanswered,
        Counter::AnswerMicros => SentryCounter::AnswerMicros,
        Counter::Panics => SentryCounter::Panics,
        Counter::ThreadFailures => SentryCounter::ThreadFailures,
        Counter::DsnFailures => SentryCounter::DsnFailures,
        Counter::SpoolFailures => SentryCounter::SpoolFailures,
        Counter::StateFailures => SentryCounter::StateFailures,
        Counter::SpotlightSent => SentryCounter::SpotlightSent,
        Counter::SpotlightFailures => SentryCounter::SpotlightFailures,
        Counter::SpotlightSkipped => SentryCounter::SpotlightSkipped,
        Counter::SpoolBytes => SentryCounter::SpoolBytes,
        Counter::QueueBytes => SentryCounter::QueueBytes,
        Counter::QueueMaxEntries => SentryCounter::QueueMaxEvents,
        Counter::QueueMaxBytes => SentryCounter::QueueMaxBytes,
        Counter::SpoolMaxBytes => SentryCounter::SpoolMaxBytes,
        Counter::QueueEntries | Counter::UnderWay | Counter::SpoolEntries => return None,
    })
}

/// The segment of one client; `None` if the server has no memory for it.
pub fn of_client(name: &str) -> Option<Arc<dyn Cells>> {
    client_counters(name).map(|counters| Arc::new(counters) as Arc<dyn Cells>)
}

/// The same of the client behind a tunnel.
pub fn cells_of_tunnel(name: &str) -> Option<Arc<dyn Cells>> {
    client_counters(name).map(|counters| Arc::new(ItemCounters(counters)) as Arc<dyn Cells>)
}

fn client_counters(name: &str) -> Option<ClientCounters> {
    let len = SentryCounter::QueueMaxBytes as usize + 1;
    // SAFETY: the pair of sentry.vsc, whose last counter is the one named here.
    let made = unsafe { Counters::new(vx_sentry_counters_new, vx_sentry_counters_destroy, len, name) };
    made.map(ClientCounters)
}

/// The segment of one tunnel, for as long as the process lives; `None` if the server has no memory for it.
pub fn of_tunnel(name: &str) -> Option<Arc<TunnelCounters>> {
    let name = segment_name(name);
    let mut known = TUNNELS.lock();
    if let Some(counters) = known.get(&name) {
        return Some(Arc::clone(counters));
    }
    let len = SentryTunnelCounter::Dsns as usize + 1;
    // SAFETY: the pair of sentry_tunnel.vsc, whose last counter is the one named here.
    let made = unsafe { Counters::new(vx_sentry_tunnel_counters_new, vx_sentry_tunnel_counters_destroy, len, &name) };
    let counters = Arc::new(TunnelCounters(made?));
    known.insert(name, Arc::clone(&counters));
    Some(counters)
}

/// Makes the module's segment, once, and has panics counted there. On the CLI thread.
pub fn install() {
    if MODULE.get().is_some() {
        return;
    }
    let len = VmodSentryCounter::Panics as usize + 1;
    // SAFETY: the pair of vmod_sentry.vsc, whose last counter is the one named here.
    let made = unsafe { Counters::new(vx_vmod_sentry_counters_new, vx_vmod_sentry_counters_destroy, len, "") };
    if let Some(counters) = made
        && let Some(panics) = MODULE.get_or_init(|| counters).get(VmodSentryCounter::Panics as usize)
    {
        guard::install(panics, |text| Scrub::new(false).said(text));
    }
}

/// Notes a call that could do nothing, or not all: one record, one more in the counter.
pub fn misused(ctx: Ctx<'_>, problem: &str) {
    if let Some(counters) = MODULE.get() {
        counters.add(VmodSentryCounter::Errors as usize, 1);
    }
    ctx.log(Tag::VclError, problem);
}

/// Notes an environment variable that the client `name` leaves aside: one record, one more in the counter.
pub fn unusable_variable(name: &str, problem: &str) {
    if let Some(counters) = MODULE.get() {
        counters.add(VmodSentryCounter::UnusableVariables as usize, 1);
    }
    log(Tag::Error, &format!("sentry {name}: {problem}, ignored"));
}

unsafe extern "C" {
    fn vx_sentry_counters_new(segment: *mut *mut VscSegment, name: *const c_char) -> *mut AtomicU64;
    fn vx_sentry_counters_destroy(segment: *mut *mut VscSegment);
    fn vx_sentry_tunnel_counters_new(segment: *mut *mut VscSegment, name: *const c_char) -> *mut AtomicU64;
    fn vx_sentry_tunnel_counters_destroy(segment: *mut *mut VscSegment);
    fn vx_vmod_sentry_counters_new(segment: *mut *mut VscSegment, name: *const c_char) -> *mut AtomicU64;
    fn vx_vmod_sentry_counters_destroy(segment: *mut *mut VscSegment);
}
