// SPDX-License-Identifier: BSD-2-Clause
//! `NO_PROXY`: who is on the list is on it for a model of another make, too, which knows addresses as texts of 128 bits and names as lists of labels.
#![no_main]

#[path = "../../../crates/delivery/src/connection/no_proxy.rs"]
mod no_proxy;

use std::net::IpAddr;

use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// What lists are of.
const PIECES: [&str; 32] = [
    ",",
    " ",
    "*",
    ".",
    "[",
    "]",
    ":",
    "/",
    "%",
    "10.0.0.1",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "::1",
    "fd00::/8",
    "::/0",
    "::ffff:10.0.0.0/104",
    "fe80::1%eth0",
    "[::1]:443",
    "example.com",
    ".example.com",
    "*.Example.com",
    "a.",
    "com:443",
    "443",
    "80",
    "/0",
    "/32",
    "/128",
    "%25",
    "\t",
    "localhost",
    "\u{e4}",
];
const HOSTS: [&str; 12] = [
    "10.0.0.1",
    "[::1]",
    "::1",
    "[::ffff:10.0.0.1]",
    "[fd00::7]",
    "[fe80::1%25eth0]",
    "example.com",
    "a.EXAMPLE.com.",
    "com",
    "localhost",
    "192.0.2.7",
    "",
];
/// Of a host's name: a longer one is none (RFC 1035, 2.3.4), and the model takes it apart for each entry.
const MAX_HOST: usize = 512;
/// Bits in front of an address of IPv4 among those of IPv6.
const MAPPED: usize = 96;

/// An address, as it is anywhere in the network of all of them.
fn bits(text: &str) -> Option<String> {
    let address = match text.split('%').next()?.parse().ok()? {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    };
    Some(address.octets().iter().map(|octet| format!("{octet:08b}")).collect())
}

fn is_mapped(bits: &str) -> bool {
    bits.starts_with(&format!("{}{}", "0".repeat(80), "1".repeat(16)))
}

fn bare(text: &str) -> &str {
    if text.len() >= 2 && text.starts_with('[') && text.ends_with(']') { &text[1..text.len() - 1] } else { text }
}

/// The prefix that an address must have to be in a network, or to be the one.
fn prefix(entry: &str) -> Option<String> {
    let mut parts = entry.splitn(2, '/');
    let base = bare(parts.next()?);
    let all = bits(base)?;
    let Some(length) = parts.next() else { return Some(all) };
    if length.is_empty() || length.chars().any(|c| !('0'..='9').contains(&c)) {
        return None;
    }
    let is_four = base.split('%').next()?.parse::<std::net::Ipv4Addr>().is_ok();
    let length = length.parse::<u32>().ok()? as usize + if is_four { MAPPED } else { 0 };
    all.get(..length).map(str::to_owned)
}

fn labels(name: &str) -> Vec<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').map(str::to_ascii_lowercase).collect()
}

/// What an entry is about, and the port if it is about one only; `None` if it is nothing.
fn taken_apart(entry: &str) -> Option<(&str, Option<&str>)> {
    let closing = entry.find(']').filter(|_| entry.starts_with('['));
    if let Some(at) = closing {
        let behind = &entry[at + 1..];
        return match behind.chars().next() {
            None => Some((&entry[1..at], None)),
            Some('/') => Some((entry, None)),
            Some(':') => Some((&entry[1..at], Some(&behind[1..]))),
            Some(_) => None,
        };
    }
    let parts: Vec<&str> = entry.split(':').collect();
    if parts.len() == 2 { Some((parts[0], Some(parts[1]))) } else { Some((entry, None)) }
}

fn is_listed(list: &str, host: &str, port: u16) -> bool {
    let host = bare(host);
    let address = bits(host);
    list.split(',').flat_map(str::split_whitespace).any(|entry| {
        let Some((name, only)) = taken_apart(entry) else { return false };
        let is_port = |digits: &str| {
            digits.is_empty()
                || digits.chars().all(|c| ('0'..='9').contains(&c))
                    && digits.trim_start_matches('0') == port.to_string()
        };
        if !only.is_none_or(is_port) {
            return false;
        }
        if name == "*" {
            return true;
        }
        if let Some(address) = &address {
            return prefix(name)
                .is_some_and(|prefix| address.starts_with(&prefix) && (!is_mapped(address) || prefix.len() >= MAPPED));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = name.strip_prefix('*').unwrap_or(name).trim_start_matches('.');
        // A name of nothing but dots is none.
        let is_name = !name.is_empty();
        let domain: Vec<String> = name.split('.').map(str::to_ascii_lowercase).collect();
        is_name && labels(host).ends_with(&domain)
    })
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (port, known) = (input.pick(&[443, 80, 1, 65_535]), input.pick(&HOSTS));
    let mut own = input.text();
    own.truncate(MAX_HOST);
    let own = String::from_utf8_lossy(&own);
    let host = if own.is_empty() { known } else { &own };
    let mut list = String::new();
    while !input.is_empty() {
        match input.byte() {
            0..=191 => list.push_str(input.pick(&PIECES)),
            // The host itself, or a part of it.
            192..=207 => {
                let at = usize::from(input.byte()) % (host.len() + 1);
                list.push_str(host.get(at..).unwrap_or(host));
            }
            count => list.push_str(&String::from_utf8_lossy(input.take(usize::from(count - 207)))),
        }
    }
    assert_eq!(no_proxy::is_exempt(&list, host, port), is_listed(&list, host, port), "{host:?} {port} in {list:?}");
});
