// SPDX-License-Identifier: BSD-2-Clause
//! The Sentry core: what an event is, and how it reaches the server. It knows nothing of Varnish.
//!
//! The way of an event: the request's thread asks [`Client::admit`](client::Client::admit), writes a
//! [`Record`](record::Record) (one buffer, as large as `room` guesses) and hands it to [`Client::enqueue`](client::Client::enqueue);
//! the client's own thread turns it into JSON, scrubs it, frames and compresses it, and posts it.
//!
//! - An event: [`event_id`], [`level`], [`record`], [`scope`], [`fingerprint`], [`trace`] and its [`baggage`]; on the sender's thread [`identity`], [`event`]
//!   and what it is made of, [`task_log`], [`log_text`], [`scrub`] (by [`privacy`]).
//! - What is worth one: VCL says so, or the rules of [`watch`]. May it pass, and how: [`ignore`], [`before_send`], [`threshold`], `throttle` (both with `key_table`), [`sample`], `rate`, [`limits`]. Where it waits: `queue`.
//! - On its way: `sender` decides, `courier` makes the requests (further ones each on an `assistant`'s thread), at a `desk` where its [`packer`]
//!   puts [`envelope`] and [`gzip`] (of `deflate`) together, [`meanwhile`] an answer is awaited, [`transport`] posts or [`dry_run`] logs, [`spotlight`] copies, [`resolver`] finds the server, `tunnel` bounds its proxy,
//!   `tcp` leads there over a `connection`, `unix_socket` without a network, `pacer` says how much it gets at once, `backoff` leaves it alone, `spool` keeps on disk what it did not take.
//! - What is reported by itself: [`lifecycle`], with the [`marker`] that a child leaves behind.
//! - What became of it: [`stats`], [`client_report`], [`journal`], `status`, `answer_times`.
//! - The whole: [`client`] and `outbox`, made of [`settings`] (with [`dsn`], `dsn_file`, [`way`], [`proxy`], [`sample`], [`variables`]) in an [`environment`]
//!   (with [`clock`]).
#![forbid(unsafe_code)]

mod address;
mod answer_times;
mod assistant;
mod backoff;
pub mod baggage;
pub mod before_send;
pub mod client;
pub mod client_report;
pub mod clock;
mod connection;
mod courier;
mod deflate;
mod desk;
pub mod dry_run;
pub mod dsn;
mod dsn_file;
pub mod envelope;
pub mod environment;
mod epoch;
pub mod event;
pub mod event_id;
pub mod fingerprint;
pub mod gzip;
mod headers;
mod hex;
pub mod identity;
pub mod ignore;
pub mod journal;
mod key_table;
pub mod level;
pub mod lifecycle;
pub mod limits;
pub mod log_text;
pub mod marker;
pub mod meanwhile;
pub mod numbers;
mod outbox;
mod owner;
mod pacer;
pub mod packer;
mod percent;
pub mod privacy;
pub mod proxy;
mod queue;
mod rate;
pub mod record;
pub mod resolver;
mod room;
pub mod sample;
pub mod scope;
pub mod scrub;
mod sender;
pub mod settings;
mod spool;
pub mod spotlight;
pub mod stats;
mod status;
pub mod task_log;
mod tcp;
mod text;
pub mod threshold;
mod throttle;
pub mod trace;
pub mod transport;
mod tunnel;
mod unix_socket;
mod url;
pub mod variables;
pub mod watch;
pub mod way;
