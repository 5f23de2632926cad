// SPDX-License-Identifier: BSD-2-Clause
//! What goes wrong with TLS, in a sentence for whoever runs the server. rustls shows most of it as its types are called.
//!
//! A log line has 255 bytes (`vsl_reclen`), so that a client of the longest name has 145 for a sentence.

use std::error;
use std::fmt::{self, Write};
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, ProtocolVersion};

use super::socket::is_closed;
use super::verifier::UnprovenKey;

/// Characters of the names in a certificate that a sentence has room for.
const NAMES: usize = 45;
/// The keys that can be used, with what rustls has of ring.
pub(crate) const KEYS: &str = "RSA of 2048 bits and more, P-256, P-384 or Ed25519";

/// With whom TLS was to be spoken, and what they were shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub is_proxy: bool,
    /// We have a certificate.
    pub knows_us: bool,
    /// The certificates that are trusted are those of a `ca_file`.
    pub has_ca_file: bool,
}

/// How far TLS had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Handshake,
    /// For us; with TLS 1.3 the server may not have come to its end yet.
    Open(Option<ProtocolVersion>),
}

/// An error of TLS.
#[derive(Debug)]
pub(crate) struct TlsError {
    peer: Peer,
    stage: Stage,
    /// `None` if the connection has ended.
    cause: Option<Error>,
}

impl TlsError {
    /// `error`, with what TLS has to say of it said by a [`TlsError`].
    pub fn told(peer: Peer, stage: Stage, error: io::Error) -> io::Error {
        let kind = error.kind();
        let cause = match error.downcast() {
            Ok(error) => Some(error),
            // rustls has texts of its own for the end, with addresses of its manual.
            Err(error) if kind == io::ErrorKind::UnexpectedEof || stage == Stage::Handshake && is_closed(&error) => {
                None
            }
            Err(error) => return error,
        };
        io::Error::new(kind, TlsError { peer, stage, cause })
    }

    /// Whether the server has refused us: with TLS 1.3 it may say so after the request was written, which it then has not seen.
    pub fn is_refusal(&self) -> bool {
        use AlertDescription as Alert;
        let may_be = [Stage::Handshake, Stage::Open(Some(ProtocolVersion::TLSv1_3))].contains(&self.stage);
        may_be
            && matches!(
                self.cause,
                Some(Error::AlertReceived(
                    Alert::AccessDenied
                        | Alert::BadCertificate
                        | Alert::CertificateExpired
                        | Alert::CertificateRequired
                        | Alert::CertificateRevoked
                        | Alert::CertificateUnknown
                        | Alert::DecryptError
                        | Alert::HandshakeFailure
                        | Alert::UnknownCA
                        | Alert::UnsupportedCertificate
                ))
            )
    }
}

impl error::Error for TlsError {}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, self.stage) {
            // A server of TLS 1.2 asks to renegotiate once it has seen the request, and gives up if that is refused.
            (Some(Error::AlertReceived(AlertDescription::HandshakeFailure)), Stage::Open(version))
                if version != Some(ProtocolVersion::TLSv1_3) =>
            {
                write!(
                    f,
                    "{} has ended TLS, as if it wanted to renegotiate it, which is not supported",
                    self.peer.name()
                )
            }
            (Some(error), _) => sentence(self.peer, error, f),
            (None, Stage::Handshake) => {
                write!(f, "{} closed the connection during the TLS handshake", self.peer.name())
            }
            (None, Stage::Open(_)) => write!(f, "{} closed the connection", self.peer.name()),
        }
    }
}

fn sentence(peer: Peer, error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = peer.name();
    match error {
        Error::InvalidCertificate(error) => write!(f, "{name}'s certificate {}", certificate(peer, error)),
        Error::AlertReceived(alert) => alert_text(peer, *alert, f),
        Error::NoCertificatesPresented => write!(f, "{name} shows no certificate"),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => old(name, f),
        Error::PeerIncompatible(_) => write!(f, "{name} uses a part of TLS that is not supported here"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            write!(f, "{name} answers with something that is not TLS: is it the right port?")
        }
        Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge
            | InvalidMessage::HandshakePayloadTooLarge
            | InvalidMessage::MessageTooLarge,
        )
        | Error::PeerSentOversizedRecord => write!(f, "{name} sends more in a TLS handshake than is taken"),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_) => write!(f, "{name} does not keep to the rules of TLS"),
        Error::DecryptError => write!(f, "what {name} sent over TLS cannot be decrypted"),
        Error::FailedToGetCurrentTime => f.write_str("TLS needs the time of day, which the system does not tell"),
        Error::FailedToGetRandomBytes => f.write_str("TLS needs random bytes, which the system does not give"),
        Error::General(text) => write!(f, "TLS failed: {}", shortened(text, NAMES)),
        Error::Other(other) => write!(f, "TLS failed: {}", shortened(&other.to_string(), NAMES)),
        _ => write!(f, "TLS with {name} failed"),
    }
}

impl Peer {
    fn name(self) -> &'static str {
        if self.is_proxy { "the proxy" } else { "the server" }
    }
}

fn old(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name} speaks neither TLS 1.2 nor TLS 1.3")
}

/// What is wrong with a certificate, behind the words "the server's certificate".
fn certificate(peer: Peer, error: &CertificateError) -> String {
    let text = match error {
        CertificateError::ExpiredContext { time, not_after } => {
            return format!("has expired at {}, here it is {}", date(*not_after), date(*time));
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            return format!("is valid from {} on, here it is {}", date(*not_before), date(*time));
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "has no subjectAltName, without which no name is its own: its common name does not count"
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = shortened(&expected.to_str(), 35);
            return format!("is not for {expected}, it is for {}", names(presented));
        }
        CertificateError::Expired => "has dates that make no sense",
        CertificateError::UnknownIssuer if peer.has_ca_file => {
            "is not in the ca_file, nor is that of the authority which has signed it"
        }
        CertificateError::UnknownIssuer => {
            "is of an authority that this machine does not know: its certificate, or the server's own, can be a ca_file"
        }
        CertificateError::BadSignature => {
            "is not signed by the authority that is known by that name, or with an RSA key of less than 2048 bits"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that cannot be verified here, as with P-521 or SHA-1"
        }
        CertificateError::BadEncoding => "is none that is well-formed",
        CertificateError::UnhandledCriticalExtension => "has a critical extension that is not known here",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers: its extended key usage is without serverAuth"
        }
        CertificateError::Other(other) if other.0.is::<UnprovenKey>() => {
            "cannot be used: the server does not have its key, or that is RSA of less than 2048 bits"
        }
        CertificateError::Other(other) => other.0.downcast_ref().map_or("cannot be verified", chain),
        _ => "cannot be verified",
    };
    text.to_owned()
}

/// What webpki says that rustls has no word for.
fn chain(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::CaUsedAsEndEntity => {
            "is an authority's (CA:TRUE), as openssl req -x509 makes it: it counts if it is itself in the ca_file"
        }
        Error::EndEntityUsedAsCa => "was signed by one that is no authority's",
        Error::UnsupportedCertVersion => "is of X.509 version 1, expected version 3",
        Error::UnsupportedCriticalExtension => "has a critical extension that is not known here",
        Error::NameConstraintViolation => "has a name that its authority may not give",
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => "comes with a chain that is too long",
        Error::MaximumNameConstraintComparisonsExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded => "comes with a chain that takes too long to verify",
        Error::SignatureAlgorithmMismatch
        | Error::MalformedExtensions
        | Error::MalformedDnsIdentifier
        | Error::MalformedNameConstraint
        | Error::ExtensionValueInvalid
        | Error::EmptyEkuExtension
        | Error::InvalidSerialNumber => "is none that is well-formed",
        _ => "cannot be verified",
    }
}

/// What the other side's alert (RFC 8446, section 6.2) means.
fn alert_text(peer: Peer, alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use AlertDescription as Alert;
    let name = peer.name();
    match alert {
        Alert::ProtocolVersion => old(name, f),
        // Servers of TLS 1.2 say this, too, if they want a certificate.
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            let client_cert = if peer.knows_us { "" } else { ", or it wants a client_cert" };
            write!(f, "{name} finds no way of TLS that both know: its key has to be {KEYS}{client_cert}")
        }
        Alert::CertificateRequired | Alert::NoCertificate => write!(f, "{name} wants a client_cert"),
        Alert::AccessDenied
        | Alert::BadCertificate
        | Alert::CertificateExpired
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::DecryptError
        | Alert::UnknownCA
        | Alert::UnsupportedCertificate => {
            let certificate = if peer.knows_us { "the client_cert" } else { "a client without a client_cert" };
            write!(f, "{name} does not accept {certificate}: {}", words(alert))
        }
        Alert::UnrecognisedName => write!(f, "{name} does not know the name that it is asked for"),
        _ => write!(f, "{name} has ended TLS: {}", words(alert)),
    }
}

fn words(alert: AlertDescription) -> &'static str {
    use AlertDescription as Alert;
    match alert {
        Alert::AccessDenied => "access denied",
        Alert::BadCertificate => "it is none that is well-formed",
        Alert::CertificateExpired => "it has expired",
        Alert::CertificateRevoked => "it was revoked",
        Alert::CertificateUnknown => "it cannot be verified",
        Alert::DecryptError => "its signature is wrong",
        Alert::UnknownCA => "it is of an unknown authority",
        Alert::UnsupportedCertificate => "it is of a wrong kind",
        Alert::InternalError => "internal error",
        Alert::UserCanceled => "it was stopped",
        Alert::CloseNotify => "it has closed the connection",
        Alert::BadRecordMac | Alert::DecodeError | Alert::IllegalParameter | Alert::UnexpectedMessage => {
            "it does not understand what was sent"
        }
        _ => "without a usual reason",
    }
}

/// The first names of a certificate, and how many more it has.
fn names(presented: &[String]) -> String {
    let mut text = String::new();
    for (number, name) in presented.iter().map(|name| plain(name)).enumerate() {
        let between = if number == 0 { "" } else { ", " };
        if number > 0 && text.len() + between.len() + name.len() > NAMES {
            // Writing into a string does not fail.
            let _ = write!(text, " and {} more", presented.len() - number);
            break;
        }
        text.push_str(between);
        text.push_str(&shortened(name, NAMES));
    }
    text
}

/// A name as rustls shows it, without its type around it: `DnsName("a.example")`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(name, |inner| inner.trim_matches('"'))
}

fn shortened(text: &str, most: usize) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > most {
        text = text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect();
    }
    text
}

fn date(time: UnixTime) -> String {
    let at = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "no date".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::ServerName;
    use rustls::{
        ContentType, EncryptedClientHelloError, ExtendedKeyPurpose, HandshakeType, InconsistentKeys, OtherError,
        PeerMisbehaved,
    };

    use super::*;

    const PEER: Peer = Peer { is_proxy: false, knows_us: false, has_ca_file: true };

    const OPEN: Stage = Stage::Open(Some(ProtocolVersion::TLSv1_3));

    fn told(peer: Peer, error: impl Into<Error>) -> String {
        let error = io::Error::new(io::ErrorKind::InvalidData, error.into());
        TlsError::told(peer, Stage::Handshake, error).to_string()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn not_for(expected: &str, presented: &[&str]) -> CertificateError {
        let presented = presented.iter().map(|name| format!("DnsName(\"{name}\")")).collect();
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from(expected.to_owned()).unwrap(),
            presented,
        }
    }

    fn of_webpki(error: webpki::Error) -> CertificateError {
        CertificateError::Other(OtherError(Arc::new(error)))
    }

    fn certificate_errors() -> Vec<CertificateError> {
        use CertificateError as E;
        let label = "x".repeat(60);
        let long = format!("{label}.{label}.{label}.{label}");
        let mut all = vec![
            E::ExpiredContext { time: at(1 << 40), not_after: at(0) },
            E::ExpiredContext { time: at(u64::MAX), not_after: at(u64::MAX) },
            E::NotValidYetContext { time: at(0), not_before: at(1 << 36) },
            E::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: vec![1], supported_algorithms: vec![] },
            E::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: vec![1],
                public_key_algorithm_id: vec![2],
            },
            not_for("h", &[]),
            not_for(&long, &[&long, &long]),
            not_for(&long, &["\u{1b}[31m\n", "a", "b"]),
            E::InvalidPurposeContext {
                required: ExtendedKeyPurpose::ServerAuth,
                presented: vec![ExtendedKeyPurpose::ClientAuth],
            },
            E::ExpiredRevocationListContext { time: at(1), next_update: at(0) },
            E::Other(OtherError(Arc::new(UnprovenKey))),
            E::Other(OtherError(Arc::new(io::Error::other("x".repeat(500))))),
        ];
        all.extend([E::BadEncoding, E::Expired, E::NotValidYet, E::Revoked, E::UnhandledCriticalExtension]);
        all.extend([E::UnknownIssuer, E::UnknownRevocationStatus, E::BadSignature, E::NotValidForName]);
        all.extend([E::InvalidPurpose, E::InvalidOcspResponse, E::ApplicationVerificationFailure]);
        use webpki::Error as W;
        all.extend([W::CaUsedAsEndEntity, W::EndEntityUsedAsCa, W::UnsupportedCertVersion].map(of_webpki));
        all.extend([W::UnsupportedCriticalExtension, W::NameConstraintViolation].map(of_webpki));
        all.extend([W::PathLenConstraintViolated, W::MaximumPathDepthExceeded].map(of_webpki));
        all.extend([W::MaximumPathBuildCallsExceeded, W::MaximumSignatureChecksExceeded].map(of_webpki));
        all.extend([W::SignatureAlgorithmMismatch, W::EmptyEkuExtension, W::CertDistrusted].map(of_webpki));
        all
    }

    fn errors() -> Vec<Error> {
        let mut all: Vec<Error> = certificate_errors().into_iter().map(Error::from).collect();
        all.extend((0..=u8::MAX).map(|alert| Error::AlertReceived(AlertDescription::from(alert))));
        all.extend([
            Error::InappropriateMessage { expect_types: vec![], got_type: ContentType::Alert },
            Error::InappropriateHandshakeMessage { expect_types: vec![], got_type: HandshakeType::Finished },
            Error::InvalidEncryptedClientHello(EncryptedClientHelloError::NoCompatibleConfig),
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
            Error::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived),
            Error::General("x".repeat(500)),
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            Error::HandshakeNotComplete,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
            Error::Other(OtherError(Arc::new(io::Error::other("x".repeat(500))))),
        ]);
        use InvalidMessage as I;
        all.extend([I::InvalidContentType, I::HandshakePayloadTooLarge, I::MessageTooLarge].map(Error::from));
        all.extend([I::MissingData("ServerHello"), I::TrailingData("x"), I::InvalidCcs].map(Error::from));
        all
    }

    #[test]
    fn every_error_is_one_sentence_in_plain_words_that_a_log_line_holds() {
        for error in errors() {
            for bits in 0..8 {
                let peer = Peer { is_proxy: bits & 1 > 0, knows_us: bits & 2 > 0, has_ca_file: bits & 4 > 0 };
                let text = told(peer, error.clone());
                assert!(text.chars().count() <= 145, "{text}: {}", text.len());
                assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
                assert!(!text.contains(['{', '}', '"', '(']) || text.contains("(CA:TRUE)"), "{text}");
                // As a type is called: `UnknownIssuer`.
                let words = text.split(|c: char| !c.is_alphanumeric());
                let is_type = |word: &str| {
                    word.starts_with(char::is_uppercase)
                        && word.chars().skip(2).any(char::is_uppercase)
                        && word.contains(char::is_lowercase)
                };
                assert!(words.clone().all(|word| !is_type(word) || word == "Ed25519"), "{text}");
            }
        }
    }

    #[test]
    fn a_sentence_says_who_and_what_to_do() {
        let proxy = Peer { is_proxy: true, knows_us: true, ..PEER };
        let alert = |peer, alert| told(peer, Error::AlertReceived(alert));
        let unknown = "does not accept the client_cert: it is of an unknown authority";
        assert_eq!(alert(proxy, AlertDescription::UnknownCA), format!("the proxy {unknown}"));
        let text = "the server does not accept a client without a client_cert: it is none that is well-formed";
        assert_eq!(alert(PEER, AlertDescription::BadCertificate), text);
        let text = "the server finds no way of TLS that both know: its key has to be RSA of 2048 bits and more, P-256, P-384 or Ed25519";
        assert_eq!(alert(PEER, AlertDescription::HandshakeFailure), format!("{text}, or it wants a client_cert"));
        assert_eq!(alert(proxy, AlertDescription::HandshakeFailure), text.replace("server", "proxy"));
        let error = CertificateError::ExpiredContext { time: at(1_800_000_000), not_after: at(1_700_000_000) };
        let text = "the server's certificate has expired at 2023-11-14 22:13 UTC, here it is 2027-01-15 08:00 UTC";
        assert_eq!(told(PEER, error), text);
    }

    #[test]
    fn what_is_not_of_tls_stays_as_it_is() {
        let early = "the server closed the connection during the TLS handshake";
        for (error, stage, text) in [
            (io::Error::other("x"), Stage::Handshake, "x"),
            (io::ErrorKind::TimedOut.into(), Stage::Handshake, "timed out"),
            (io::ErrorKind::UnexpectedEof.into(), OPEN, "the server closed the connection"),
            (io::ErrorKind::UnexpectedEof.into(), Stage::Handshake, early),
            (io::ErrorKind::ConnectionReset.into(), Stage::Handshake, early),
            (io::ErrorKind::ConnectionReset.into(), OPEN, "connection reset"),
        ] {
            let kind = error.kind();
            let told = TlsError::told(PEER, stage, error);
            assert_eq!((told.to_string(), told.kind()), (text.to_owned(), kind));
        }
    }

    #[test]
    fn a_refusal_comes_before_the_request_was_seen() {
        let open = Stage::Open(Some(ProtocolVersion::TLSv1_2));
        for (alert, stage, is_refusal) in [
            (AlertDescription::CertificateRequired, OPEN, true),
            (AlertDescription::HandshakeFailure, OPEN, true),
            (AlertDescription::HandshakeFailure, Stage::Handshake, true),
            (AlertDescription::HandshakeFailure, open, false),
            (AlertDescription::BadCertificate, open, false),
            (AlertDescription::InternalError, OPEN, false),
            (AlertDescription::CloseNotify, Stage::Handshake, false),
        ] {
            let error = TlsError { peer: PEER, stage, cause: Some(Error::AlertReceived(alert)) };
            assert_eq!(error.is_refusal(), is_refusal, "{alert:?} {stage:?}");
        }
        assert!(!TlsError { peer: PEER, stage: Stage::Handshake, cause: None }.is_refusal());
    }
}
