// SPDX-License-Identifier: BSD-2-Clause
//! The tunnel: what browsers and applications report, taken, judged and made ready to be sent on. It knows nothing of Varnish, reads no clock and opens nothing.
#![forbid(unsafe_code)]

mod admission;
pub mod answer;
mod body;
pub mod count;
pub mod destinations;
mod envelope;
mod grouping;
mod json;
pub mod noise;
pub mod request;
pub mod settings;
mod sink;
mod store;
mod tunnel;

pub use sink::Sink;
pub use tunnel::{Body, Moment, NoBody, Ticket, Tunnel};
