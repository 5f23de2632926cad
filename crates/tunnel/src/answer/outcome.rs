// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of a request.

use crate::noise::Noise;

/// What became of one. Each is counted as exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was queued, whole or in part.
    Processed,
    /// Its key has passed as often as `throttle` lets it in this window.
    Throttled,
    /// A rule of the VCL's says that it is not worth anything, or a builtin one, which has a name.
    Ignored(Option<Noise>),
    /// Chance had it, by the project's `share`.
    Sampled,
    /// Sentry has limits on all that was in it.
    Limited,
    /// All that was in it is of types in `drop_items`.
    Dropped,
    /// It could not be taken.
    Refused(Refusal),
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// 405: neither a POST nor a GET of `store/` with `sentry_data`.
    Method,
    /// 400: nothing in it names a key, or what does is none.
    NoKey,
    /// 403: the keys or the projects that it names are not the same.
    KeysDiffer,
    /// 403: the key is not on the list.
    UnknownKey,
    /// 413: the body is larger than `max_body`, as it came or unpacked, or as an entry larger than the whole queue.
    TooLarge,
    /// 400: its encoding is none of those that are known, or it is not what it says.
    Encoding,
    /// 400: it is no envelope, no event or no report.
    Malformed,
    /// 429: this client has asked as often as `per_client` lets it.
    PerClient,
    /// 429: all of them together have asked as often as `max_rate` lets them.
    MaxRate,
    /// 503: as many bodies as `max_readers` are being read.
    Busy,
    /// 503: the client is closed, or has nowhere to send to.
    Closed,
    /// The body did not come within `body_timeout`, or broke off: there is nobody to answer.
    Unread,
    /// 400: the body had been taken before.
    Taken,
    /// 503: the server had no storage for the body.
    NoStorage,
}

impl Refusal {
    pub const ALL: [Refusal; 14] = [
        Refusal::Method,
        Refusal::NoKey,
        Refusal::KeysDiffer,
        Refusal::UnknownKey,
        Refusal::TooLarge,
        Refusal::Encoding,
        Refusal::Malformed,
        Refusal::PerClient,
        Refusal::MaxRate,
        Refusal::Busy,
        Refusal::Closed,
        Refusal::Unread,
        Refusal::Taken,
        Refusal::NoStorage,
    ];

    /// The word in counters and `count()`.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Method => "method",
            Refusal::NoKey => "no_key",
            Refusal::KeysDiffer => "keys_differ",
            Refusal::UnknownKey => "unknown_key",
            Refusal::TooLarge => "too_large",
            Refusal::Encoding => "encoding",
            Refusal::Malformed => "malformed",
            Refusal::PerClient => "per_client",
            Refusal::MaxRate => "max_rate",
            Refusal::Busy => "busy",
            Refusal::Closed => "closed",
            Refusal::Unread => "unread",
            Refusal::Taken => "taken",
            Refusal::NoStorage => "no_storage",
        }
    }

    /// What a client is told. What is wrong with a body is told by whoever finds it.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Refusal::Method => "method not allowed",
            Refusal::NoKey => "no key and project are named",
            Refusal::KeysDiffer => "the keys or projects that are named differ",
            Refusal::UnknownKey => "no such key and project",
            Refusal::TooLarge => "the body is too large",
            Refusal::Encoding => "the content encoding is not known, or the body is not what it says",
            Refusal::Malformed => "the body is malformed",
            Refusal::PerClient => "too many requests of this client",
            Refusal::MaxRate => "too many requests",
            Refusal::Busy => "too many bodies are being read",
            Refusal::Closed => "not taken at present",
            Refusal::Unread => "the body did not come in time, or broke off",
            Refusal::Taken => "the body was taken before",
            Refusal::NoStorage => "no storage for the body",
        }
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Refusal::Method => 405,
            Refusal::NoKey | Refusal::Encoding | Refusal::Malformed | Refusal::Unread | Refusal::Taken => 400,
            Refusal::KeysDiffer | Refusal::UnknownKey => 403,
            Refusal::TooLarge => 413,
            Refusal::PerClient | Refusal::MaxRate => 429,
            Refusal::Busy | Refusal::Closed | Refusal::NoStorage => 503,
        }
    }
}

impl Outcome {
    /// The word of it: `processed`, `throttled`, `ignored`, `sampled`, `limited`, `dropped`, `refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Processed => "processed",
            Outcome::Throttled => "throttled",
            Outcome::Ignored(_) => "ignored",
            Outcome::Sampled => "sampled",
            Outcome::Limited => "limited",
            Outcome::Dropped => "dropped",
            Outcome::Refused(_) => "refused",
        }
    }
}
