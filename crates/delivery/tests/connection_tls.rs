// SPDX-License-Identifier: BSD-2-Clause
//! TLS is verified against the certificates of the machine, and there is no way around it.

mod authority;
mod fixture_connection;
mod receiver;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use authority::Authority;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::Target;
use delivery::connection::transport::Connector;
use delivery::connection::way::{ClientCert, Roots, Way};
use fixture_connection::{RawServer, SLACK, failure, look_up, options, status, target, unreached};
use receiver::{PATIENCE, Receiver};

/// What connects to `https://sentry.example`, which is `server`.
fn connector(server: &Receiver, way: Way) -> HttpConnector {
    HttpConnector::new(HttpOptions { way, look_up: look_up(&[server.address]), ..options() })
}

fn known_by(file: &std::path::Path) -> Way {
    Way { roots: Roots::File(file.to_owned()), ..Way::default() }
}

fn https() -> Target {
    target("https://sentry.example/api/42/envelope/")
}

/// Why the server is not reached; no request was read.
fn refusal(connector: &dyn Connector, server: &Receiver) -> String {
    let text = unreached(failure(connector, &https()));
    assert!(server.rest().is_empty());
    text
}

#[test]
fn a_certificate_of_a_known_authority_is_taken_and_the_connection_kept() {
    let authority = Authority::new("good");
    let server = authority.serve("sentry.example", []);
    let mut transport = connector(&server, known_by(&authority.file)).transport();
    for _ in 0..20 {
        assert_eq!(status(&mut *transport, &https()), Ok(200));
    }
    assert_eq!((server.rest().len(), server.connections()), (20, 1));
}

#[test]
fn the_certificates_are_read_once_for_all_transports() {
    let authority = Authority::new("once");
    let server = authority.serve("sentry.example", []);
    let connector = connector(&server, known_by(&authority.file));
    let (mut first, mut second) = (connector.transport(), connector.transport());
    assert_eq!(status(&mut *first, &https()), Ok(200));
    fs::write(&authority.file, "").unwrap();
    assert_eq!(status(&mut *second, &https()), Ok(200));
    assert_eq!(status(&mut *connector.transport(), &https()), Ok(200));
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let server = unknown.serve("sentry.example", []);
    let error = refusal(&connector(&server, known_by(&known.file)), &server);
    assert_eq!(error, "io: invalid peer certificate: BadSignature");
    let error = refusal(&connector(&server, Way::default()), &server);
    let refused = "io: invalid peer certificate: UnknownIssuer";
    assert!(error == refused || error.starts_with("no CA certificates"), "{error}: a bare machine has none");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("wrong-host");
    let server = authority.serve("elsewhere.example", []);
    let error = refusal(&connector(&server, known_by(&authority.file)), &server);
    assert!(error.contains("not valid for name \"sentry.example\""), "{error}");
}

#[test]
fn a_server_that_speaks_no_tls_is_refused() {
    let authority = Authority::new("plain");
    let server = Receiver::new([]);
    refusal(&connector(&server, known_by(&authority.file)), &server);
}

#[test]
fn a_handshake_that_stalls_ends_at_the_connect_timeout() {
    let authority = Authority::new("stall");
    let server = RawServer::new(fixture_connection::Raw::stall);
    let options = HttpOptions {
        way: known_by(&authority.file),
        look_up: look_up(&[server.address]),
        connect_timeout: Duration::from_millis(300),
        ..options()
    };
    let begin = Instant::now();
    assert_eq!(unreached(failure(&HttpConnector::new(options), &https())), "timeout: connect");
    assert!(begin.elapsed() < SLACK);
}

#[test]
fn certificates_that_appear_or_change_later_are_found() {
    let (authority, other) = (Authority::new("later"), Authority::new("other"));
    let server = authority.serve("sentry.example", []);
    let file = authority.file.with_extension("later");
    let connector = connector(&server, known_by(&file));
    let mut transport = connector.transport();
    let mut tried = || status(&mut *transport, &https()).map_err(unreached);
    let error = tried().unwrap_err();
    assert!(error.starts_with(&format!("ca_file {}: No such file", file.display())), "{error}");
    fs::copy(&other.file, &file).unwrap();
    assert_eq!(tried(), Err("io: invalid peer certificate: BadSignature".to_owned()));
    fs::copy(&authority.file, &file).unwrap();
    assert_eq!(tried(), Ok(200));
    fs::remove_file(file).unwrap();
    assert_eq!(tried(), Ok(200));
}

#[test]
fn a_ca_file_without_a_certificate_reaches_nobody_until_it_has_one() {
    let authority = Authority::new("empty");
    let server = authority.serve("sentry.example", []);
    let file = authority.file.with_extension("empty");
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, problem) in [("", "no CA certificates"), ("no certificate", "no CA certificates"), (bad, "")] {
        fs::write(&file, content).unwrap();
        let connector = connector(&server, known_by(&file));
        let error = refusal(&connector, &server);
        // What only looks like a certificate vouches for nobody.
        let refused = error == "io: invalid peer certificate: UnknownIssuer";
        assert!(refused || !problem.is_empty() && error.ends_with(problem), "{content:?}: {error}");
        fs::copy(&authority.file, &file).unwrap();
        assert_eq!(status(&mut *connector.transport(), &https()), Ok(200));
        server.next();
    }
    fs::remove_file(file).unwrap();
}

#[test]
fn a_ca_file_that_is_none_is_not_opened() {
    let authority = Authority::new("folder");
    let server = authority.serve("sentry.example", []);
    let error = refusal(&connector(&server, known_by(&std::env::temp_dir())), &server);
    assert_eq!(error, format!("ca_file {}: not a regular file", std::env::temp_dir().display()));
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let (authority, clients) = (Authority::new("mutual"), Authority::new("clients"));
    let server = authority.serve_known("sentry.example", &clients);
    let (chain, key) = clients.issue("shown");
    let client_cert = Some(ClientCert { chain: chain.clone(), key: key.clone() });
    let mut transport = connector(&server, Way { client_cert, ..known_by(&authority.file) }).transport();
    for _ in 0..3 {
        assert_eq!(status(&mut *transport, &https()), Ok(200));
    }
    assert_eq!((server.rest().len(), server.connections()), (3, 1));
    // With TLS 1.3 that is known only after the request was written, which nobody has read.
    let error = refusal(&connector(&server, known_by(&authority.file)), &server);
    assert!(error.contains("CertificateRequired"), "{error}");
    for file in [chain, key] {
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_told_and_read_again() {
    let (authority, clients) = (Authority::new("mutual-bad"), Authority::new("clients-bad"));
    let server = authority.serve_known("sentry.example", &clients);
    let (good_chain, good_key) = clients.issue("good");
    let (other_chain, other_key) = clients.issue("other");
    let chain = authority.file.with_extension("chain");
    let key = authority.file.with_extension("key");
    let empty = authority.file.with_extension("nothing");
    fs::write(&empty, "no PEM").unwrap();
    for (from_chain, from_key, problem) in [
        (None, Some(&good_key), format!("client_cert {}: No such file", chain.display())),
        (Some(&good_chain), None, format!("client_key {}: No such file", key.display())),
        (Some(&empty), Some(&good_key), format!("client_cert {}: no certificate", chain.display())),
        (Some(&good_chain), Some(&good_chain), format!("client_key {}: no private key", key.display())),
        (Some(&good_chain), Some(&other_key), format!("client_key {}: ", key.display())),
    ] {
        for (from, to) in [(from_chain, &chain), (from_key, &key)] {
            let _ = fs::remove_file(to);
            if let Some(from) = from {
                fs::copy(from, to).unwrap();
            }
        }
        let client_cert = Some(ClientCert { chain: chain.clone(), key: key.clone() });
        let connector = connector(&server, Way { client_cert, ..known_by(&authority.file) });
        let error = refusal(&connector, &server);
        assert!(error.starts_with(&problem), "{error}");
        fs::copy(&good_chain, &chain).unwrap();
        fs::copy(&good_key, &key).unwrap();
        assert_eq!(status(&mut *connector.transport(), &https()), Ok(200));
        server.next();
    }
    for file in [good_chain, good_key, other_chain, other_key, chain, key, empty] {
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_kept_connection_that_ends_is_replaced_as_without_tls() {
    use receiver::Act;
    let authority = Authority::new("reconnect");
    let server = authority.serve("sentry.example", [Act::ok(), Act::HangUp, Act::ok(), Act::AnswerAndClose(200)]);
    let mut transport = connector(&server, known_by(&authority.file)).transport();
    let mut reconnects = 0;
    for _ in 0..5 {
        let posted = transport.post(&https(), &fixture_connection::body(10), PATIENCE);
        reconnects += posted.reconnects;
        assert_eq!(posted.result.map(|answer| answer.status), Ok(200));
    }
    assert!((1..=2).contains(&reconnects), "{reconnects}");
    assert_eq!(server.connections(), 3);
    let fresh = authority.serve("sentry.example", [Act::HangUp]);
    let posted = connector(&fresh, known_by(&authority.file)).transport().post(
        &https(),
        &fixture_connection::body(10),
        PATIENCE,
    );
    assert!(posted.result.is_err());
    assert_eq!((posted.reconnects, fresh.connections()), (0, 1));
}

#[test]
fn the_systems_certificates_are_those_of_ssl_cert_file() {
    const INNER: &str = "CONNECTION_TLS_INNER";
    const TEST: &str = "the_systems_certificates_are_those_of_ssl_cert_file";
    let Some(file) = std::env::var_os(INNER) else {
        // The variables must be there before the process reads them, and must not disturb other tests.
        for (kind, verify) in [("good", ""), ("absent", ""), ("other", "0")] {
            let file = std::env::temp_dir().join(format!("delivery-env-{kind}-{}.pem", std::process::id()));
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", TEST])
                .env(INNER, kind)
                .env("SSL_CERT_FILE", &file)
                .env_remove("SSL_CERT_DIR")
                // sentry-rust lets this one turn verification off; nobody may.
                .env("SSL_VERIFY", verify)
                .status();
            assert!(status.unwrap().success(), "{kind}");
        }
        return;
    };
    let authority = Authority::new("env");
    let server = authority.serve("sentry.example", []);
    let connector = connector(&server, Way::default());
    let system = PathBuf::from(std::env::var_os("SSL_CERT_FILE").unwrap());
    match file.to_str() {
        Some("good") => {
            fs::copy(&authority.file, &system).unwrap();
            assert_eq!(status(&mut *connector.transport(), &https()), Ok(200));
        }
        Some("absent") => {
            let error = refusal(&connector, &server);
            assert!(error.starts_with("no CA certificates"), "{error}");
        }
        _ => {
            let other = Authority::new("env-other");
            fs::copy(&other.file, &system).unwrap();
            assert_eq!(refusal(&connector, &server), "io: invalid peer certificate: BadSignature");
        }
    }
    let _ = fs::remove_file(system);
}
