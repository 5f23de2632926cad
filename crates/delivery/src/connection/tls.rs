// SPDX-License-Identifier: BSD-2-Clause
//! TLS on a connection, verified. All connections of one way have its certificates and its sessions: ureq's own
//! connector would read and keep them for each.

use std::fmt::{self, Display};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::unversioned::transport::time::Instant;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::way::{ClientCert, Roots};

/// Bytes of a file with a client's certificate or key.
const MAX_PEM: u64 = 1024 * 1024;

/// The certificates of one way: read when they are first needed, and again after a server was not reached.
#[derive(Default)]
pub(crate) struct Certificates {
    roots: Roots,
    client_cert: Option<ClientCert>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Certificates {
    pub fn new(roots: Roots, client_cert: Option<ClientCert>) -> Certificates {
        Certificates { roots, client_cert, config: Mutex::default() }
    }

    /// What is needed to speak TLS; why there is none.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let mut config = self.config.lock();
        if let Some(config) = &*config {
            return Ok(config.clone());
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(ALL_VERSIONS);
        let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(root_store(&self.roots)?);
        let read = match &self.client_cert {
            None => builder.with_no_client_auth(),
            Some(files) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client_cert(files)?))),
        };
        Ok(config.insert(Arc::new(read)).clone())
    }

    /// Has them read again, if that is what was read last.
    pub fn distrust(&self, used: &Arc<ClientConfig>) {
        self.config.lock().take_if(|config| Arc::ptr_eq(config, used));
    }
}

fn root_store(roots: &Roots) -> Result<RootCertStore, String> {
    let (name, loaded) = match roots {
        Roots::System => (String::new(), rustls_native_certs::load_native_certs()),
        Roots::File(path) => {
            let name = format!("ca_file {}: ", path.display());
            regular_file(path).map_err(|cause| format!("{name}{cause}"))?;
            (name, rustls_native_certs::load_certs_from_paths(Some(path), None))
        }
    };
    if loaded.certs.is_empty() {
        let cause = loaded.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!("{name}no CA certificates{cause}"));
    }
    let mut store = RootCertStore::empty();
    // What only looks like a certificate vouches for nobody.
    store.add_parsable_certificates(loaded.certs);
    Ok(store)
}

/// Reads a client's certificate and key, and tries whether they fit.
fn client_cert(files: &ClientCert) -> Result<CertifiedKey, String> {
    let problem = |name: &str, path: &Path, cause: &dyn Display| format!("{name} {}: {cause}", path.display());
    let chain = read_file(&files.chain).map_err(|cause| problem("client_cert", &files.chain, &cause))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|cause| problem("client_cert", &files.chain, &cause))?;
    if chain.is_empty() {
        return Err(problem("client_cert", &files.chain, &"no certificate"));
    }
    let key = read_file(&files.key).map_err(|cause| problem("client_key", &files.key, &cause))?;
    let key = PrivateKeyDer::from_pem_slice(&key);
    let key = key.map_err(|_| problem("client_key", &files.key, &"no private key"))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|cause| problem("client_key", &files.key, &cause))
}

/// The file, as far as one of its kind is long.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    regular_file(path)?;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_PEM).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| error.to_string())
}

/// Refuses what is none without opening it: a pipe would wait for its writer.
fn regular_file(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err("not a regular file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Speaks TLS on what the connectors before it have connected, if the URL wants it.
pub(crate) struct TlsConnector(pub Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(inner) = chained else { return Ok(None) };
        let config = match &self.0 {
            Some(config) if details.needs_tls() && !inner.is_tls() => config.clone(),
            _ => return Ok(Some(Either::A(inner))),
        };
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host).map_err(io::Error::other)?.to_owned();
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, TransportAdapter::new(inner, details.current_time.clone()));
        stream.sock.set_timeout(time_left(details));
        stream.conn.complete_io(&mut stream.sock)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { stream, buffers })))
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
}

impl<In: Transport> Transport for TlsTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output();
        self.stream.write_all(output.get(..amount).unwrap_or_default())?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
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
