// SPDX-License-Identifier: BSD-2-Clause
//! What the build scripts share: finds the installed server, runs its generators, compiles the C.
//!
//! [`server`]: the installed Varnish or Vinyl Cache, by pkg-config. [`vmod`]: one module's generated
//! C, its counters and its exported symbol. [`page`]: a page that it brings along. The shim's own build script uses [`Server::cc`] alone.

mod counters;
mod failure;
mod page;
mod server;
mod vmod;

pub use page::build_page;
pub use server::Server;
pub use vmod::build_vmod;
