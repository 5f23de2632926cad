// SPDX-License-Identifier: BSD-2-Clause
//! Tunnels: what a VCL has said of one, what all VCLs with equal settings have in common, and what of it the core cannot know: requests, bodies, files.

mod answer;
mod core;
mod dsn_file;
mod listing;
mod readings;
mod request;
mod vcl_tunnel;

pub use self::core::Tunnel;
pub use answer::Answered;
pub use vcl_tunnel::{Refused, VclTunnel};
