// SPDX-License-Identifier: BSD-2-Clause
//! What is counted of a client whatever the category.

/// A number of a client. All grow but the gauges, which stand last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Counter {
    /// Captures counted towards a threshold that they did not reach: no losses.
    Counted,
    /// Tries of an entry after its first one.
    Retries,
    /// Requests made, whatever came of them.
    Requests,
    /// Requests that were written again, on a new connection, because the server had closed the kept one without a byte of an answer.
    Reconnects,
    /// Bytes of the bodies of all requests, compressed.
    BodyBytes,
    /// Requests that carried nothing but a client report.
    Reports,
    /// Answers 2xx.
    Answers2xx,
    /// Answers 429.
    Answers429,
    /// Other answers 4xx.
    Answers4xx,
    /// Answers 5xx.
    Answers5xx,
    /// Other answers: a redirect, mostly.
    AnswersOther,
    /// Requests without an answer.
    Unanswered,
    /// Time from request to answer, in microseconds, over all answers.
    AnswerMicros,
    /// Panics of the client's threads, each caught.
    Panics,
    /// Times a thread could not be started.
    ThreadFailures,
    /// Times no usable DSN could be read from `dsn_file`.
    DsnFailures,
    /// Times the spool could not be used, and files in it that were none of ours or damaged.
    SpoolFailures,
    /// Times the folder for the child's marker could not be used.
    StateFailures,
    /// Copies that Spotlight took.
    SpotlightSent,
    /// Copies that it did not take.
    SpotlightFailures,
    /// Copies that were not made because one was under way.
    SpotlightSkipped,
    /// Entries in the queue now.
    QueueEntries,
    /// Bytes of them.
    QueueBytes,
    /// Entries under way now: encoded ahead, posted, being spooled.
    UnderWay,
    /// Entries in the spool now.
    SpoolEntries,
    /// What their files take on the disk now, in bytes.
    SpoolBytes,
    /// How many entries may be in the queue: of all clients of the name that there are now.
    QueueMaxEntries,
    /// How many bytes.
    QueueMaxBytes,
    /// How much of the disk the files may take, in bytes: of all spools that the name has open.
    SpoolMaxBytes,
}

/// How many counters there are.
pub const COUNTERS: usize = Counter::SpoolMaxBytes as usize + 1;
