// SPDX-License-Identifier: BSD-2-Clause
//! Why something did not arrive, in our words and in those of client reports.
//! <https://develop.sentry.dev/sdk/telemetry/client-reports/#sdk-side-recommendations>

/// Why an event did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The client has no DSN, or none that can be used: everything is a no-op.
    NoDsn,
    /// The client was closed, or ended with events still in its queue.
    Closed,
    /// A rule of the user's says that it is not worth an event.
    Ignored,
    /// Its key had passed as often as `throttle` lets it in this window.
    Throttled,
    /// Chance had it, by `sample_rate`.
    SampleRate,
    /// The client had sent as much as `max_rate` lets it.
    MaxRate,
    /// Sentry had asked for a pause that was still in force.
    RatelimitBackoff,
    /// Sentry answered 429.
    RateLimited,
    /// The queue was full and this was its oldest, or it alone was larger than the queue.
    QueueOverflow,
    /// No answer, after as many tries as it gets, or too old to be tried again.
    NetworkError,
    /// Sentry refused it: a status other than 2xx and 429.
    SendError,
    /// A fault of ours.
    InternalSdkError,
    /// It was the oldest in a full spool, too old, or its file was damaged.
    CacheOverflow,
}

impl Reason {
    pub const ALL: [Reason; 13] = [
        Reason::NoDsn,
        Reason::Closed,
        Reason::Ignored,
        Reason::Throttled,
        Reason::SampleRate,
        Reason::MaxRate,
        Reason::RatelimitBackoff,
        Reason::RateLimited,
        Reason::QueueOverflow,
        Reason::NetworkError,
        Reason::SendError,
        Reason::InternalSdkError,
        Reason::CacheOverflow,
    ];

    /// The word in our counters and in `sentry.status()`. Where the protocol has the same reason, it is
    /// the protocol's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoDsn => "no_dsn",
            Reason::Closed => "closed",
            Reason::Ignored => "ignored",
            Reason::Throttled => "throttled",
            Reason::SampleRate => "sample_rate",
            Reason::MaxRate => "max_rate",
            Reason::RatelimitBackoff => "ratelimit_backoff",
            Reason::RateLimited => "rate_limited",
            Reason::QueueOverflow => "queue_overflow",
            Reason::NetworkError => "network_error",
            Reason::SendError => "send_error",
            Reason::InternalSdkError => "internal_sdk_error",
            Reason::CacheOverflow => "cache_overflow",
        }
    }

    /// The protocol's reason to report it under; `None` for what must not or cannot be reported: the
    /// server has counted its own 429, and without a DSN or a sender there is nobody to tell.
    ///
    /// Ignore rules and throttle report as `event_processor`, as `ignore_errors` and the deduplication of
    /// Sentry's SDKs do, and the
    /// rate as `sample_rate` does: both drop by the user's settings, and Sentry shows only reasons it knows.
    pub fn reported_as(self) -> Option<&'static str> {
        match self {
            Reason::NoDsn | Reason::Closed | Reason::RateLimited => None,
            Reason::Ignored | Reason::Throttled => Some("event_processor"),
            Reason::MaxRate => Some("sample_rate"),
            Reason::SampleRate
            | Reason::RatelimitBackoff
            | Reason::QueueOverflow
            | Reason::NetworkError
            | Reason::SendError
            | Reason::InternalSdkError
            | Reason::CacheOverflow => Some(self.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_reported_in_the_protocols_words_and_some_are_not() {
        let words: Vec<_> = Reason::ALL.iter().map(|reason| (reason.as_str(), reason.reported_as())).collect();
        assert_eq!(
            words,
            [
                ("no_dsn", None),
                ("closed", None),
                ("ignored", Some("event_processor")),
                ("throttled", Some("event_processor")),
                ("sample_rate", Some("sample_rate")),
                ("max_rate", Some("sample_rate")),
                ("ratelimit_backoff", Some("ratelimit_backoff")),
                ("rate_limited", None),
                ("queue_overflow", Some("queue_overflow")),
                ("network_error", Some("network_error")),
                ("send_error", Some("send_error")),
                ("internal_sdk_error", Some("internal_sdk_error")),
                ("cache_overflow", Some("cache_overflow")),
            ]
        );
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{reason:?} counts in its own place");
        }
    }
}
