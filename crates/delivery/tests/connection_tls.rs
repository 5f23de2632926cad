// SPDX-License-Identifier: BSD-2-Clause
//! TLS is verified against the certificates of the machine, and there is no way around it.

mod authority;
mod fixture_connection;
mod receiver;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authority::Authority;
use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::{Failure, Target};
use delivery::connection::transport::Connector;
use delivery::connection::way::{ClientCert, Roots, Way};
use fixture_connection::{RawServer, SLACK, failure, look_up, options, status, target, unreached};
use rcgen::{CertificateParams, date_time_ymd};
use receiver::{Act, PATIENCE, Receiver, Stream, eventually};

/// What connects to `https://sentry.example`, which is `server`.
fn connector(server: &Receiver, way: Way) -> HttpConnector {
    HttpConnector::new(HttpOptions { way, look_up: look_up(&[server.address]), ..options() })
}

fn known_by(file: &Path) -> Way {
    Way { roots: Roots::File(file.to_owned()), ..Way::default() }
}

/// The authorities of these tests have one name.
const OTHERS_NAME: &str = "the server's certificate is not signed by the authority that is known by that name, or with an \
                           RSA key of less than 2048 bits";

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
    assert_eq!(error, OTHERS_NAME);
    let error = refusal(&connector(&server, Way::default()), &server);
    let refused = "the server's certificate is of an authority that this machine does not know: \
                   its certificate, or the server's own, can be a ca_file";
    assert!(error == refused || error.starts_with("no CA certificates"), "{error}: a bare machine has none");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("wrong-host");
    let server = authority.serve("elsewhere.example", []);
    let error = refusal(&connector(&server, known_by(&authority.file)), &server);
    assert_eq!(error, "the server's certificate is not for sentry.example, it is for elsewhere.example");
}

#[test]
fn a_chain_without_measure_is_refused_in_little_time() {
    let (known, unknown) = (Authority::new("measure"), Authority::new("no-measure"));
    // Each could have signed the one before, as far as the names go.
    let others: Vec<_> = (0..250).map(|number| Authority::new(&format!("measure-{number}"))).collect();
    let server = unknown.serve_behind("sentry.example", others.get(..100).unwrap());
    let begin = Instant::now();
    let error = refusal(&connector(&server, known_by(&known.file)), &server);
    assert_eq!(error, "the server's certificate comes with a chain that takes too long to verify");
    assert!(begin.elapsed() < SLACK);
    // More than there is room for.
    let server = known.serve_behind("sentry.example", &others);
    let error = refusal(&connector(&server, known_by(&known.file)), &server);
    assert_eq!(error, "the server sends more in a TLS handshake than is taken");
    // A chain that leads there all the same.
    let server = known.serve_behind("sentry.example", others.get(..20).unwrap());
    assert_eq!(status(&mut *connector(&server, known_by(&known.file)).transport(), &https()), Ok(200));
}

#[test]
fn a_server_that_speaks_no_tls_is_refused() {
    let authority = Authority::new("plain");
    let server = Receiver::new([]);
    refusal(&connector(&server, known_by(&authority.file)), &server);
    for (said, text) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "the server answers with something that is not TLS: is it the right port?",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the server answers with something that is not TLS: is it the right port?"),
        ("", "the server closed the connection during the TLS handshake"),
        ("\x16\x03\x03\0\x04\x02\0\0\0", "the server does not keep to the rules of TLS"),
        ("\x16\x03\x03\0\x04abcd", "the server sends more in a TLS handshake than is taken"),
        ("\x15\x03\x03\0\x02\x02\x46", "the server speaks neither TLS 1.2 nor TLS 1.3"),
        ("\x15\x03\x03\0\x02\x02\x70", "the server does not know the name that it is asked for"),
        ("\x15\x03\x03\0\x02\x02\x50", "the server has ended TLS: internal error"),
        ("\x15\x03\x03\0\x02\x02\x7f", "the server has ended TLS: without a usual reason"),
    ] {
        let server = RawServer::new(move |raw| raw.say(said));
        let options = HttpOptions { way: known_by(&authority.file), look_up: look_up(&[server.address]), ..options() };
        assert_eq!(unreached(failure(&HttpConnector::new(options), &https())), text, "{said:?}");
    }
}

#[test]
fn the_dates_of_a_certificate_count_whoever_has_signed_it() {
    let authority = Authority::new("dates");
    let file = authority.file.with_extension("own");
    let params = || CertificateParams::new(["sentry.example".to_owned()]).unwrap();
    let (mut old, mut early) = (params(), params());
    old.not_after = date_time_ymd(2024, 2, 29);
    early.not_before = date_time_ymd(2999, 12, 31);
    for (params, text) in [
        (old, "the server's certificate has expired at 2024-02-29 00:00 UTC, here it is 2"),
        (early, "the server's certificate is valid from 2999-12-31 00:00 UTC on, here it is 2"),
    ] {
        for authority in [None, Some(&authority)] {
            let (server, pem) = authority::serve_with(params.clone(), authority);
            fs::write(&file, pem).unwrap();
            let ca_file = authority.map_or(&file, |authority| &authority.file);
            let error = refusal(&connector(&server, known_by(ca_file)), &server);
            assert!(error.starts_with(text), "{error}");
        }
    }
    let (server, pem) = authority::serve_with(params(), None);
    fs::write(&file, pem).unwrap();
    assert_eq!(status(&mut *connector(&server, known_by(&file)).transport(), &https()), Ok(200));
    fs::remove_file(file).unwrap();
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

/// Once it is told to, writes a byte at a time.
struct Trickle {
    stream: Box<dyn Stream>,
    is_slow: Arc<AtomicBool>,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_slow.load(Ordering::SeqCst) {
            return self.stream.write(bytes);
        }
        thread::sleep(Duration::from_millis(20));
        self.stream.write(bytes.get(..1).unwrap_or_default())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[test]
fn a_handshake_that_trickles_ends_at_the_connect_timeout() {
    let authority = Authority::new("trickle");
    let tls = authority.wrap("sentry.example");
    let server = Receiver::wrapped(
        [],
        Arc::new(move |stream| tls(Box::new(Trickle { stream, is_slow: Arc::new(AtomicBool::new(true)) }))),
    );
    let limit = Duration::from_millis(700);
    let options = HttpOptions {
        way: known_by(&authority.file),
        look_up: look_up(&[server.address]),
        connect_timeout: limit,
        ..options()
    };
    let begin = Instant::now();
    assert_eq!(unreached(failure(&HttpConnector::new(options), &https())), "timeout: connect");
    assert!((limit..limit + SLACK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[test]
fn an_answer_that_trickles_within_tls_ends_at_the_timeout() {
    let authority = Authority::new("trickled-answer");
    let (tls, is_slow) = (authority.wrap("sentry.example"), Arc::new(AtomicBool::new(false)));
    let slow = is_slow.clone();
    let wrap = move |stream| tls(Box::new(Trickle { stream, is_slow: slow.clone() }));
    let server = Receiver::wrapped([Act::ok(), Act::Hold(200)], Arc::new(wrap));
    let mut transport = connector(&server, known_by(&authority.file)).transport();
    assert_eq!(status(&mut *transport, &https()), Ok(200));
    let limit = Duration::from_secs(1);
    let begin = Instant::now();
    let posted = thread::scope(|scope| {
        let posting = scope.spawn(|| transport.post(&https(), &fixture_connection::body(10), limit));
        eventually("it is held", || server.held() == 1);
        is_slow.store(true, Ordering::SeqCst);
        server.release(1);
        posting.join().unwrap()
    });
    // One record, of which nothing is known before its last byte.
    assert_eq!(posted.result, Err(Failure::Broken("timeout: global".to_owned())));
    assert!((limit..limit + SLACK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
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
    assert_eq!(tried(), Err(OTHERS_NAME.to_owned()));
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
    let good = fs::read_to_string(&authority.file).unwrap();
    let section = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let (half, large) = (good.split_at(good.len() / 2).0.to_owned(), "x".repeat((8 << 20) + 1));
    for (content, problem) in [
        ("", "no certificate in PEM"),
        ("no certificate", "no certificate in PEM"),
        ("0\u{1}\u{1}\u{1}", "no certificate in PEM, maybe one in DER"),
        (&half, "PEM that ends before its last line"),
        ("-----BEGIN CERTIFICATE--\n", "PEM with a wrong first line"),
        (&section("?"), "PEM that is not base64"),
        // What only looks like a certificate vouches for nobody.
        (&section("AAAA"), "no certificate in it is one that is well-formed"),
        (&large, "longer than 8 MiB"),
    ] {
        fs::write(&file, content).unwrap();
        let connector = connector(&server, known_by(&file));
        let error = refusal(&connector, &server);
        assert_eq!(error, format!("ca_file {}: {problem}", file.display()));
        // With a byte order mark, a line about it, and one that is none.
        fs::write(&file, format!("\u{feff}{good}the authority\r\n{}", section("?"))).unwrap();
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
    assert_eq!(error, "the server wants a client_cert");
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
    let (encrypted, large) = (authority.file.with_extension("encrypted"), authority.file.with_extension("large"));
    let openssl = |words: &str, out: &Path| {
        let done = Command::new("openssl").args(words.split(' ')).arg("-out").arg(out).output().expect("openssl");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:word", &encrypted);
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521", &large);
    for (from_chain, from_key, problem) in [
        (None, Some(&good_key), format!("client_cert {}: No such file", chain.display())),
        (Some(&good_chain), None, format!("client_key {}: No such file", key.display())),
        (Some(&empty), Some(&good_key), format!("client_cert {}: no certificate in PEM", chain.display())),
        (Some(&good_chain), Some(&good_chain), format!("client_key {}: no private key in PEM", key.display())),
        (Some(&good_chain), Some(&encrypted), format!("client_key {}: encrypted with a passphrase", key.display())),
        (Some(&good_chain), Some(&large), format!("client_key {}: of a kind that is not supported", key.display())),
        (Some(&good_chain), Some(&other_key), format!("client_key {}: not the key of the client_cert", key.display())),
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
    for file in [good_chain, good_key, other_chain, other_key, chain, key, empty, encrypted, large] {
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_kept_connection_that_ends_is_replaced_as_without_tls() {
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
            assert!(
                error.starts_with("no CA certificates on this machine, install them or give a ca_file: "),
                "{error}"
            );
            assert!(error.contains("No such file"), "{error}");
        }
        _ => {
            let other = Authority::new("env-other");
            fs::copy(&other.file, &system).unwrap();
            assert_eq!(refusal(&connector, &server), OTHERS_NAME);
        }
    }
    let _ = fs::remove_file(system);
}
