// SPDX-License-Identifier: BSD-2-Clause
//! A bound on what a proxy takes to answer CONNECT: ureq begins its timeout anew with every byte of that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::Timeout;
use ureq::unversioned::transport::time::Instant;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// A connector for a way that leads through a proxy.
#[derive(Debug)]
pub(crate) struct ThroughProxy<C>(pub C);

impl<C: Connector<(), Out: Transport>> Connector<()> for ThroughProxy<C> {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        let made = self.0.connect(details, chained)?.map(|made| -> Self::Out { Box::new(made) });
        // The connection to the proxy itself is made with settings that have no proxy.
        Ok(if details.config.proxy().is_some() {
            made
        } else {
            made.map(|inner| -> Self::Out {
                let (now, begin, limit) = (details.current_time.clone(), details.now, details.timeout);
                Box::new(Bounded { inner, now, begin, limit, asked: false, read: false, over: false })
            })
        })
    }
}

/// A connection on which the answer to the first that was written has to come in time.
struct Bounded {
    inner: Box<dyn Transport>,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
    begin: Instant,
    limit: NextTimeout,
    asked: bool,
    read: bool,
    /// Something was written after reading: CONNECT was answered, and ureq's own timeouts hold.
    over: bool,
}

impl Transport for Bounded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.over |= self.asked && self.read;
        self.asked = true;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.read = true;
        if !self.over {
            let gone = match ((self.now)(), self.begin) {
                (Instant::Exact(now), Instant::Exact(begin)) => now.saturating_duration_since(begin),
                _ => Duration::ZERO,
            };
            let left = (*self.limit.after).saturating_sub(gone);
            if left.is_zero() {
                return Err(ureq::Error::Timeout(Timeout::Connect));
            }
            if left < *timeout.after {
                timeout.after = left.into();
            }
        }
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("inner", &self.inner).finish_non_exhaustive()
    }
}
