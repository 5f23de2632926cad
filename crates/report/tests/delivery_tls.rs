// SPDX-License-Identifier: BSD-2-Clause
//! TLS is verified against the certificates of the machine, and there is no way around it.

mod authority;
mod fixture;
mod receiver;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authority::Authority;
use fixture::{Bench, Setup, look_up};
use receiver::{PATIENCE, Receiver, eventually};
use report::stats::Counter;
use report::way::{ClientCert, Roots};

/// A client of `https://sentry.example`, which is `server`.
fn setup(server: &Receiver, roots: Roots) -> Setup {
    let mut setup = Setup::new(&format!("https://{}@sentry.example/42", receiver::KEY));
    setup.look_up = look_up(&[server.address]);
    setup.settings.server.way.roots = roots;
    setup
}

/// The error of the first try; the event is kept, and no request was read.
fn refusal(bench: &Bench, server: &Receiver) -> String {
    bench.capture();
    eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
    assert!(server.rest().is_empty());
    assert_eq!(bench.dropped(), [], "it may be put right");
    bench.assert_discreet();
    eventually("the event is back in the queue", || bench.status()["queue"]["events"] == 1);
    let status = bench.status();
    assert_eq!(status["state"], "backoff");
    status["last_error"].as_str().unwrap().to_owned()
}

#[test]
fn a_certificate_of_a_known_authority_is_taken_and_the_connection_kept() {
    let authority = Authority::new("good");
    let server = authority.serve("sentry.example", []);
    let bench = setup(&server, Roots::File(authority.file.clone())).start();
    for _ in 0..20 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
    assert_eq!((server.rest().len(), server.connections()), (20, 1));
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let server = unknown.serve("sentry.example", []);
    let bench = setup(&server, Roots::File(known.file.clone())).start();
    assert_eq!(refusal(&bench, &server), "io: invalid peer certificate: BadSignature");
    let bench = setup(&server, Roots::System).start();
    let error = refusal(&bench, &server);
    let refused = "io: invalid peer certificate: UnknownIssuer";
    assert!(error == refused || error.starts_with("no CA certificates"), "{error}: a bare machine has none");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("wrong-host");
    let server = authority.serve("elsewhere.example", []);
    let bench = setup(&server, Roots::File(authority.file.clone())).start();
    let error = refusal(&bench, &server);
    assert!(error.contains("not valid for name \"sentry.example\""), "{error}");
}

#[test]
fn a_server_that_speaks_no_tls_is_refused() {
    let server = Receiver::new([]);
    let authority = Authority::new("plain");
    let bench = setup(&server, Roots::File(authority.file.clone())).start();
    bench.capture();
    eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
    assert_eq!(bench.count(Counter::Sent), 0);
}

#[test]
fn a_handshake_that_stalls_ends_at_the_connect_timeout() {
    let server = Receiver::wrapped(
        [],
        Arc::new(|stream| {
            std::thread::sleep(PATIENCE);
            Ok(stream)
        }),
    );
    let authority = Authority::new("stall");
    let mut setup = setup(&server, Roots::File(authority.file.clone()));
    (setup.settings.server.connect_timeout, setup.settings.server.timeout) =
        (Duration::from_secs_f64(0.3), Duration::from_secs_f64(300.0));
    let bench = setup.start();
    let begin = Instant::now();
    assert_eq!(refusal(&bench, &server), "timeout: connect");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn certificates_that_appear_later_are_found_without_a_restart() {
    let authority = Authority::new("later");
    let server = authority.serve("sentry.example", []);
    let file = authority.file.with_extension("later");
    let bench = setup(&server, Roots::File(file.clone())).start();
    let error = refusal(&bench, &server);
    assert!(error.starts_with(&format!("ca_file {}: No such file", file.display())), "{error}");
    std::fs::copy(&authority.file, &file).unwrap();
    assert!(bench.client.flush(PATIENCE));
    assert_eq!(server.rest().len(), 1);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_ca_file_without_a_certificate_sends_nothing_until_it_has_one() {
    let authority = Authority::new("empty");
    let server = authority.serve("sentry.example", []);
    let file = authority.file.with_extension("empty");
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, problem) in [("", "no CA certificates"), ("no certificate", "no CA certificates"), (bad, "")] {
        std::fs::write(&file, content).unwrap();
        let bench = setup(&server, Roots::File(file.clone())).start();
        let error = refusal(&bench, &server);
        // What only looks like a certificate vouches for nobody.
        let refused = error == "io: invalid peer certificate: UnknownIssuer";
        assert!(refused || !problem.is_empty() && error.ends_with(problem), "{content:?}: {error}");
        std::fs::copy(&authority.file, &file).unwrap();
        assert!(bench.client.flush(PATIENCE));
        assert_eq!(server.rest().len(), 1);
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_ca_file_that_is_none_is_not_opened() {
    let authority = Authority::new("folder");
    let server = authority.serve("sentry.example", []);
    let bench = setup(&server, Roots::File(std::env::temp_dir())).start();
    let error = refusal(&bench, &server);
    assert_eq!(error, format!("ca_file {}: not a regular file", std::env::temp_dir().display()));
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let (authority, clients) = (Authority::new("mutual"), Authority::new("clients"));
    let server = authority.serve_known("sentry.example", &clients);
    let roots = Roots::File(authority.file.clone());
    let (chain, key) = clients.issue("shown");
    let mut known = setup(&server, roots.clone());
    known.settings.server.way.client_cert = Some(ClientCert { chain: chain.clone(), key: key.clone() });
    let bench = known.start();
    for _ in 0..3 {
        bench.capture();
        assert!(bench.client.flush(PATIENCE));
    }
    assert_eq!((server.rest().len(), server.connections()), (3, 1));

    let bench = setup(&server, roots).start();
    bench.capture();
    eventually("the first try fails", || bench.count(Counter::Unanswered) == 1);
    assert!(server.rest().is_empty());
    assert_eq!(bench.dropped(), []);
    for file in [chain, key] {
        std::fs::remove_file(file).unwrap();
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
    std::fs::write(&empty, "no PEM").unwrap();
    for (from_chain, from_key, problem) in [
        (None, Some(&good_key), format!("client_cert {}: No such file", chain.display())),
        (Some(&good_chain), None, format!("client_key {}: No such file", key.display())),
        (Some(&empty), Some(&good_key), format!("client_cert {}: no certificate", chain.display())),
        (Some(&good_chain), Some(&good_chain), format!("client_key {}: no private key", key.display())),
        (Some(&good_chain), Some(&other_key), format!("client_key {}: ", key.display())),
    ] {
        for (from, to) in [(from_chain, &chain), (from_key, &key)] {
            let _ = std::fs::remove_file(to);
            if let Some(from) = from {
                std::fs::copy(from, to).unwrap();
            }
        }
        let mut setup = setup(&server, Roots::File(authority.file.clone()));
        setup.settings.server.way.client_cert = Some(ClientCert { chain: chain.clone(), key: key.clone() });
        let bench = setup.start();
        let error = refusal(&bench, &server);
        assert!(error.starts_with(&problem), "{error}");
        std::fs::copy(&good_chain, &chain).unwrap();
        std::fs::copy(&good_key, &key).unwrap();
        assert!(bench.client.flush(PATIENCE));
        assert_eq!((server.rest().len(), bench.count(Counter::Panics)), (1, 0));
    }
    for file in [good_chain, good_key, other_chain, other_key, chain, key, empty] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn certificates_are_read_again_after_a_server_was_refused() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server = new.serve("sentry.example", []);
    let file = old.file.with_extension("changed");
    std::fs::copy(&old.file, &file).unwrap();
    let bench = setup(&server, Roots::File(file.clone())).start();
    assert_eq!(refusal(&bench, &server), "io: invalid peer certificate: BadSignature");
    std::fs::copy(&new.file, &file).unwrap();
    assert!(bench.client.flush(PATIENCE));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_systems_certificates_are_those_of_ssl_cert_file() {
    const INNER: &str = "DELIVERY_TLS_INNER";
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
    let bench = setup(&server, Roots::System).start();
    let system = PathBuf::from(std::env::var_os("SSL_CERT_FILE").unwrap());
    match file.to_str() {
        Some("good") => {
            std::fs::copy(&authority.file, &system).unwrap();
            bench.capture();
            assert!(bench.client.flush(PATIENCE));
        }
        Some("absent") => {
            let error = refusal(&bench, &server);
            assert!(error.starts_with("no CA certificates"), "{error}");
        }
        _ => {
            let other = Authority::new("env-other");
            std::fs::copy(&other.file, &system).unwrap();
            assert_eq!(refusal(&bench, &server), "io: invalid peer certificate: BadSignature");
        }
    }
    let _ = std::fs::remove_file(system);
}
