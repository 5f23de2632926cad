// SPDX-License-Identifier: BSD-2-Clause
//! How an event reaches the server. It knows nothing of Varnish, and goes when all of it has moved to crates of its own; what has moved is
//! here under its old names until then.
//!
//! The way of an event: the request's thread asks [`Client::admit`](client::Client::admit), writes a
//! [`Record`](record::Record) (one buffer, as large as its client guesses) and hands it to [`Client::enqueue`](client::Client::enqueue);
//! the client's own thread turns it into JSON, scrubs it, frames and compresses it, and posts it.
//!
//! - May it pass: [`threshold`], `throttle` (both with `key_table`), `sample`, `rate`, [`limits`]. Where it waits: `queue`.
//! - On its way: `sender` decides, `courier` makes the requests (further ones each on an `assistant`'s thread), at a `desk` where its [`packer`]
//!   puts an envelope and [`gzip`] (of `deflate`) together, [`meanwhile`] an answer is awaited, [`transport`] posts or [`dry_run`] logs, [`spotlight`] copies, [`resolver`] finds the server, `tunnel` bounds its proxy,
//!   `tcp` leads there over a `connection`, `unix_socket` without a network, `pacer` says how much it gets at once, `backoff` leaves it alone, `spool` keeps on disk what it did not take.
//! - What became of it: [`stats`], [`client_report`], [`journal`], `status`, `answer_times`.
//! - The whole: [`client`] and `outbox`, made of [`settings`] (with [`dsn`], `dsn_file`, [`way`], [`proxy`], [`sample`], [`variables`]) in an [`environment`]
//!   (with [`clock`]).
#![forbid(unsafe_code)]

mod answer_times;
mod assistant;
mod backoff;
pub mod client;
pub mod clock;
mod connection;
mod courier;
mod deflate;
mod desk;
pub mod dry_run;
mod dsn_file;
pub mod environment;
mod epoch;
pub mod gzip;
pub mod journal;
mod key_table;
pub mod meanwhile;
mod outbox;
mod pacer;
pub mod packer;
pub mod proxy;
mod queue;
mod rate;
pub mod resolver;
pub mod sample;
mod sender;
pub mod settings;
mod spool;
pub mod spotlight;
pub mod stats;
mod status;
mod tcp;
pub mod threshold;
mod throttle;
pub mod transport;
mod tunnel;
mod unix_socket;
pub mod variables;
pub mod way;

// Under its old names.
pub use event::capture::{fingerprint, level, numbers, scope, task_log};
pub use event::lifecycle::{marker, settings as lifecycle};
pub use event::privacy::{scrub, settings as privacy};
pub use event::rules::{ignore, watch};
pub use protocol::{dsn, event_id, trace};
pub mod baggage {
    pub use event::payload::sampling_context::begun;
    pub use protocol::baggage::{SamplingContext, header, is_sentrys, members};
}
pub mod before_send {
    pub use event::capture::removals::Removals;
    pub use event::rules::before_send::{Edit, Edits};
}
pub mod client_report {
    pub use protocol::client_report::{ClientReport, Taken};
    pub use protocol::reason::Reason;
}
pub mod identity {
    pub use event::identity::{Identity, IdentityError};
    pub use protocol::sdk::SDK;
}
pub mod limits {
    pub use protocol::category::Category;
    pub use protocol::rate_limits::{LimitHeaders, RateLimits};
}
pub mod log_text {
    pub use event::capture::content::Content;
}
pub mod record {
    pub use event::capture::fields::{Field, Fields, Kind};
    pub use event::capture::record::Record;
}
