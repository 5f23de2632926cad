// SPDX-License-Identifier: BSD-2-Clause
//! Files of certificates and keys: what is taken is what rustls would take of them one by one, and what is wrong with a file is told in one line that names it and shows nothing of it.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use delivery::connection::certificates::Certificates;
use delivery::connection::way::{ClientCert, Roots};
use fuzz::body::has;
use fuzz::bytes::Bytes;
use fuzz::spooled::change;
use libfuzzer_sys::fuzz_target;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Two of this target's own, each with its key, in base64: nobody trusts them.
const ONE: &str = concat!(
    "MIIBczCCARmgAwIBAgIUcoPaWN2/EdufFl22CMXgsECgE/wwCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDb25lMCAXDTI2MTEzMDAz",
    "MzgwOVoYDzIxMjYxMTA2MDMzODA5WjAOMQwwCgYDVQQDDANvbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASRceSyltoiyMtO",
    "1+uhlwMWMg6e/ns5X6JmaliwtYvmq5tGPSAAxdUeRmqYWv/XLBvPh0tXVjTXzamBEnPRL8S2o1MwUTAdBgNVHQ4EFgQU28R23gRa",
    "blshfQTiYDH9OrU6hbYwHwYDVR0jBBgwFoAU28R23gRablshfQTiYDH9OrU6hbYwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD",
    "AgNIADBFAiAc6pTIWoJe0LGWb2l8mZg7vtnwKbf/KW1WGlGsWoR6vQIhALvrSnCAfM7Fa+bgyHRiYkN/XcoPzo/d5XGvvrtWwKuz",
);
const ONE_KEY: &str = concat!(
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwG/eO/v0JcKgYhI3bkafKFInK3m0uZs+LvRPAeqInSqhRANCAASR",
    "ceSyltoiyMtO1+uhlwMWMg6e/ns5X6JmaliwtYvmq5tGPSAAxdUeRmqYWv/XLBvPh0tXVjTXzamBEnPRL8S2",
);
const OTHER: &str = concat!(
    "MIIBdjCCAR2gAwIBAgIUK7MV5N5Y2HuQkpyq3GBbeY+357kwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTMw",
    "MDMzODA5WhgPMjEyNjExMDYwMzM4MDlaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEd3/JBwr4",
    "TSqyIImO1Hj8LWrNEimN4MU5NPiCkYKlGkbqhxALW5Er+qRKo9CIHaW9JieDuwC6fkLTRVO0Lyt1cqNTMFEwHQYDVR0OBBYEFMgj",
    "99Hu0R1mJD5brNVENmNzNarwMB8GA1UdIwQYMBaAFMgj99Hu0R1mJD5brNVENmNzNarwMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI",
    "zj0EAwIDRwAwRAIgCnSjkavfuQQz6Qm9DCFnN2nGLcjrHyw2U2yAMcew9c8CIBK9TkknItqD5XB9aJ8QanWm2foK1PfeDugrxEv7",
    "x2Fx",
);
const OTHER_KEY: &str = concat!(
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEYrj5CiMJBzRtVBftrcDEoY372XKzWPpf+EiRmLMbouhRANCAAR3",
    "f8kHCvhNKrIgiY7UePwtas0SKY3gxTk0+IKRgqUaRuqHEAtbkSv6pEqj0Igdpb0mJ4O7ALp+QtNFU7QvK3Vy",
);
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("fuzz-certificates-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
});

fn pem(kind: &str, base64: &str) -> String {
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// A file of some of these pieces, maybe damaged; whether all of it is as it was made.
fn written(input: &mut Bytes<'_>, name: &str) -> (PathBuf, Vec<u8>, bool) {
    let mut text = Vec::new();
    let mut is_whole = true;
    for _ in 0..input.byte() % 5 {
        match input.byte() % 16 {
            0..4 => text.extend_from_slice(pem("CERTIFICATE", ONE).as_bytes()),
            4..7 => text.extend_from_slice(pem("CERTIFICATE", OTHER).as_bytes()),
            7..9 => text.extend_from_slice(pem("PRIVATE KEY", ONE_KEY).as_bytes()),
            9 => text.extend_from_slice(pem("PRIVATE KEY", OTHER_KEY).as_bytes()),
            10 => text.extend_from_slice(b"# of ours\r\n\r\n"),
            11 if text.is_empty() => text.extend_from_slice(b"\xef\xbb\xbf"),
            12 => text = String::from_utf8_lossy(&text).replace('\n', "\r\n").into_bytes(),
            13 => {
                change(&mut text, input);
                is_whole = false;
            }
            _ => {
                text.extend_from_slice(&input.text());
                is_whole = false;
            }
        }
    }
    let path = FOLDER.join(name);
    fs::write(&path, &text).unwrap();
    (path, text, is_whole)
}

fn decoded(base64: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for c in base64.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=') {
        bits = bits << 6 | ALPHABET.find(c)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

/// The certificates of a text that is as it was made.
fn certificates(text: &str) -> Vec<Vec<u8>> {
    let bodies = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    bodies.map(|(body, _)| decoded(body).expect("base64")).collect()
}

/// How many of them rustls would trust.
fn trusted(all: &[Vec<u8>]) -> usize {
    let mut store = RootCertStore::empty();
    all.iter().filter(|der| store.add(CertificateDer::from((*der).clone())).is_ok()).count()
}

fn assert_told(error: &str, names: &[(&str, &Path)]) {
    let told = names.iter().find_map(|(name, path)| error.strip_prefix(&format!("{name} {}: ", path.display())));
    let told = told.unwrap_or_else(|| panic!("{error}"));
    assert!(!told.trim().is_empty() && !told.contains(['\n', '\r', '\0']), "{error:?}");
    // Nothing of a key.
    for key in [ONE_KEY, OTHER_KEY] {
        assert!(!key.as_bytes().windows(8).any(|part| has(told.as_bytes(), &String::from_utf8_lossy(part))), "{error}");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let shows_us = input.flag();
    let (ca_file, text, is_whole) = written(&mut input, "ca");
    let found = Certificates::new(Roots::File(ca_file.clone()), None).config();
    if let Err(error) = &found {
        assert_told(error, &[("ca_file", &ca_file)]);
    }
    if is_whole {
        let all = certificates(&String::from_utf8_lossy(&text));
        assert_eq!(found.is_ok(), trusted(&all) > 0, "{:?}", found.err());
    }
    if !shows_us || found.is_err() {
        return;
    }
    let (chain, chain_text, is_chain_whole) = written(&mut input, "chain");
    let (key, key_text, is_key_whole) = written(&mut input, "key");
    let files = ClientCert { chain: chain.clone(), key: key.clone() };
    let found = Certificates::new(Roots::File(ca_file), Some(files)).config();
    if let Err(error) = &found {
        assert_told(error, &[("client_cert", &chain), ("client_key", &key)]);
    }
    if is_chain_whole && is_key_whole {
        // The first of each counts.
        let first = |text: &[u8], of: [&str; 2]| {
            let text = String::from_utf8_lossy(text).replace(['\r', '\n'], "");
            let places = of.map(|one| text.find(one));
            match places {
                [Some(one), other] if other.is_none_or(|other| one < other) => Some(0),
                [_, Some(_)] => Some(1),
                _ => None,
            }
        };
        let (chain, key) = (first(&chain_text, [ONE, OTHER]), first(&key_text, [ONE_KEY, OTHER_KEY]));
        assert_eq!(found.is_ok(), chain.is_some() && chain == key, "{:?}", found.err());
    }
});
