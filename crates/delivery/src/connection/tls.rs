// SPDX-License-Identifier: BSD-2-Clause
//! TLS on a connection, verified. All connections of one way have its certificates and its sessions: ureq's own
//! connector would read and keep them for each.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::time::Instant;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::tls_error::{Peer, Stage, TlsError};

/// Speaks TLS on what the connectors before it have connected, if the URL wants it.
pub(crate) struct TlsConnector {
    /// `None` if neither the server's URL nor the proxy's wants it.
    pub config: Option<Arc<ClientConfig>>,
    /// The way leads through a proxy, to which this connects too: with settings that have none.
    pub through_proxy: bool,
    pub knows_us: bool,
    pub has_ca_file: bool,
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(inner) = chained else { return Ok(None) };
        let config = match &self.config {
            Some(config) if details.needs_tls() && !inner.is_tls() => config.clone(),
            _ => return Ok(Some(Either::A(inner))),
        };
        let is_proxy = self.through_proxy && details.config.proxy().is_none();
        let peer = Peer { is_proxy, knows_us: self.knows_us, has_ca_file: self.has_ca_file };
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let no_name = |_| io::Error::other("the host is no name that a certificate can be for");
        let name = ServerName::try_from(host).map_err(no_name)?.to_owned();
        let session = ClientConnection::new(config, name);
        let session = session.map_err(|error| TlsError::told(peer, Stage::Handshake, io::Error::other(error)))?;
        let mut stream = StreamOwned::new(session, TransportAdapter::new(inner, details.current_time.clone()));
        stream.sock.set_timeout(time_left(details));
        stream.conn.complete_io(&mut stream.sock).map_err(|error| TlsError::told(peer, Stage::Handshake, error))?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { stream, buffers, peer })))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

/// What connecting has left to the handshake.
fn time_left(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Instant::Exact(now), Instant::Exact(begin)) = ((details.current_time)(), details.now)
        && !timeout.after.is_not_happening()
    {
        timeout.after = timeout.after.saturating_sub(now.saturating_duration_since(begin)).into();
    }
    timeout
}

/// A connection that speaks TLS.
pub(crate) struct TlsTransport<In: Transport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
    buffers: LazyBuffers,
    peer: Peer,
}

impl<In: Transport> TlsTransport<In> {
    fn told(&self, error: io::Error) -> io::Error {
        TlsError::told(self.peer, Stage::Open(self.stream.conn.protocol_version()), error)
    }
}

impl<In: Transport> Transport for TlsTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output();
        let written = self.stream.write_all(output.get(..amount).unwrap_or_default());
        written.map_err(|error| self.told(error).into())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| self.told(error))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Nothing may be left of the answer before, neither here nor on its way through TLS.
        let mut byte = [0];
        let silent =
            matches!(self.stream.conn.reader().read(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock);
        silent && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<In: Transport> fmt::Debug for TlsTransport<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
