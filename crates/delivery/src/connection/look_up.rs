// SPDX-License-Identifier: BSD-2-Clause
//! The resolver as ureq asks it: for the addresses of a URL, on behalf of a post.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::NextTimeout;

use super::resolver::{Resolver, Unresolved};
use super::under_way::UnderWay;

/// Looks up for that post.
#[derive(Debug)]
pub(crate) struct LookUpFor {
    pub resolver: Arc<Resolver>,
    pub under_way: Arc<UnderWay>,
}

impl UreqResolver for LookUpFor {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let addresses = self.resolver.resolve(host, port, *timeout.after, &|| self.under_way.is_aborted());
        let addresses = addresses.map_err(|unresolved| match unresolved {
            Unresolved::TimedOut => ureq::Error::Timeout(Timeout::Resolve),
            Unresolved::NotFound(cause) => io::Error::new(ErrorKind::NotFound, cause).into(),
        })?;
        let mut resolved = self.empty();
        addresses.into_iter().for_each(|address| resolved.push(address));
        Ok(resolved)
    }
}
