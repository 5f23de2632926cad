// SPDX-License-Identifier: BSD-2-Clause
//! What Sentry says and hears, in bytes. It knows neither what an event is made of nor how anything travels.
//!
//! What travels: [`entry`], which becomes an [`envelope`], known by its [`event_id`], maybe with [`request_headers`] of its own; whose it is and where it goes: [`dsn`], [`sdk`]. What it counts as: [`category`]; what
//! the server asks for: [`rate_limits`]; what it is told of what did not arrive: [`reason`], [`client_report`]. What ties it to what others send: [`trace`], its [`baggage`] and its
//! [`sample_rand`], which come in a [`header`]. How bytes of the wire become what a server takes, and back: [`text`], [`percent`], [`hex`], [`http_date`].
#![forbid(unsafe_code)]

pub mod baggage;
pub mod category;
pub mod client_report;
pub mod dsn;
pub mod entry;
pub mod envelope;
pub mod event_id;
pub mod header;
pub mod hex;
pub mod http_date;
pub mod percent;
pub mod rate_limits;
pub mod reason;
pub mod request_headers;
pub mod sample_rand;
pub mod sdk;
pub mod text;
pub mod trace;
