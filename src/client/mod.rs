// SPDX-License-Identifier: BSD-2-Clause
//! Clients: what a VCL has of one, what all of a VCL's have in common, and where the process keeps those with equal
//! settings.

mod registry;
mod vcl_client;
mod vcl_state;

pub use vcl_client::VclClient;
pub use vcl_state::VclState;
