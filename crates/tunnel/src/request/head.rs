// SPDX-License-Identifier: BSD-2-Clause
//! The head of a request, as far as it counts here.

use std::net::IpAddr;

/// A request without its body. What is not there is `None`; values are as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    pub method: &'r [u8],
    /// Path and query.
    pub url: &'r [u8],
    /// The body's length in bytes, if the request says it.
    pub content_length: Option<u64>,
    pub content_type: Option<&'r [u8]>,
    pub content_encoding: Option<&'r [u8]>,
    /// `X-Sentry-Auth`.
    pub sentry_auth: Option<&'r [u8]>,
    pub authorization: Option<&'r [u8]>,
    pub origin: Option<&'r [u8]>,
    pub referer: Option<&'r [u8]>,
    pub user_agent: Option<&'r [u8]>,
    /// Who asks, as the VCL believes it: never what the client says of itself.
    pub client: Option<IpAddr>,
}
