// SPDX-License-Identifier: BSD-2-Clause
//! A bound on what a server, or a proxy on the way, can say and how long it can take: the outermost link of ureq's chain of connectors.
//!
//! ureq reads heads of up to 128 lines without a bound on how many of them there are, and begins its timeout for CONNECT anew with every byte.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::field::Field;
use super::head::{Head, HeadReader, NoHead};
use super::under_way::UnderWay;

/// A chain of connectors, and the post that it connects for.
#[derive(Debug)]
pub(crate) struct Bounded<C> {
    pub chain: C,
    pub under_way: Arc<UnderWay>,
    /// The way leads through a proxy, to which this chain connects too: with settings that have none.
    pub through_proxy: bool,
}

impl<C: Connector<(), Out: Transport>> Connector<()> for Bounded<C> {
    type Out = BoundedTransport<C::Out>;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        let deadline = Instant::now().checked_add(*details.timeout.after);
        let to_proxy = self.through_proxy && details.config.proxy().is_none();
        self.under_way.note(|course| course.opening = true);
        let Some(inner) = self.chain.connect(details, None)? else { return Ok(None) };
        if !to_proxy {
            self.under_way.note(|course| course.opened = true);
        }
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let (under_way, reader) = (self.under_way.clone(), HeadReader::default());
        Ok(Some(BoundedTransport { inner, under_way, buffers, reader, in_head: true, to_proxy, deadline }))
    }
}

/// A connection whose answers have an end.
pub(crate) struct BoundedTransport<In> {
    inner: In,
    under_way: Arc<UnderWay>,
    buffers: LazyBuffers,
    reader: HeadReader,
    /// What comes next is of a head, not a body.
    in_head: bool,
    /// It leads to a proxy: behind the head of the first answer are no more of them.
    to_proxy: bool,
    /// For that head.
    deadline: Option<Instant>,
}

impl<In: Transport> BoundedTransport<In> {
    /// Takes what has come, as far as there is room for it.
    fn take_input(&mut self) -> Result<(), ureq::Error> {
        let input = self.inner.buffers().input();
        if self.in_head {
            let to_proxy = self.to_proxy;
            let (consumed, head) = self.reader.read(input).map_err(|problem| {
                let text = match (problem, to_proxy) {
                    (NoHead::Garbage, false) => "an answer that is no HTTP",
                    (NoHead::Endless, false) => "an answer without end",
                    (NoHead::Garbage, true) => "an answer of the proxy that is no HTTP",
                    (NoHead::Endless, true) => "an answer of the proxy without end",
                };
                io::Error::new(ErrorKind::InvalidData, text)
            })?;
            self.inner.buffers().input_consume(consumed);
            if let Some(head) = &head {
                self.in_head = false;
                let mut canonical = Vec::new();
                if to_proxy {
                    refusal(head)?;
                    // Any 2xx is a yes, and whatever it says of a body there is none (RFC 9110, section 9.3.6); ureq knows 200 only.
                    canonical.extend_from_slice(b"HTTP/1.1 200 -\r\n\r\n");
                } else {
                    head.write_canonical(&mut canonical);
                }
                append(&mut self.buffers, &canonical);
            }
            if !self.to_proxy {
                self.under_way.note(|course| {
                    course.answered |= consumed > 0;
                    course.head = head;
                });
            }
            return Ok(());
        }
        let taken = append(&mut self.buffers, input);
        self.inner.buffers().input_consume(taken);
        if taken == 0 {
            return Err(io::Error::new(ErrorKind::InvalidData, "an answer that makes no sense").into());
        }
        Ok(())
    }

    /// What of `timeout` there is for the answer of a proxy.
    fn time_left(&self, mut timeout: NextTimeout) -> Result<NextTimeout, ureq::Error> {
        if let Some(deadline) = self.deadline.filter(|_| self.to_proxy && self.in_head) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ureq::Error::Timeout(Timeout::Connect));
            }
            timeout.after = left.min(*timeout.after).into();
        }
        Ok(timeout)
    }
}

/// Why a proxy does not connect us, if it does not.
fn refusal(head: &Head) -> Result<(), ureq::Error> {
    let why = match head.status {
        200..300 => return Ok(()),
        407 => ": its user or password is missing or wrong".to_owned(),
        300..400 => head.fields.get(Field::Location).map(|to| format!(": redirect to {to}")).unwrap_or_default(),
        _ => String::new(),
    };
    Err(ureq::Error::ConnectProxyFailed(format!("proxy server responded {}{why}", head.status)))
}

/// Adds to what there is to read; how much of it.
fn append(buffers: &mut LazyBuffers, input: &[u8]) -> usize {
    let room = buffers.input_append_buf();
    let amount = room.len().min(input.len());
    if let (Some(room), Some(input)) = (room.get_mut(..amount), input.get(..amount)) {
        room.copy_from_slice(input);
    }
    buffers.input_appended(amount);
    amount
}

impl<In: Transport> Transport for BoundedTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if !self.to_proxy {
            self.under_way.note(|course| course.written = true);
            if !self.in_head {
                self.in_head = true;
                self.reader.reset();
            }
        }
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default();
        while !rest.is_empty() {
            let room = self.inner.buffers().output();
            let (piece, after) = rest.split_at(room.len().min(rest.len()));
            if let Some(room) = room.get_mut(..piece.len()) {
                room.copy_from_slice(piece);
            }
            self.inner.transmit_output(piece.len(), timeout)?;
            rest = after;
        }
        Ok(())
    }

    /// Progress may be a part of a head, of which nothing is to be seen yet.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = self.time_left(timeout)?;
        let progress = self.inner.maybe_await_input(timeout)?;
        if progress {
            self.take_input()?;
        }
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.inner.buffers().input().is_empty() && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<In> fmt::Debug for BoundedTransport<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedTransport").finish_non_exhaustive()
    }
}
