// SPDX-License-Identifier: BSD-2-Clause
//! TLS with certificates and a server of OpenSSL: what is taken, and in which words the rest is refused.

mod fixture_connection;
mod openssl;
mod receiver;

use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::request::Failure;
use delivery::connection::transport::Connector;
use delivery::connection::way::{ClientCert, Roots, Way};
use fixture_connection::{look_up, options, status, target, unreached};
use openssl::{Folder, Server};

const NAME: &str = "-subj /CN=sentry.example -addext subjectAltName=DNS:sentry.example";

fn way(ca_file: &Path) -> Way {
    Way { roots: Roots::File(ca_file.to_owned()), ..Way::default() }
}

/// What comes of a post to `host`, which is at `address`.
fn tried_at(address: SocketAddr, host: &str, way: Way) -> Result<u16, String> {
    let connector = HttpConnector::new(HttpOptions { way, look_up: look_up(&[address]), ..options() });
    let url = format!("https://{host}/api/42/envelope/");
    status(&mut *connector.transport(), &target(&url)).map_err(unreached)
}

fn tried(server: &Server, way: Way) -> Result<u16, String> {
    tried_at(server.address, "sentry.example", way)
}

fn refused(text: &str) -> Result<u16, String> {
    Err(text.to_owned())
}

#[test]
fn a_self_signed_certificate_is_taken_if_it_is_itself_the_ca_file() {
    let folder = Folder::new("self-signed");
    for words in [
        "-newkey rsa:2048 -subj /CN=sentry.example",
        "-newkey rsa:2048 -subj /C=DE/CN=Sentry.Example/O=Shop",
        &format!("-newkey rsa:2048 {NAME}"),
        &format!("-newkey rsa:3072 {NAME} -addext basicConstraints=critical,CA:FALSE"),
        "-newkey rsa:2048 -subj /CN=sentry.example -addext basicConstraints=critical,CA:FALSE",
        &format!("-newkey rsa:2048 {NAME} -sha512"),
        &format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 {NAME}"),
        // Its own signature is one that cannot be verified here, and need not be.
        &format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 {NAME} -sha512"),
        &format!("-newkey ec -pkeyopt ec_paramgen_curve:P-384 {NAME}"),
        &format!("-newkey ed25519 {NAME}"),
    ] {
        let certificate = folder.self_signed("own", words);
        let server = folder.serve("own", "");
        assert_eq!(tried(&server, way(&certificate)), Ok(200), "{words}");
    }
    let certificate = folder.self_signed("address", "-newkey rsa:2048 -subj /CN=x -addext subjectAltName=IP:127.0.0.1");
    let server = folder.serve("address", "");
    assert_eq!(tried_at(server.address, &server.address.to_string(), way(&certificate)), Ok(200));
    let certificate = folder.self_signed("address", "-newkey rsa:2048 -subj /CN=127.0.0.1");
    let server = folder.serve("address", "");
    assert_eq!(tried_at(server.address, &server.address.to_string(), way(&certificate)), Ok(200));
}

#[test]
fn a_certificate_that_is_itself_the_ca_file_needs_no_authority() {
    let folder = Folder::new("leaf");
    folder.self_signed("authority", "-newkey rsa:2048 -subj /CN=authority");
    let extensions = "subjectAltName=DNS:sentry.example";
    let certificate = folder.signed("authority", "leaf", "-newkey rsa:2048 -subj /CN=leaf", extensions, "");
    for ca_file in [&certificate, &folder.file("authority.pem")] {
        assert_eq!(tried(&folder.serve("leaf", ""), way(ca_file)), Ok(200));
    }
}

#[test]
fn another_certificate_than_the_servers_own_is_no_reason_to_take_that() {
    let folder = Folder::new("not-own");
    let server = folder.self_signed("server", &format!("-newkey rsa:2048 {NAME}"));
    let other = folder.self_signed("other", &format!("-newkey rsa:2048 {NAME}"));
    let text = "the server's certificate is an authority's (CA:TRUE), as openssl req -x509 makes it: \
                it counts if it is itself in the ca_file";
    assert_eq!(tried(&folder.serve("server", ""), way(&other)), refused(text));
    // The same key and subject, and yet another certificate.
    folder.openssl(&format!("req -x509 -days 31 -key server.key -out again.pem {NAME}"));
    assert_eq!(tried(&folder.serve("server", ""), way(&folder.file("again.pem"))), refused(text));
    let no_authority = format!("-newkey rsa:2048 {NAME} -addext basicConstraints=critical,CA:FALSE");
    folder.self_signed("leaf", &no_authority);
    let text = "the server's certificate is not signed by the authority that is known by that name, \
                or with an RSA key of less than 2048 bits";
    assert_eq!(tried(&folder.serve("leaf", ""), way(&other)), refused(text));
    let unknown = folder.self_signed("unknown", "-newkey rsa:2048 -subj /CN=unknown");
    let text = "the server's certificate is not in the ca_file, nor is that of the authority which has signed it";
    assert_eq!(tried(&folder.serve("leaf", ""), way(&unknown)), refused(text));
    assert_eq!(tried(&folder.serve("server", ""), way(&server)), Ok(200));
}

#[test]
fn the_names_of_a_certificate_count_also_if_it_is_itself_the_ca_file() {
    let folder = Folder::new("names");
    let many: Vec<_> = (0..40).map(|number| format!("DNS:{number}.shop.example")).collect();
    let long = format!("DNS:{0}.{0}.{0}.example", "x".repeat(60));
    for (names, text) in [
        ("DNS:other.example", "other.example"),
        ("DNS:other.example,DNS:*.a.example,IP:192.0.2.1", "other.example, *.a.example, 192.0.2.1"),
        (&many.join(","), "0.shop.example, 1.shop.example and 38 more"),
        (&long, &format!("{}...", &long[4..46])),
    ] {
        let words = format!("-newkey rsa:2048 -subj /CN=sentry.example -addext subjectAltName={names}");
        let certificate = folder.self_signed("names", &words);
        let text = format!("the server's certificate is not for sentry.example, it is for {text}");
        assert_eq!(tried(&folder.serve("names", ""), way(&certificate)), refused(&text));
    }
    let text = "the server's certificate has no subjectAltName, without which no name is its own: \
                its common name does not count";
    let other = folder.self_signed("common", "-newkey rsa:2048 -subj /CN=sentry.example.org/O=sentry.example");
    assert_eq!(tried(&folder.serve("common", ""), way(&other)), refused(text));
    // A common name counts only if the certificate is trusted itself.
    let authority = folder.self_signed("authority", "-newkey rsa:2048 -subj /CN=authority");
    let extensions = "basicConstraints=CA:FALSE";
    folder.signed("authority", "leaf", "-newkey rsa:2048 -subj /CN=sentry.example", extensions, "");
    assert_eq!(tried(&folder.serve("leaf", ""), way(&authority)), refused(text));
}

#[test]
fn what_cannot_be_verified_is_told_in_a_sentence() {
    let folder = Folder::new("unverified");
    let authority = folder.self_signed("authority", "-newkey rsa:2048 -subj /CN=authority");
    let names = "subjectAltName=DNS:sentry.example\n";
    let leaf = |extensions: &str, words: &str| {
        folder.signed("authority", "leaf", "-newkey rsa:2048 -subj /CN=leaf", &format!("{names}{extensions}"), words);
        tried(&folder.serve("leaf", ""), way(&authority))
    };
    assert_eq!(leaf("", ""), Ok(200));
    let text = "the server's certificate is not for servers: its extended key usage is without serverAuth";
    assert_eq!(leaf("extendedKeyUsage=clientAuth", ""), refused(text));
    let text = "the server's certificate is signed in a way that cannot be verified here, as with P-521 or SHA-1";
    let weak = "-cipher DEFAULT@SECLEVEL=0";
    folder.signed("authority", "sha1", "-newkey rsa:2048 -subj /CN=leaf", names, "-sha1");
    assert_eq!(tried(&folder.serve("sha1", weak), way(&authority)), refused(text));
    let large = folder.self_signed("large", "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -subj /CN=large");
    folder.signed("large", "leaf", "-newkey rsa:2048 -subj /CN=leaf", names, "");
    assert_eq!(tried(&folder.serve("leaf", ""), way(&large)), refused(text));
    let text = "the server's certificate has a critical extension that is not known here";
    assert_eq!(leaf("1.2.3.4=critical,ASN1:NULL", ""), refused(text));
    let text = "the server's certificate is of X.509 version 1, expected version 3";
    folder.openssl("req -new -nodes -newkey rsa:2048 -keyout first.key -out request.pem -subj /CN=sentry.example");
    folder.openssl("x509 -req -days 30 -in request.pem -signkey first.key -out first.pem");
    assert_eq!(tried(&folder.serve("first", ""), way(&folder.file("first.pem"))), refused(text));
    let small = folder.self_signed("small", &format!("-newkey rsa:1024 {NAME}"));
    let text = "the server's certificate cannot be used: the server does not have its key, \
                or that is RSA of less than 2048 bits";
    assert_eq!(tried(&folder.serve("small", weak), way(&small)), refused(text));
}

#[test]
fn a_server_that_has_nothing_in_common_with_us_is_told_in_a_sentence() {
    let folder = Folder::new("nothing-in-common");
    let own = folder.self_signed("own", &format!("-newkey rsa:2048 {NAME}"));
    let large = folder.self_signed("large", &format!("-newkey ec -pkeyopt ec_paramgen_curve:P-521 {NAME}"));
    let no_way = "the server finds no way of TLS that both know: its key has to be RSA of 2048 bits and more, \
                  P-256, P-384 or Ed25519, or it wants a client_cert";
    for words in ["", "-tls1_2", "-tls1_3"] {
        assert_eq!(tried(&folder.serve("large", words), way(&large)), refused(no_way), "{words}");
    }
    for words in ["-tls1_2 -cipher AES128-SHA", "-tls1_3 -groups P-521"] {
        assert_eq!(tried(&folder.serve("own", words), way(&own)), refused(no_way), "{words}");
    }
    let old = "the server speaks neither TLS 1.2 nor TLS 1.3";
    let server = folder.serve("own", "-tls1_1 -cipher DEFAULT@SECLEVEL=0");
    assert_eq!(tried(&server, way(&own)), refused(old));
}

#[test]
fn a_server_that_wants_a_client_certificate_says_so() {
    let folder = Folder::new("client-certificate");
    let own = folder.self_signed("own", &format!("-newkey rsa:2048 {NAME}"));
    folder.self_signed("clients", "-newkey rsa:2048 -subj /CN=clients");
    folder.self_signed("stranger", "-newkey rsa:2048 -subj /CN=stranger");
    folder.signed("clients", "client", "-newkey rsa:2048 -subj /CN=client", "basicConstraints=CA:FALSE", "");
    let shown = |name: &str| {
        let (chain, key) = (folder.file(&format!("{name}.pem")), folder.file(&format!("{name}.key")));
        Way { client_cert: Some(ClientCert { chain, key }), ..way(&own) }
    };
    let wanted = "-Verify 1 -verify_return_error -CAfile clients.pem";
    for (version, without) in [
        (
            "-tls1_2",
            "the server finds no way of TLS that both know: its key has to be RSA of 2048 bits and more, P-256, P-384 \
             or Ed25519, or it wants a client_cert",
        ),
        ("-tls1_3", "the server wants a client_cert"),
    ] {
        let words = format!("{wanted} {version}");
        assert_eq!(tried(&folder.serve("own", &words), way(&own)), refused(without));
        assert_eq!(tried(&folder.serve("own", &words), shown("client")), Ok(200));
        let unknown = "the server does not accept the client_cert: it is of an unknown authority";
        assert_eq!(tried(&folder.serve("own", &words), shown("stranger")), refused(unknown));
    }
}

#[test]
fn a_server_that_renegotiates_may_have_seen_the_request() {
    let folder = Folder::new("renegotiation");
    let own = folder.self_signed("own", &format!("-newkey rsa:2048 {NAME}"));
    let mut server = folder.serve_silent("own", "-tls1_2");
    let connector =
        HttpConnector::new(HttpOptions { way: way(&own), look_up: look_up(&[server.address]), ..options() });
    let result = thread::scope(|scope| {
        let posting = scope.spawn(|| status(&mut *connector.transport(), &target("https://sentry.example/")));
        server.wait_for("POST ");
        server.say("r\n");
        posting.join().unwrap()
    });
    let text = "the server has ended TLS, as if it wanted to renegotiate it, which is not supported";
    assert_eq!(result, Err(Failure::Broken(text.to_owned())));
}
