// SPDX-License-Identifier: BSD-2-Clause
//! The tunnel: what browsers and applications report, taken, judged and made ready to be sent on. It knows nothing of Varnish, reads no clock and opens nothing.
//!
//! The way of a request: its head, a [`request`], asks for [`admission`](Tunnel::admit); with its body it is [accepted](Ticket::accept) or not, and has its [`answer`] at once. The body is unpacked, if it is
//! no `envelope` made one (`store`), and read without a copy (`json`). Whose it is tells the list of `destinations`. What it says is known from its event alone (`grouping`): whether it is `noise`, and which others it is throttled with.
//! What is left is an entry (`forward`), which goes to a [`Sink`]. What became of all of them: [`count`]. All that is to be said beforehand: [`settings`].
#![forbid(unsafe_code)]

mod admission;
pub mod answer;
mod body;
pub mod count;
mod destinations;
mod envelope;
mod forward;
mod grouping;
mod json;
pub mod noise;
pub mod request;
pub mod settings;
mod sink;
mod store;
mod tunnel;

pub use destinations::BadLine;
pub use sink::Sink;
pub use tunnel::{Body, Moment, NoBody, Ticket, Tunnel};
