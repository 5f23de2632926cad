// SPDX-License-Identifier: BSD-2-Clause
//! Verifies a server's certificate: against the authorities that are trusted, or because it is one of the trusted certificates itself.
//!
//! webpki takes nobody's certificate for a server's that says it is an authority's, and `openssl req -x509` makes no others.

use std::error;
use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

/// The object identifier of a common name in a subject (RFC 5280, appendix A.1), in DER.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// Trusts `trusted`, and what the authorities among them have signed.
#[derive(Debug)]
pub(crate) struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// An error if none of them can be an authority: if none is a certificate.
    pub fn new(
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, VerifierBuilderError> {
        let mut roots = RootCertStore::empty();
        // What only looks like a certificate vouches for nobody.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Verifier { authorities, trusted })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.trusted.contains(end_entity) {
            return self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        let verified = match self.authorities.verify_server_cert(end_entity, &[], server_name, ocsp_response, now) {
            // The names are looked at last.
            Err(Error::InvalidCertificate(error)) if is_of_the_issuer(&error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)
            }
            other => other.map(drop),
        };
        match verified {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
                if presented.is_empty() && has_common_name(end_entity, &server_name.to_str()) => {}
            other => other?,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, cert, dss).map_err(of_the_key)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, cert, dss).map_err(of_the_key)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Whether all that is wrong with a certificate is who has signed it. webpki looks at its dates before any of this.
fn is_of_the_issuer(error: &CertificateError) -> bool {
    match error {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
        CertificateError::Other(other) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// Whether the subject of a certificate has `name` as its common name. That counts only where the certificate is trusted itself and has no
/// other name: who has it is known then, and `openssl req -x509` makes it so unless it is told more.
fn has_common_name(end_entity: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(cert) = EndEntityCert::try_from(end_entity) else { return false };
    let mut subject = cert.subject().windows(COMMON_NAME.len()).zip(0..);
    subject.any(|(window, at)| {
        let value = cert.subject().get(at + COMMON_NAME.len()..).filter(|_| window == COMMON_NAME);
        // A string of any kind and less than 128 bytes.
        let value = value.and_then(|value| value.get(2..2 + usize::from(*value.get(1)?)));
        value.is_some_and(|value| value.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// The certificate is in order, and what should show that the server has its key is not.
#[derive(Debug)]
pub(crate) struct UnprovenKey;

impl fmt::Display for UnprovenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not prove that it has the key of its certificate")
    }
}

impl error::Error for UnprovenKey {}

/// Tells a wrong signature of the handshake from one of a certificate.
fn of_the_key(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(UnprovenKey))))
        }
        other => other,
    }
}
