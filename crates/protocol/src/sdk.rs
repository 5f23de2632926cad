// SPDX-License-Identifier: BSD-2-Clause
//! What events, envelopes and `User-Agent` call this software.

/// The SDK's name.
pub const SDK_NAME: &str = "sentry.varnish";
/// The release of it.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Name and version, for `sentry_client` and `User-Agent`.
pub const SDK: &str = concat!("sentry.varnish/", env!("CARGO_PKG_VERSION"));
