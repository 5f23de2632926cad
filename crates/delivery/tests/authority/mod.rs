// SPDX-License-Identifier: BSD-2-Clause
//! Certificates for the tests of TLS.
#![allow(dead_code)] // Each test binary uses its own part.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::receiver::{Act, Receiver, Stream, Wrap};

/// A certificate authority of the test's own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Authority {
    /// Its certificate is in a file named after `test`.
    pub fn new(test: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("delivery-{test}-{}.pem", std::process::id()));
        std::fs::write(&file, issuer.pem()).unwrap();
        Authority { issuer, file }
    }

    /// A server that shows a certificate for `name`.
    pub fn serve(&self, name: &str, acts: impl IntoIterator<Item = Act>) -> Receiver {
        Receiver::wrapped(acts, self.wrap(name))
    }

    /// TLS with a certificate for `name`.
    pub fn wrap(&self, name: &str) -> Wrap {
        self.wrap_for(name, None)
    }

    /// As [`Authority::serve`], for clients with a certificate of `clients` only.
    pub fn serve_known(&self, name: &str, clients: &Authority) -> Receiver {
        Receiver::wrapped([], self.wrap_for(name, Some(clients)))
    }

    /// Files with a certificate and its key, in PEM.
    pub fn issue(&self, test: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["varnish".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (cert_file, key_file) = (self.file.with_extension(test), self.file.with_extension(format!("{test}-key")));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }

    fn wrap_for(&self, name: &str, clients: Option<&Authority>) -> Wrap {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        wrap_with(&[&certificate], &key, clients)
    }

    /// A server that shows a certificate for `name` and behind it those of `others`.
    pub fn serve_behind(&self, name: &str, others: &[Authority]) -> Receiver {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let others = others.iter().map(|other| other.issuer.as_ref());
        let chain: Vec<_> = [&certificate].into_iter().chain(others).collect();
        Receiver::wrapped([], wrap_with(&chain, &key, None))
    }
}

/// A server whose certificate says what `params` do, signed by itself as `openssl req -x509` does it, or by `authority`; and the certificate in PEM.
pub fn serve_with(mut params: CertificateParams, authority: Option<&Authority>) -> (Receiver, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = match authority {
        Some(authority) => params.signed_by(&key, &authority.issuer).unwrap(),
        None => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&key).unwrap()
        }
    };
    (Receiver::wrapped([], wrap_with(&[&certificate], &key, None)), certificate.pem())
}

fn wrap_with(chain: &[&Certificate], key: &KeyPair, clients: Option<&Authority>) -> Wrap {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = chain.iter().map(|certificate| certificate.der().clone()).collect();
    let config = config.with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    Arc::new(move |stream: Box<dyn Stream>| {
        let tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(tls, stream)) as Box<dyn Stream>)
    })
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}
