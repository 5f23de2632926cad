// SPDX-License-Identifier: BSD-2-Clause
//! The certificates of one way, from their files: whom we trust, and what shows a server who we are.

use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ALL_VERSIONS, ClientConfig, Error, InconsistentKeys};
use rustls_native_certs::ErrorKind;

use super::tls_error::KEYS;
use super::verifier::Verifier;
use super::way::{ClientCert, Roots};

/// Bytes of a file with certificates or a key.
const MAX_PEM: u64 = 8 * 1024 * 1024;
/// Some editors begin a text with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The certificates of one way: read when they are first needed, and again after a server was not reached.
#[derive(Default)]
pub struct Certificates {
    roots: Roots,
    client_cert: Option<ClientCert>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Certificates {
    pub fn new(roots: Roots, client_cert: Option<ClientCert>) -> Certificates {
        Certificates { roots, client_cert, config: Mutex::default() }
    }

    /// Whether the trusted ones are those of a `ca_file`.
    pub fn has_ca_file(&self) -> bool {
        self.roots != Roots::System
    }

    /// Whether there is one to show a server.
    pub fn has_client_cert(&self) -> bool {
        self.client_cert.is_some()
    }

    /// What is needed to speak TLS; why there is none.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let mut config = self.config.lock();
        if let Some(config) = &*config {
            return Ok(config.clone());
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(trusted(&self.roots, provider.clone())?);
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(ALL_VERSIONS);
        // Dangerous would be one that verifies less than rustls's own: this one asks that.
        let builder =
            builder.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
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

fn trusted(roots: &Roots, provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
    match roots {
        Roots::System => {
            let loaded = rustls_native_certs::load_native_certs();
            let why = loaded.errors.first().map(|error| match &error.kind {
                ErrorKind::Pem(error) => pem_text(error),
                _ => error.to_string(),
            });
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            let none = |_| format!("no CA certificates on this machine, install them or give a ca_file{why}");
            Verifier::new(loaded.certs, provider).map_err(none)
        }
        Roots::File(path) => {
            let told = |cause: &dyn Display| format!("ca_file {}: {cause}", path.display());
            let certs = certificates(&read_file(path).map_err(|cause| told(&cause))?);
            Verifier::new(certs.map_err(|cause| told(&cause))?, provider)
                .map_err(|_| told(&"no certificate in it is one that is well-formed"))
        }
    }
}

/// The certificates in a text of PEM; if there is one, what else is in it does not matter.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = pem.strip_prefix(BYTE_ORDER_MARK).unwrap_or(pem);
    let (mut all, mut problem) = (Vec::new(), None);
    for read in CertificateDer::pem_slice_iter(pem) {
        match read {
            Ok(certificate) => all.push(certificate),
            Err(error) => problem = problem.or_else(|| Some(pem_text(&error))),
        }
    }
    if all.is_empty() {
        let is_der = pem.first() == Some(&0x30);
        let none = if is_der { "no certificate in PEM, maybe one in DER" } else { "no certificate in PEM" };
        return Err(problem.unwrap_or_else(|| none.to_owned()));
    }
    Ok(all)
}

/// Reads a client's certificate and key, and tries whether they fit.
fn client_cert(files: &ClientCert) -> Result<CertifiedKey, String> {
    let problem = |name: &str, path: &Path, cause: &dyn Display| format!("{name} {}: {cause}", path.display());
    let of_chain = |cause| problem("client_cert", &files.chain, &cause);
    let of_key = |cause: String| problem("client_key", &files.key, &cause);
    let chain = certificates(&read_file(&files.chain).map_err(of_chain)?).map_err(of_chain)?;
    let pem = read_file(&files.key).map_err(of_key)?;
    let pem = pem.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&pem);
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| of_key(no_key(pem, &error)))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
        of_key(match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => "not the key of the client_cert".to_owned(),
            Error::InvalidCertificate(_) => return of_chain("none that is well-formed".to_owned()),
            _ => format!("of a kind that is not supported, expected {KEYS}"),
        })
    })
}

fn no_key(pem: &[u8], error: &PemError) -> String {
    if String::from_utf8_lossy(pem).contains("ENCRYPTED") {
        return "encrypted with a passphrase, expected one without".to_owned();
    }
    match error {
        PemError::NoItemsFound => "no private key in PEM".to_owned(),
        other => pem_text(other),
    }
}

/// What is wrong with PEM; the library's own texts have bytes in them.
fn pem_text(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "PEM that ends before its last line",
        PemError::IllegalSectionStart { .. } => "PEM with a wrong first line",
        PemError::Base64Decode(_) => "PEM that is not base64",
        PemError::Io(error) => return error.to_string(),
        PemError::SectionTooLarge => "PEM that is too large",
        _ => "no PEM",
    }
    .to_owned()
}

/// The file, if it is not longer than those of its kind are.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    regular_file(path)?;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_PEM + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > MAX_PEM => Err(format!("longer than {} MiB", MAX_PEM >> 20)),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

/// Refuses what is none without opening it: a pipe would wait for its writer.
fn regular_file(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err("not a regular file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
