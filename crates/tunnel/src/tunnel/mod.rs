// SPDX-License-Identifier: BSD-2-Clause
//! The way of a request: [`admit`] before its body is read, [`accept`] after it; what both know is the tunnel's [`state`].

mod accept;
mod admit;
mod chosen;
mod gist;
mod moment;
mod state;

pub use accept::{Body, NoBody};
pub use admit::Ticket;
pub use moment::Moment;
pub use state::Tunnel;
